"""Point-charge energies and site potentials of ionic crystals, computed from the structures of ``pbe_prototypes``."""

import dataclasses
import hashlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from gbench.crystals import Crystals, FloatArray, IntArray, ranges
from gbench.elements import symbols

CHARGES = {
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Cu", "Ag"), 1),
    **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Pb"), 2),
    **dict.fromkeys(("Al", "Ga", "In", "Sc", "Y", "La"), 3),
    **dict.fromkeys(("Si", "Ge", "Sn", "Ti", "Zr", "Hf"), 4),
    **dict.fromkeys(("V", "Nb", "Ta"), 5),
    **dict.fromkeys(("F", "Cl", "Br", "I"), -1),
    **dict.fromkeys(("O", "S", "Se", "Te"), -2),
    **dict.fromkeys(("N", "P", "As", "Sb"), -3),
    "C": -4,
}
"""Formal charge of an element, e. A crystal is ionic when these sum to nothing."""
COULOMB_EV_ANGSTROM = 14.399645478426
"""e^2 / (4 pi epsilon_0), CODATA 2018."""
ACCURACY = 24
"""Digits that pymatgen sizes its two sums for; 1e-9 eV is reached."""
DECIMALS = 5
"""Labels are rounded, so that the processor's last bit does not reach the content hash: none lies within 5e-11 of a
tie, while the rounding noise of the sums is about 1e-13."""
REPEAT = 2


class Ewald(NamedTuple):
    """Electrostatics of one crystal of point charges."""

    energy: float
    """eV/atom, 1/(2 atoms) sum_i q_i phi_i."""
    potential: FloatArray
    """(atoms,) V, phi_i: potential at site i of all charges but its own, zero on average over the cell."""


def load(files: Sequence[Path]) -> Crystals:
    """The ionic crystals of ``crystals.parquet`` and a shuffled supercell of each, with their electrostatics."""
    charge = charges()
    crystals = Crystals.read(files[0])
    formal = charge[crystals.numbers]
    # NaN, where an element has no charge, is not zero
    ionic = crystals.take(np.flatnonzero(np.add.reduceat(formal, crystals.ptr[:-1]) == 0))
    both = _joined(ionic, shuffled(ionic))
    # the matrices are small: threads only wait for each other, long ones where other work has the cores
    with threadpool_limits(1):
        found = [
            ewald(both.cell[row], both.positions[atoms], charge[both.numbers[atoms]])
            for row, atoms in enumerate(map(slice, both.ptr[:-1], both.ptr[1:]))
        ]
    return dataclasses.replace(
        both,
        graph_targets={"energy": np.round([one.energy for one in found], DECIMALS)},
        node_targets={"potential": np.round(np.concatenate([one.potential for one in found]), DECIMALS)},
    ).check()


def charges() -> FloatArray:
    """(104,) formal charge by atomic number, NaN where an element has none."""
    return np.array([np.nan, *(CHARGES.get(symbol, np.nan) for symbol in symbols())])


def ewald(cell: FloatArray, positions: FloatArray, charge: FloatArray) -> Ewald:
    """Energy and site potentials of a neutral crystal of point charges.

    Shapes: cell (3, 3) Å, positions (atoms, 3) Å, charge (atoms,) e, none of them zero.

    Source: pymatgen ``EwaldSummation``; its site energies are q_i phi_i / 2.
    """
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import DummySpecies, Structure

    ions = [DummySpecies("X", value) for value in charge.tolist()]
    structure = Structure(cell, ions, positions, coords_are_cartesian=True)
    untyped: Any = EwaldSummation
    summed = untyped(structure, acc_factor=ACCURACY)
    # pymatgen's constant changes with the CODATA release that scipy ships
    to_ours = COULOMB_EV_ANGSTROM / EwaldSummation.CONV_FACT
    site = to_ours * np.array([summed.get_site_energy(atom) for atom in range(len(charge))])
    return Ewald(float(site.sum() / len(charge)), 2 * site / charge)


def shuffled(crystals: Crystals) -> Crystals:
    """A 2 x 2 x 2 supercell of each crystal, its ions dealt anew to all the sites.

    The order is that of the hashes of id and site: as good as random, and the same everywhere.
    """
    images = np.array(list(product(range(REPEAT), repeat=3)))
    copies = len(images)
    atoms = ranges(np.repeat(crystals.ptr[:-1], copies), np.repeat(crystals.ptr[1:], copies))
    image = np.repeat(np.tile(images, (len(crystals), 1)), np.repeat(crystals.n_atoms, copies), axis=0)
    a, b, c = np.moveaxis(crystals.cell[crystals.crystal_of_atom[atoms]], 1, 0)
    shift = image[:, :1] * a + image[:, 1:2] * b + image[:, 2:] * c
    ptr = crystals.ptr * copies
    ids = tuple(f"{name}-shuffled" for name in crystals.ids)
    dealt = [first + _order(name, last - first) for name, first, last in zip(ids, ptr[:-1], ptr[1:], strict=True)]
    return Crystals(
        ids=ids,
        numbers=crystals.numbers[atoms][np.concatenate(dealt)],
        positions=crystals.positions[atoms] + shift,
        cell=crystals.cell * REPEAT,
        pbc=crystals.pbc,
        ptr=ptr,
    )


def _order(name: str, size: int) -> IntArray:
    return np.array(sorted(range(size), key=lambda site: hashlib.sha256(f"{name}:{site}".encode()).digest()))


def _joined(first: Crystals, second: Crystals) -> Crystals:
    def both(name: str) -> Any:
        return np.concatenate([getattr(first, name), getattr(second, name)])

    return Crystals(
        ids=first.ids + second.ids,
        numbers=both("numbers"),
        positions=both("positions"),
        cell=both("cell"),
        pbc=both("pbc"),
        ptr=np.concatenate([first.ptr, first.ptr[-1] + second.ptr[1:]]),
    )
