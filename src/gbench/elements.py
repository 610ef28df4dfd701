"""Properties of the elements, and what follows from composition alone.

``elements.csv`` holds, for H to Lr: Pauling electronegativity (Allen's for He, Ne and Ar, which have no Pauling
value), covalent radius in Å (Cordero 2008, https://doi.org/10.1039/b801115j; Bk to Lr take the value of Cm), group
and period, Mendeleev number, mass in u, first ionization energy in eV (NIST) and valence electrons by shell.
"""

from functools import cache, reduce
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import Crystals

FloatArray = NDArray[np.float64]
N_ELEMENTS = 103


@cache
def _table() -> tuple[tuple[str, ...], tuple[str, ...], FloatArray]:
    lines = (Path(__file__).parent / "elements.csv").read_text(encoding="ascii").splitlines()
    names = tuple(lines[0].split(",")[2:])
    rows = [line.split(",") for line in lines[1:]]
    values = np.full((N_ELEMENTS + 1, len(names)), np.nan)
    for row in rows:
        values[int(row[0])] = [float(value) for value in row[2:]]
    return tuple(row[1] for row in rows), names, values


def symbols() -> tuple[str, ...]:
    """Symbols in order of atomic number: ``symbols()[0]`` is H."""
    return _table()[0]


def property_names() -> tuple[str, ...]:
    """Columns of :func:`properties`."""
    return _table()[1]


def properties() -> FloatArray:
    """(104, properties) by atomic number; row 0 is NaN."""
    return _table()[2]


def element_property(name: str) -> FloatArray:
    """(104,) one property by atomic number, e.g. ``element_property("covalent_radius")`` in Å."""
    return properties()[:, property_names().index(name)]


def counts(crystals: Crystals) -> FloatArray:
    """(n, 104) atoms of each element in each crystal, by atomic number."""
    table = np.zeros((len(crystals), N_ELEMENTS + 1))
    np.add.at(table, (crystals.crystal_of_atom, crystals.numbers), 1)
    return table


def fractions(crystals: Crystals) -> FloatArray:
    """(n, 104) fraction of each element in each crystal."""
    table = counts(crystals)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def reduced_formulas(crystals: Crystals) -> list[str]:
    """Reduced formula of each crystal, elements in order of electronegativity, e.g. ``CaTiO3``."""
    electronegativity = element_property("electronegativity")
    formulas = []
    for row in counts(crystals).astype(int):
        present = sorted(np.flatnonzero(row), key=lambda number: (electronegativity[number], number))
        divisor = reduce(gcd, (int(row[number]) for number in present))
        formulas.append("".join(_term(int(number), int(row[number]) // divisor) for number in present))
    return formulas


def _term(number: int, count: int) -> str:
    return symbols()[number - 1] + (str(count) if count > 1 else "")
