"""The folds that the publishers of a dataset chose."""

import hashlib

import numpy as np

from gbench.cards import KFoldSpec
from gbench.crystals import IntArray
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.splitting.scheme import published


@published("official")
def official(dataset: Dataset) -> list[IntArray]:
    """The dataset's published folds; validation is cut at random from the training part, which publishers leave open.

    Source: Matbench v0.1 (scikit-learn KFold over rows in file order, StratifiedKFold for classification).

    Raises:
        SplitError: no published folds, or those dealt here are not the published ones.
    """
    folds = published_folds(dataset)
    dealt = _dealt(dataset, folds)
    for number, (test, expected) in enumerate(zip(dealt, folds.test_sha256, strict=False)):
        if rows_sha256(test) != expected:
            raise SplitError(
                f"{dataset.card.name}: fold {number} as scikit-learn deals it here is not the published one; install "
                f"the scikit-learn of constraints.txt, and if that does not help the rows are not the published ones"
            )
    return dealt


def published_folds(dataset: Dataset) -> KFoldSpec:
    """How the card says that folds were made.

    Raises:
        SplitError: the dataset has none.
    """
    card = dataset.card
    if card.official is None:
        raise SplitError(f"{card.name} has no official folds; use --split {card.default_split}")
    return card.official


def rows_sha256(rows: IntArray) -> str:
    """Hash of row numbers, counted from 0, in ascending order, each with a line feed."""
    return hashlib.sha256("".join(f"{row}\n" for row in np.sort(rows)).encode()).hexdigest()


def _dealt(dataset: Dataset, folds: KFoldSpec) -> list[IntArray]:
    """Test rows of each fold."""
    from sklearn.model_selection import KFold, StratifiedKFold

    rows = np.arange(len(dataset.crystals))
    if not folds.stratified:
        plain = KFold(folds.n_splits, shuffle=True, random_state=folds.random_state)
        return [test for _, test in plain.split(rows)]
    stratified = StratifiedKFold(folds.n_splits, shuffle=True, random_state=folds.random_state)
    return [test for _, test in stratified.split(rows, dataset.labels())]
