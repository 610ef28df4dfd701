"""The phases of the elements that formation energies are counted from."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from .structures import VOLUME_SCALES, Structure

if TYPE_CHECKING:
    from ase import Atoms

DIATOMICS = ("O", "N", "F", "Cl")
BOND_LENGTHS = {"Br": 2.28, "I": 2.67}
"""Of the dimers that ASE does not know, Å."""
CHAINS = {"S": (4.00, 4.50, 0.230), "Se": (4.37, 4.95, 0.225), "Te": (4.46, 5.93, 0.263)}
"""Lattice constants a, c in Å and the free coordinate of the trigonal chains."""
FCC_VOLUMES = {"Ga": 19.6, "In": 26.2}
"""Volume per atom, Å^3, of elements whose own phase is too complex for a reference."""
TIN_LATTICE_CONSTANT = 6.65
P4_BOND_LENGTH = 2.21
VACUUM = 4.0
P4_VACUUM = 3.5
"""Å between a molecule and the faces of its box."""


def references(elements: Iterable[str]) -> Iterator[Structure]:
    """Reference structures of the elements, in order of symbol: a molecule, or a solid at three volumes."""
    for symbol in sorted(set(elements)):
        if symbol in DIATOMICS or symbol in BOND_LENGTHS or symbol == "P":
            yield _molecule(symbol)
        else:
            yield from _solids(symbol)


def _molecule(symbol: str) -> Structure:
    atoms = _molecule_atoms(symbol)
    atoms.center(vacuum=P4_VACUUM if symbol == "P" else VACUUM)
    return Structure(
        key=f"ref-{symbol}-mol",
        kind="molecule",
        prototype=None,
        volume_scale=1.0,
        numbers=tuple(atoms.numbers.tolist()),
        cell=atoms.cell.array,
        frac=atoms.get_scaled_positions(wrap=False),
        # the ground state of O2 is a triplet
        moments=(1.0, 1.0) if symbol == "O" else None,
    )


def _molecule_atoms(symbol: str) -> "Atoms":
    from ase import Atoms
    from ase.build import molecule

    if symbol in DIATOMICS:
        dimer: Atoms = molecule(f"{symbol}2")
        return dimer
    if symbol in BOND_LENGTHS:
        return Atoms(symbol * 2, [[0, 0, 0], [0, 0, BOND_LENGTHS[symbol]]])
    tetrahedron = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return Atoms("P4", tetrahedron * P4_BOND_LENGTH / 8**0.5)


def _solids(symbol: str) -> Iterator[Structure]:
    phase, atoms = _solid(symbol)
    for scale in VOLUME_SCALES:
        yield Structure(
            key=f"ref-{symbol}-{phase}-{scale:.2f}",
            kind="reference",
            prototype=None,
            volume_scale=scale,
            numbers=tuple(atoms.numbers.tolist()),
            cell=atoms.cell.array * scale ** (1 / 3),
            frac=atoms.get_scaled_positions(wrap=False),
        )


def _solid(symbol: str) -> "tuple[str, Atoms]":
    from ase import Atoms
    from ase.build import bulk
    from ase.data import atomic_numbers, reference_states

    if symbol in CHAINS:
        a, c, u = CHAINS[symbol]
        cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]]
        frac = [[u, 0, 0], [0, u, 1 / 3], [-u, -u, 2 / 3]]
        return "trig", Atoms(symbol * 3, cell=cell, scaled_positions=frac, pbc=True)
    if symbol in FCC_VOLUMES:
        return "fcc", bulk(symbol, "fcc", a=(4 * FCC_VOLUMES[symbol]) ** (1 / 3))
    if symbol == "Sn":
        return "diamond", bulk(symbol, "diamond", a=TIN_LATTICE_CONSTANT)
    state = reference_states[atomic_numbers[symbol]]
    return str(state["symmetry"]) if state else "", bulk(symbol)
