"""Comparing molecules by their sorted interatomic distances."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.audit.matching import EXACT, NEAR, Outcome
from gbench.crystals import Crystals, FloatArray, IntArray

NEAR_ANGSTROM, EXACT_ANGSTROM = 0.1, 1e-3
"""Largest difference of any sorted distance of near and of exact duplicates."""


class Molecules(NamedTuple):
    """Molecules and their formulas."""

    crystals: Crystals
    formulas: NDArray[np.str_]
    """(n,) reduced formulas."""


def match_molecules(molecules: Molecules, train: IntArray, test: IntArray) -> list[Outcome]:
    """The test molecules that have a duplicate in train, with the nearest one.

    Means over the distances of each pair of elements differ by no more than the distances themselves, so a tree over
    these few numbers finds every candidate.
    """
    atoms = molecules.crystals.n_atoms
    # molecules of one reduced formula may differ in size
    keys = np.char.add(molecules.formulas, np.char.mod(" %d", atoms))
    found: list[Outcome] = []
    by_key = train[np.argsort(keys[train], kind="stable")]
    sorted_keys = keys[by_key]
    for key in np.unique(keys[test]).tolist():
        first, last = np.searchsorted(sorted_keys, key, "left"), np.searchsorted(sorted_keys, key, "right")
        if last > first:
            found += _match(molecules.crystals, by_key[first:last], test[keys[test] == key])
    return found


def _match(crystals: Crystals, train: IntArray, test: IntArray) -> list[Outcome]:
    """The same for molecules of one formula."""
    from scipy.spatial import KDTree

    distances, starts = sorted_distances(crystals, np.concatenate([train, test]))
    if not len(starts):
        # single atoms are all alike
        return [Outcome(row, int(train[0]), EXACT, 1) for row in test.tolist()]
    means = np.add.reduceat(distances, starts, axis=1) / np.diff(np.append(starts, distances.shape[1]))
    tree = KDTree(means[: len(train)])
    near = tree.query_ball_point(means[len(train) :], NEAR_ANGSTROM + 1e-9, p=np.inf)
    found = []
    for place, candidates in enumerate(near):
        if candidates:
            chosen = np.array(candidates)
            worst = np.abs(distances[chosen] - distances[len(train) + place]).max(axis=1)
            best = int(worst.argmin())
            if worst[best] <= NEAR_ANGSTROM:
                grade = EXACT if worst[best] <= EXACT_ANGSTROM else NEAR
                found.append(Outcome(int(test[place]), int(train[chosen[best]]), grade, len(chosen)))
    return found


def sorted_distances(crystals: Crystals, rows: IntArray) -> tuple[FloatArray, IntArray]:
    """(rows, pairs) interatomic distances in Å of molecules of one formula, and the first column of each element pair.

    Distances are sorted within each pair of elements, so that the numbering of the atoms does not matter.
    """
    size = int(crystals.n_atoms[rows[0]])
    atoms = crystals.ptr[rows][:, None] + np.arange(size)
    order = np.argsort(crystals.numbers[atoms], axis=1, kind="stable")
    positions = np.take_along_axis(crystals.positions[atoms], order[:, :, None], axis=1)
    numbers = np.sort(crystals.numbers[atoms[0]])
    first, second = np.triu_indices(size, 1)
    kind = numbers[first].astype(np.int64) * 1000 + numbers[second]
    columns = np.argsort(kind, kind="stable")
    first, second, kind = first[columns], second[columns], kind[columns]
    distances = np.linalg.norm(positions[:, first] - positions[:, second], axis=2)
    starts = np.flatnonzero(np.diff(kind, prepend=-1))
    for start, stop in zip(starts, np.append(starts, len(kind))[1:], strict=True):
        distances[:, start:stop] = np.sort(distances[:, start:stop], axis=1)
    return distances, starts
