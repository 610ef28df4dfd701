"""Ways to write one crystal down differently."""

from collections.abc import Callable

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
REPEAT = np.diag([2, 1, 2])
REPEAT_SHIFTS = np.array([[a, 0, c] for a in range(2) for c in range(2)])
CHANGES: dict[str, Change] = {
    "permutation": lambda c: rewrite(c, lambda z, x, h: (z[::-1], x[::-1], h)),
    "rotation": lambda c: rewrite(c, lambda z, x, h: (z, x @ TURN, h @ TURN)),
    "translation": lambda c: rewrite(c, lambda z, x, h: (z, x + [0.7, -11.3, 2.9], h)),
    "mirror": lambda c: rewrite(c, lambda z, x, h: (z, x * [1, 1, -1], h * [1, 1, -1])),
    "cell": lambda c: rewrite(c, lambda z, x, h: (z, x, SKEW @ h)),
    "supercell": lambda c: rewrite(
        c, lambda z, x, h: (np.tile(z, 4), np.concatenate([x + s @ h for s in REPEAT_SHIFTS]), REPEAT @ h)
    ),
}
