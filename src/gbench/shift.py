"""How far a test part lies from its training part."""

from dataclasses import dataclass

import numpy as np

from gbench.crystals import FloatArray, IntArray
from gbench.dataset import Dataset
from gbench.elements import reduced_formulas
from gbench.features import composition_vectors
from gbench.splitting import Split

MILD, STRONG = 1.2, 1.5
"""Ratios at which a shift is called mild and strong (ours)."""


DRAWS = 5


@dataclass(frozen=True)
class Shift:
    """Test against train, in composition space; every composition counts once."""

    distance: float
    """Mean distance of a test composition to the nearest training composition."""
    random_distance: float
    """The same where whole compositions are dealt to parts of equal sizes at random; mean of several draws."""
    shared_formulas: float
    """Share of test crystals whose reduced formula is in train."""

    @property
    def ratio(self) -> float:
        """``distance / random_distance``; 1 where compositions do not differ at all."""
        return self.distance / self.random_distance if self.random_distance else 1.0

    def describe(self) -> str:
        """One line for a person."""
        size = "strong shift" if self.ratio >= STRONG else "mild shift" if self.ratio > MILD else "no shift"
        share = self.shared_formulas
        shared = f"{share:.0%} of test crystals have their formula in train" if share else "no formula in common"
        return f"{size}: nearest-train distance {self.ratio:.1f}x that of compositions dealt at random; {shared}"


def measure_shift(dataset: Dataset, split: Split, seed: int = 0) -> Shift:
    """The shift of a split, measured with composition vectors (:func:`gbench.features.composition_vectors`)."""
    points = np.round(composition_vectors(dataset.crystals), 6)
    distinct, inverse = np.unique(points, axis=0, return_inverse=True)
    train, test = np.unique(inverse[split.train]), np.unique(inverse[split.test])
    rng = np.random.default_rng(seed)
    size = min(len(test), len(distinct) - 1)
    draws = []
    for _ in range(DRAWS):
        dealt = rng.permutation(len(distinct))
        rest = dealt[size:]
        draws.append(_nearest(distinct, rest[: max(1, min(len(train), len(rest)))], dealt[:size]))
    formulas = np.array(reduced_formulas(dataset.crystals))
    return Shift(
        distance=_nearest(distinct, train, test),
        random_distance=float(np.mean(draws)),
        shared_formulas=float(np.isin(formulas[split.test], formulas[split.train]).mean()),
    )


def _nearest(vectors: FloatArray, train: IntArray, test: IntArray) -> float:
    from sklearn.neighbors import NearestNeighbors

    found, _ = NearestNeighbors(n_neighbors=1).fit(vectors[train]).kneighbors(vectors[test])
    return float(found.mean())
