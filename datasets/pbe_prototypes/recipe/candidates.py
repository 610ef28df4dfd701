"""Which compounds to compute: prototype times elements, with the volume a machine-learned potential prefers."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbench.errors import GbenchError

from .structures import PROTOTYPES, Candidate, FloatArray

CATIONS = {
    1: ("Li", "Na", "K", "Rb", "Cs", "Cu", "Ag"),
    2: ("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Pb"),
    3: ("Al", "Ga", "In", "Sc", "Y", "La"),
    4: ("Si", "Ge", "Sn", "Ti", "Zr", "Hf"),
    5: ("V", "Nb", "Ta"),
}
"""By oxidation state."""
HALIDES = ("F", "Cl", "Br", "I")
CHALCOGENIDES = ("O", "S", "Se", "Te")
PNICTIDES = ("N", "P", "As", "Sb")
OXIDATION_STATES = {
    **{symbol: state for state, cations in CATIONS.items() for symbol in cations},
    **dict.fromkeys(HALIDES, -1),
    **dict.fromkeys(CHALCOGENIDES, -2),
}
TOLERANCE_FACTORS = (0.78, 1.08)
"""Goldschmidt tolerance factors between which a perovskite is tried."""
ORDER_SEED = 20261122
SCALE_GRIDS = ((0.22, 9), (0.06, 5))
"""Half width and points of the successive grids of lattice-constant factors."""

EnergyOf = Callable[[Candidate, FloatArray], FloatArray]
"""Energies per atom of a candidate at several lattice constants."""


def enumerate_candidates() -> list[Candidate]:
    """All compounds with lattice constants from atomic and ionic radii, in random order.

    The order is random so that the part computed so far is a fair sample of the whole.
    """
    compounds = [*_binaries(), *_fluorites(), *_alloys(), *_half_heuslers(), *_perovskites()]
    order = np.arange(len(compounds))
    np.random.default_rng(ORDER_SEED).shuffle(order)
    return [Candidate(*compounds[which], _lattice_constant(*compounds[which])) for which in order]


Compound = tuple[str, tuple[str, ...]]


def _binaries() -> Iterator[Compound]:
    pairs = [
        *product(CATIONS[1], HALIDES),
        *product(CATIONS[2], CHALCOGENIDES),
        *product(CATIONS[3], PNICTIDES),
        *product(CATIONS[4], ("C",)),
    ]
    for pair, prototype in product(pairs, ("rocksalt", "zincblende", "cscl")):
        yield prototype, pair


def _fluorites() -> Iterator[Compound]:
    for pair in (*product(CATIONS[2], HALIDES), *product(CATIONS[4], ("O", "S", "Se"))):
        yield "fluorite", pair
    for cation, anion in (*product(CATIONS[1], CHALCOGENIDES), *product(("Mg", "Ca"), ("Si", "Ge", "Sn"))):
        yield "fluorite", (anion, cation)


def _alloys() -> Iterator[Compound]:
    firsts, seconds = ("Li", "Mg", "Al", "Sc", "Y", "Ti", "Zr"), ("Cu", "Ag", "Au", "Zn", "Cd", "Al", "Ga")
    for first, second in product(firsts, seconds):
        if first != second:
            yield "cscl", (first, second)


def _half_heuslers() -> Iterator[Compound]:
    for elements in product(("Li", "Na"), ("Mg", "Zn", "Ca"), PNICTIDES):
        yield "halfheusler", elements


def _perovskites() -> Iterator[Compound]:
    triples = [
        *product(("Na", "K", "Rb", "Cs"), ("Mg", "Ca", "Zn", "Cd", "Sr", "Pb"), ("F", "Cl", "Br")),
        *product(("Ca", "Sr", "Ba", "Pb"), ("Ti", "Zr", "Hf", "Sn", "Si", "Ge"), ("O",)),
        *product(("Na", "K", "Rb"), CATIONS[5], ("O",)),
        *product(("La", "Y"), ("Al", "Ga", "In", "Sc"), ("O",)),
    ]
    lowest, highest = TOLERANCE_FACTORS
    for elements in triples:
        large, small, anion = map(_ionic_radius, elements)
        if lowest < (large + anion) / (2**0.5 * (small + anion)) < highest:
            yield "perovskite", elements


def _ionic_radius(symbol: str) -> float:
    """Shannon's radius in Å for the element's usual oxidation state, NaN where there is none."""
    from pymatgen.core import Element

    return float(Element(symbol).ionic_radii.get(OXIDATION_STATES[symbol], np.nan))


def _lattice_constant(prototype: str, elements: Sequence[str]) -> float:
    """Lattice constant in Å at which the radii of neighbours touch."""
    from pymatgen.core import Element

    if prototype == "perovskite":
        return 2 * (_ionic_radius(elements[1]) + _ionic_radius(elements[2]))
    radii: list[Any] = [Element(symbol).atomic_radius for symbol in elements[:2]]
    return float(sum(radii)) / PROTOTYPES[prototype].bond


def relax(candidate: Candidate, energies: EnergyOf) -> Candidate:
    """The candidate at the lattice constant of lowest energy: bracketed on a grid, then refined on a finer one."""
    for half_width, points in SCALE_GRIDS:
        constants = candidate.lattice_constant * np.linspace(1 - half_width, 1 + half_width, points)
        candidate = candidate._replace(lattice_constant=_minimum(constants, energies(candidate, constants)))
    return candidate


def _minimum(x: FloatArray, y: FloatArray) -> float:
    """Where the parabola around the lowest point has its minimum, kept within the grid."""
    lowest = int(y.argmin())
    middle = min(max(lowest, 1), len(x) - 2)
    near = slice(middle - 1, middle + 2)
    curvature, slope, _ = np.polyfit(x[near] - x[middle], y[near], 2)
    if curvature <= 0:
        return float(x[lowest])
    return float(np.clip(x[middle] - slope / (2 * curvature), x[0], x[-1]))


def chgnet_energies() -> EnergyOf:
    """Energies per atom (eV) by CHGNet 0.3.0 on the CPU.

    Source: https://doi.org/10.1038/s42256-023-00716-3

    Raises:
        GbenchError: chgnet cannot be imported.

    """
    try:
        from chgnet.model import CHGNet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise GbenchError(f"chgnet cannot be imported ({error}); `pip install 'gbench[recipe]'` brings it") from error
    from pymatgen.core import Structure as PymatgenStructure

    model: Any = CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False)

    def energies(candidate: Candidate, constants: FloatArray) -> NDArray[np.float64]:
        frac = PROTOTYPES[candidate.prototype].frac
        species = [candidate.elements[which] for which in PROTOTYPES[candidate.prototype].species]
        structures = [PymatgenStructure(candidate.cell(a), species, frac) for a in constants]
        return np.array([float(prediction["e"]) for prediction in model.predict_structure(structures, task="e")])

    return energies
