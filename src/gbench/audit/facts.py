"""What the audits of all splits of one dataset have in common, worked out when first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import FloatArray, IntArray
from gbench.dataset import Dataset
from gbench.elements import counts
from gbench.spec import GraphSpec

if TYPE_CHECKING:
    from gbench.symmetry import Symmetries

Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and of how much."""
GRAPH = GraphSpec(cutoff=5.0, on_short="grow")
"""Neighbours that structure features are taken over: the graph of the ``trees`` baseline, so that one cache serves."""
OUTLIER = 5.0
"""Standard deviations at which structure features are cut: one odd crystal must not decide about a mean distance."""
SKEWED = ("atoms", "volume per atom", "density")
BULK = ("volume per atom", "packing fraction", "density")
"""Features that need a volume, which molecules do not have."""


def silent(_what: str, _done: int, _total: int) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True)
class Facts:
    """A dataset and what follows from its structures alone."""

    dataset: Dataset

    @cached_property
    def by_id(self) -> IntArray:
        """(n,) rows in order of their ids: what is drawn from them does not depend on the order of rows."""
        return np.argsort(np.array(self.dataset.crystals.ids), kind="stable").astype(np.int64)

    @cached_property
    def rank(self) -> IntArray:
        """(n,) place of each row in :attr:`by_id`."""
        return np.argsort(self.by_id).astype(np.int64)

    @cached_property
    def formulas(self) -> NDArray[np.str_]:
        """(n,) reduced formulas."""
        return self.dataset.formulas

    @cached_property
    def elements(self) -> NDArray[np.bool_]:
        """(n, 104) which elements are in each row."""
        return counts(self.dataset.crystals) > 0

    @cached_property
    def systems(self) -> NDArray[np.bytes_]:
        """(n,) a key for each set of elements."""
        packed = np.packbits(self.elements, axis=1)
        return np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()

    @cached_property
    def distinct(self) -> tuple[FloatArray, IntArray]:
        """(compositions, features) distinct composition vectors, and (n,) which of them each row has."""
        from gbench.features import composition_vectors

        # rounding makes equal compositions equal points whatever the order of their sites
        points = np.round(composition_vectors(self.dataset.crystals), 6)
        found, inverse = np.unique(points, axis=0, return_inverse=True)
        return found, inverse.astype(np.int64)

    @cached_property
    def symmetry(self) -> "Symmetries | None":
        """Space groups and prototypes of all rows; None where there are molecules."""
        from gbench.symmetry import symmetries

        return None if self.has_molecules else symmetries(self.dataset.crystals)

    @cached_property
    def has_molecules(self) -> bool:
        """Whether any row has no cell."""
        return bool((self.dataset.crystals.volume == 0).any())

    @cached_property
    def structures(self) -> FloatArray:
        """(n, features) structure statistics (:func:`gbench.features.structure_statistics`), standardised.

        Sizes and densities enter by their logarithm.
        """
        from gbench.features import structure_statistics

        names, values = structure_statistics(self.dataset.graphs(GRAPH))
        columns = []
        for name, column in zip(names, values.T, strict=True):
            if name in BULK and self.has_molecules:
                continue
            columns.append(np.log(column) if name in SKEWED else column)
        table = np.stack(columns, axis=1)
        deviation = table.std(axis=0)
        scaled = (table - table.mean(axis=0)) / np.where(deviation > 1e-9, deviation, np.inf)
        # rounding hides the noise of sums over another order of rows
        return np.asarray(np.round(np.clip(scaled, -OUTLIER, OUTLIER), 6))

    @cached_property
    def features(self) -> FloatArray:
        """(n, features) of composition and structure, standardised: what tells rows apart."""
        points, inverse = self.distinct
        spread = points[inverse].std(axis=0)
        scaled = (points[inverse] - points[inverse].mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
        return np.concatenate([np.round(scaled, 6), self.structures], axis=1)


@dataclass(frozen=True)
class Parts:
    """The labelled rows of a split, each part in order of ids."""

    train: IntArray
    val: IntArray
    test: IntArray
