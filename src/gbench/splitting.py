"""Splits: train, validation and test rows, grouped so that what belongs together stays together.

Every scheme gives one group label per row; :func:`grouped_fold` does the rest. A new scheme is one function here, one
class in :mod:`gbench.spec` and one line in ``splits/README.md``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gbench.cards import KFoldSpec
from gbench.crystals import IntArray
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.spec import AnySplit, ClusterSplit, FormulaSplit, GroupedSplit, OfficialSplit, RandomSplit, SplitSpec

LETTERS = {"train": "r", "val": "v", "test": "t"}


@dataclass(frozen=True)
class Split:
    """Rows of a dataset in three disjoint parts that cover it, each in ascending order."""

    train: IntArray
    val: IntArray
    test: IntArray
    frozen: bool = False
    """Whether it was read from a file under ``splits/``."""

    @property
    def code(self) -> str:
        """One letter per row: r train, v validation, t test."""
        letters = np.empty(len(self.train) + len(self.val) + len(self.test), dtype="U1")
        for part, letter in LETTERS.items():
            letters[getattr(self, part)] = letter
        return "".join(letters)

    @property
    def sha256(self) -> str:
        """Hash of the assignment of rows to parts."""
        return hashlib.sha256(self.code.encode()).hexdigest()

    @classmethod
    def from_code(cls, code: str) -> Self:
        """The frozen split that a :attr:`code` stands for."""
        letters = np.array(list(code))
        train, val, test = (np.flatnonzero(letters == letter) for letter in LETTERS.values())
        return cls(train, val, test, frozen=True)


def make_split(dataset: Dataset, spec: AnySplit) -> Split:
    """The split of a dataset, computed.

    Raises:
        SplitError: a fold that does not exist, or a part that would be empty.
    """
    if isinstance(spec, OfficialSplit):
        return _official(dataset, spec)
    return grouped_fold(GROUPINGS[type(spec)](dataset, spec), spec, dataset.card.name)


def fold_count(dataset: Dataset, spec: AnySplit) -> int:
    """How many folds a scheme has on a dataset.

    Raises:
        SplitError: ``official`` on a dataset without published folds.
    """
    if isinstance(spec, GroupedSplit):
        return spec.n_folds
    return _published(dataset).n_splits


def _rows(dataset: Dataset, _spec: SplitSpec) -> IntArray:
    return np.arange(len(dataset.crystals))


def _formulas(dataset: Dataset, _spec: SplitSpec) -> IntArray:
    from gbench.elements import reduced_formulas

    return np.unique(reduced_formulas(dataset.crystals), return_inverse=True)[1].astype(np.int64)


def _clusters(dataset: Dataset, spec: SplitSpec) -> IntArray:
    """k-means on composition vectors; equal compositions share a cluster.

    Source: LOCO-CV, https://doi.org/10.1039/c8me00012c.
    """
    from sklearn.cluster import KMeans

    from gbench.features import composition_vectors

    if not isinstance(spec, ClusterSplit):
        raise SplitError("the cluster grouping needs a cluster spec")
    # rounding makes equal compositions equal points whatever the order of their sites
    vectors = np.round(composition_vectors(dataset.crystals), 6)
    distinct, inverse = np.unique(vectors, axis=0, return_inverse=True)
    if len(distinct) < spec.n_clusters:
        raise SplitError(
            f"{dataset.card.name} has {len(distinct)} distinct compositions, fewer than split.n_clusters="
            f"{spec.n_clusters}; lower it"
        )
    weight = np.bincount(inverse)
    means = KMeans(spec.n_clusters, n_init=10, random_state=spec.seed)  # pyright: ignore[reportArgumentType]
    labels = means.fit(distinct, sample_weight=weight).predict(distinct)
    return np.asarray(labels[inverse], dtype=np.int64)


Grouping = Callable[[Dataset, SplitSpec], IntArray]
GROUPINGS: dict[type[GroupedSplit], Grouping] = {RandomSplit: _rows, FormulaSplit: _formulas, ClusterSplit: _clusters}


def grouped_fold(groups: IntArray, spec: GroupedSplit, name: str) -> Split:
    """One fold: whole groups are test in exactly one fold, and validation is made of whole groups too.

    Groups are shuffled, then dealt, largest first, to the fold that is emptiest.

    Raises:
        SplitError: fewer groups than the folds need, or a fold number out of range.
    """
    check_fold(spec.fold, spec.n_folds)
    rng = np.random.default_rng(spec.seed)
    sizes = np.bincount(groups)
    labels = rng.permutation(np.flatnonzero(sizes))
    if len(labels) < max(spec.n_folds, 3):
        raise SplitError(
            f"{name}: {len(labels)} groups cannot fill {spec.n_folds} folds and a validation part, which would leave "
            f"train empty; lower split.n_folds or choose a finer split"
        )
    fold_of_group = np.full(len(sizes), -1)
    filled = np.zeros(spec.n_folds)
    for label in labels[np.argsort(-sizes[labels], kind="stable")]:
        emptiest = int(filled.argmin())
        fold_of_group[label] = emptiest
        filled[emptiest] += sizes[label]
    is_test = fold_of_group[groups] == spec.fold
    return cut_validation(groups, is_test, spec, name)


def cut_validation(groups: IntArray, is_test: NDArray[np.bool_], spec: SplitSpec, name: str) -> Split:
    """Validation cut from the training side: whole groups, shuffled, until the share is reached.

    Raises:
        SplitError: train or test would be empty.
    """
    rng = np.random.default_rng([spec.seed, spec.fold])
    inner = np.flatnonzero(~is_test)
    sizes = np.bincount(groups[inner], minlength=groups.max() + 1)
    labels = rng.permutation(np.flatnonzero(sizes))
    needed = int(np.searchsorted(np.cumsum(sizes[labels]), spec.val_share * len(inner))) + 1
    is_val = ~is_test & np.isin(groups, labels[:needed])
    train = np.flatnonzero(~is_test & ~is_val)
    if not len(train) or not is_test.any():
        part = "train" if is_test.any() else "test"
        raise SplitError(
            f"{name}: this split leaves {part} empty ({len(np.unique(groups))} groups, val_share {spec.val_share}); "
            f"lower split.val_share or choose a finer split"
        )
    return Split(train, np.flatnonzero(is_val), np.flatnonzero(is_test))


def check_fold(fold: int, n_folds: int) -> None:
    """Raise SplitError unless the fold exists."""
    if fold >= n_folds:
        raise SplitError(f"fold {fold} does not exist; folds run from 0 to {n_folds - 1}")


def _official(dataset: Dataset, spec: OfficialSplit) -> Split:
    """A published fold; validation is cut at random from its training part, as the publishers leave it open.

    Source: Matbench v0.1 (scikit-learn KFold over rows in file order, StratifiedKFold for classification).

    Raises:
        SplitError: no published folds, or those dealt here are not the published ones.
    """
    published = _published(dataset)
    check_fold(spec.fold, published.n_splits)
    test = _dealt(dataset, published)[spec.fold]
    if published.test_sha256 and rows_sha256(test) != published.test_sha256[spec.fold]:
        raise SplitError(
            f"{dataset.card.name}: fold {spec.fold} as scikit-learn deals it here is not the published one; install the "
            f"scikit-learn of constraints.txt, and if that does not help the rows are not the published ones"
        )
    rows = np.arange(len(dataset.crystals))
    return cut_validation(rows, np.isin(rows, test), spec, dataset.card.name)


def _dealt(dataset: Dataset, published: KFoldSpec) -> list[IntArray]:
    """Test rows of each fold."""
    from sklearn.model_selection import KFold, StratifiedKFold

    rows = np.arange(len(dataset.crystals))
    if not published.stratified:
        folds = KFold(published.n_splits, shuffle=True, random_state=published.random_state)
        return [test for _, test in folds.split(rows)]
    stratified = StratifiedKFold(published.n_splits, shuffle=True, random_state=published.random_state)
    return [test for _, test in stratified.split(rows, dataset.labels())]


def rows_sha256(rows: IntArray) -> str:
    """Hash of row numbers, counted from 0, in ascending order, each with a line feed."""
    return hashlib.sha256("".join(f"{row}\n" for row in np.sort(rows)).encode()).hexdigest()


def _published(dataset: Dataset) -> KFoldSpec:
    card = dataset.card
    if card.official is None:
        raise SplitError(f"{card.name} has no official folds; use --split {card.default_split}")
    return card.official
