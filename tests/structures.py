"""Small crystals made by hand, and random ones that are hard to search."""

from typing import Any

import ase.neighborlist
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from gbench.crystals import Crystals

PERIODIC: st.SearchStrategy[tuple[bool, ...]] = st.just((True, True, True))


def crystal(numbers: list[int], positions: Any, cell: Any, name: str = "x", **targets: Any) -> dict[str, Any]:
    """One record for :meth:`Crystals.build`."""
    return {"id": name, "numbers": numbers, "positions": positions, "cell": cell, **targets}


def one(numbers: list[int], positions: Any, cell: Any, **more: Any) -> Crystals:
    """Crystals with one member."""
    return Crystals.build([crystal(numbers, positions, cell, **more)])


def heights(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) distances between opposite faces of a cell."""
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(cell), axis=0))


@st.composite
def cells(draw: st.DrawFn, lengths: tuple[float, float] = (2.0, 4.0)) -> NDArray[np.float64]:
    """Random cells: skewed, left-handed, small; never flat."""
    numbers = st.floats(-1, 1).map(lambda x: round(x, 3))
    while True:
        cell = np.array([[draw(numbers) * 3 for _ in range(3)] for _ in range(3)])
        cell += np.diag([draw(st.floats(*lengths)) * draw(st.sampled_from([1, -1])) for _ in range(3)])
        if abs(np.linalg.det(cell)) > 1 and heights(cell).min() > 1.2:
            return cell


@st.composite
def lattices(draw: st.DrawFn, pbc: st.SearchStrategy[tuple[bool, ...]] = PERIODIC) -> Crystals:
    """One random crystal of 1 to 12 atoms, some of them outside the cell, no two of them overlapping."""
    cell = draw(cells())
    axes = draw(pbc)
    seed, wanted = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 12))
    rng = np.random.default_rng(seed)
    positions: list[NDArray[np.float64]] = []
    for _ in range(wanted):
        positions.append(rng.uniform(-1.5, 1.5, 3) @ cell)
        made = one([8] * len(positions), positions, cell, pbc=list(axes))
        if len(ase.neighborlist.neighbor_list("d", made.to_ase(0), 0.6)):
            positions.pop()
    if not positions:
        positions = [np.zeros(3)]
    return one([8] * len(positions), positions, cell, pbc=list(axes))
