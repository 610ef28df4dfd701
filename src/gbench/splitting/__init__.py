"""Splits: train, validation and test rows, so that what belongs together stays together.

A scheme is one function in one of this package's families (:mod:`gbench.splitting.scheme` says how) and one line in
``splits/README.md``.
"""

import numpy as np

from gbench.dataset import Dataset
from gbench.spec import ExtremeSplit, GroupedSplit, MemberSplit, SplitSpec
from gbench.splitting.folds import check_fold, cut_validation, eligible, extreme_fold, grouped_fold, member_fold
from gbench.splitting.scheme import make_spec, schemes
from gbench.splitting.split import LETTERS, Split

__all__ = ["LETTERS", "Split", "fold_count", "make_spec", "make_split", "schemes"]


def make_split(dataset: Dataset, spec: SplitSpec) -> Split:
    """The split of a dataset, computed.

    Raises:
        SplitError: a fold that does not exist, or a part that would be empty.
    """
    name = f"{dataset.card.name}, split {spec.scheme}"
    found = schemes()[spec.scheme](dataset, spec)
    if isinstance(spec, GroupedSplit):
        return grouped_fold(found, spec, name)
    if isinstance(spec, MemberSplit):
        return member_fold(found, spec, name)
    if isinstance(spec, ExtremeSplit):
        return extreme_fold(found, spec, name)
    check_fold(spec.fold, len(found))
    rows = np.arange(len(dataset.crystals))
    return cut_validation(rows, np.isin(rows, found[spec.fold]), spec, name)


def fold_count(dataset: Dataset, spec: SplitSpec) -> int:
    """How many folds a scheme has on a dataset.

    Raises:
        SplitError: ``official`` on a dataset without published folds, or nothing can be held out.
    """
    if isinstance(spec, ExtremeSplit) or (isinstance(spec, MemberSplit) and spec.hold):
        return 1
    if isinstance(spec, GroupedSplit) and spec.n_folds != "all":
        return spec.n_folds
    found = schemes()[spec.scheme](dataset, spec)
    if isinstance(spec, GroupedSplit):
        return len(np.unique(found.label))
    return len(eligible(found, spec)) if isinstance(spec, MemberSplit) else len(found)
