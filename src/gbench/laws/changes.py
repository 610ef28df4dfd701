"""Ways to write one crystal down differently."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from gbench.crystals import Crystals

Change = Callable[[Crystals], Crystals]


def rewrite(crystals: Crystals, change: Callable[..., tuple[object, object, object]]) -> Crystals:
    """Each crystal rebuilt from ``change(numbers, positions, cell)``."""
    records = []
    for row in range(len(crystals)):
        atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
        numbers, positions, cell = change(crystals.numbers[atoms], crystals.positions[atoms], crystals.cell[row])
        records.append({"id": str(row), "numbers": numbers, "positions": positions, "cell": cell})
    return Crystals.build(records)


TURN = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
SKEW = np.array([[1, 1, 0], [0, 1, 0], [-1, 2, 1]])


def repeated(*times: int) -> Change:
    """A supercell."""
    shifts = np.array(list(np.ndindex(times)))

    def repeat(z: Any, x: Any, h: Any) -> tuple[Any, Any, Any]:
        return np.tile(z, len(shifts)), np.concatenate([x + shift @ h for shift in shifts]), np.diag(times) @ h

    return lambda crystals: rewrite(crystals, repeat)


def _wrapped(z: Any, x: Any, h: Any) -> tuple[Any, Any, Any]:
    """The skewed cell with every atom inside it."""
    cell = SKEW @ h
    inside = np.linalg.solve(cell.T, x.T).T % 1.0
    return z, inside @ cell, cell


def _niggli(z: Any, x: Any, h: Any) -> tuple[Any, Any, Any]:
    """Niggli's reduced cell, in the orientation of the crystal."""
    from pymatgen.core import Lattice

    lattice = Lattice(h)
    found = lattice.find_mapping(lattice.get_niggli_reduced_lattice(), ltol=1e-6, atol=1e-4)
    if found is None:
        raise ValueError("no choice of lattice vectors gives the reduced cell")
    return z, x, found[2] @ h


CHANGES: dict[str, Change] = {
    "permutation": lambda c: rewrite(c, lambda z, x, h: (z[::-1], x[::-1], h)),
    "rotation": lambda c: rewrite(c, lambda z, x, h: (z, x @ TURN, h @ TURN)),
    "translation": lambda c: rewrite(c, lambda z, x, h: (z, x + [0.7, -11.3, 2.9], h)),
    "mirror": lambda c: rewrite(c, lambda z, x, h: (z, x * [1, 1, -1], h * [1, 1, -1])),
    "cell": lambda c: rewrite(c, lambda z, x, h: (z, x, SKEW @ h)),
    "supercell": repeated(2, 1, 2),
}
WAYS: dict[str, tuple[Change, ...]] = {
    **{name: (change,) for name, change in CHANGES.items()},
    "cell": (CHANGES["cell"], lambda c: rewrite(c, _wrapped), lambda c: rewrite(c, _niggli)),
    "supercell": (CHANGES["supercell"], repeated(2, 1, 1), repeated(2, 2, 2)),
}
"""All that a law about a symmetry looks at: the cell skewed, the same with atoms moved into it, and reduced."""
