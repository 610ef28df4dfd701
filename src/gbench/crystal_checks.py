"""Whether every number in some crystals is usable."""

from collections.abc import Iterator

import numpy as np

from gbench.crystals import MAX_NUMBER, Crystals, IntArray
from gbench.errors import DataError


def check(crystals: Crystals) -> None:
    """Refuse what no model can learn from; :meth:`gbench.crystals.Crystals.check` says what that is.

    Raises:
        DataError: the first problem, with the id of the crystal.
    """
    _check_shapes(crystals)
    if len(set(crystals.ids)) != len(crystals):
        seen: set[str] = set()
        twice = next(name for name in crystals.ids if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(f"id {twice!r} appears more than once; ids must be unique")
    _refuse(crystals, np.flatnonzero(crystals.n_atoms == 0), "has no atoms")
    bad_atoms = ~np.isfinite(crystals.positions).all(axis=1)
    _refuse(crystals, crystals.crystal_of_atom[bad_atoms], "has a coordinate that is NaN or infinite")
    bad_cells = ~np.isfinite(crystals.cell).all(axis=(1, 2))
    _refuse(crystals, np.flatnonzero(bad_cells), "has a cell that is NaN or infinite")
    bad_numbers = (crystals.numbers < 1) | (crystals.numbers > MAX_NUMBER)
    _refuse(crystals, crystals.crystal_of_atom[bad_numbers], f"has an atomic number outside 1-{MAX_NUMBER}")
    periodic = crystals.pbc.all(axis=1)
    _refuse(crystals, np.flatnonzero(periodic & (crystals.volume < 1e-3)), "is periodic but its cell has no volume")
    for name, values in crystals.graph_targets.items():
        _refuse(crystals, np.flatnonzero(np.isinf(values)), f"has an infinite label for {name!r}")
    for name, values in crystals.node_targets.items():
        _refuse(crystals, crystals.crystal_of_atom[np.isinf(values)], f"has an infinite label for {name!r}")
    for name, values in crystals.edge_targets.items():
        _refuse(crystals, crystals.crystal_of_pair[np.isinf(values)], f"has an infinite label for {name!r}")
    crystal = np.clip(crystals.crystal_of_pair, 0, len(crystals) - 1)
    outside = (crystals.pairs < crystals.ptr[crystal, None]) | (crystals.pairs >= crystals.ptr[crystal + 1, None])
    _refuse(crystals, crystal[outside.any(axis=1)], "has a pair of atoms that are not both its own")
    itself = (crystals.pairs[:, 0] == crystals.pairs[:, 1]) & ~crystals.pair_image.any(axis=1)
    _refuse(crystals, crystal[itself], "has a pair of an atom with itself")


def _refuse(crystals: Crystals, rows: IntArray, why: str) -> None:
    if len(rows):
        more = len(set(rows.tolist())) - 1
        others = f" (and {more} more)" if more else ""
        raise DataError(f"crystal {crystals.ids[rows[0]]!r}{others} {why}; mend the source or drop the row")


def _check_shapes(crystals: Crystals) -> None:
    n, atoms = len(crystals.ids), int(crystals.ptr[-1]) if len(crystals.ptr) else -1
    expected: Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]] = iter(
        [
            ("numbers", crystals.numbers.shape, (atoms,)),
            ("positions", crystals.positions.shape, (atoms, 3)),
            ("cell", crystals.cell.shape, (n, 3, 3)),
            ("pbc", crystals.pbc.shape, (n, 3)),
            ("ptr", crystals.ptr.shape, (n + 1,)),
            *((name, values.shape, (n,)) for name, values in crystals.graph_targets.items()),
            *((name, values.shape, (atoms,)) for name, values in crystals.node_targets.items()),
            ("pairs", crystals.pairs.shape, (len(crystals.pairs), 2)),
            ("pair_image", crystals.pair_image.shape, (len(crystals.pairs), 3)),
            *((name, values.shape, (len(crystals.pairs),)) for name, values in crystals.edge_targets.items()),
        ]
    )
    for name, shape, wanted in expected:
        if shape != wanted:
            raise DataError(f"{name} has shape {shape}, expected {wanted} for {n} crystals with {atoms} atoms")
