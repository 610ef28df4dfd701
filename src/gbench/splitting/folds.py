"""From groups, members or extremes to train, validation and test."""

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import FloatArray, IntArray
from gbench.errors import SplitError
from gbench.spec import ExtremeSplit, GroupedSplit, MemberSplit, SplitSpec
from gbench.splitting.scheme import Groups, Members
from gbench.splitting.split import Split

MIN_TRAIN_SHARE = 0.1
"""A split that leaves less than this to train on is refused."""
MAX_TEST_SHARE = 0.6
"""A fold that tests on more than this is refused: it would say little of the dataset, and of the scheme."""

Mask = NDArray[np.bool_]


def check_fold(fold: int, n_folds: int) -> None:
    """Raise SplitError unless the fold exists."""
    if fold >= n_folds:
        raise SplitError(f"fold {fold} does not exist; folds run from 0 to {n_folds - 1}")


def grouped_fold(groups: Groups, spec: GroupedSplit, name: str) -> Split:
    """One fold: whole groups are test in exactly one fold, and validation is made of whole groups too.

    Groups are shuffled, then dealt, largest first, to the fold that is emptiest; with ``n_folds: all`` each group is a
    fold (leave one group out).

    Raises:
        SplitError: fewer groups than the folds need, a fold number out of range, or a part that would be too small.
    """
    label = groups.label
    count = len(np.unique(label)) if spec.n_folds == "all" else spec.n_folds
    check_fold(spec.fold, count)
    fold_of_group = _dealt(label, count, spec, name)
    is_test = fold_of_group[label] == spec.fold
    held_out = tuple(groups.names[group] for group in np.unique(label[is_test])) if groups.names else ()
    return cut_validation(label, is_test, spec, name, held_out)


def _dealt(label: IntArray, count: int, spec: GroupedSplit, name: str) -> IntArray:
    sizes = np.bincount(label)
    if spec.n_folds == "all":
        fold_of_group = np.full(len(sizes), -1)
        fold_of_group[np.flatnonzero(sizes)] = np.arange(count)
        return fold_of_group
    shuffled = np.random.default_rng(spec.seed).permutation(np.flatnonzero(sizes))
    if len(shuffled) < max(count, 3):
        raise SplitError(
            f"{name}: {len(shuffled)} groups cannot fill {count} folds and a validation part, which would leave "
            f"train empty; lower split.n_folds or choose a finer split"
        )
    return deal(sizes, shuffled, count)


def deal(sizes: IntArray, shuffled: IntArray, count: int) -> IntArray:
    """(groups,) fold of each group; the ``shuffled`` ones go, largest first, to the emptiest fold; others get -1."""
    fold_of_group = np.full(len(sizes), -1)
    filled = np.zeros(count)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        emptiest = int(filled.argmin())
        fold_of_group[group] = emptiest
        filled[emptiest] += sizes[group]
    return fold_of_group


def cut_validation(label: IntArray, is_test: Mask, spec: SplitSpec, name: str, held_out: tuple[str, ...] = ()) -> Split:
    """Validation cut from the training side by whole groups.

    Groups are shuffled and taken until the share is reached; with ``n_inner``, the training side is dealt to that many
    inner folds and validation is the fold ``inner`` of them (nested cross-validation).

    Raises:
        SplitError: train or test would be empty or nearly so.
    """
    rng = np.random.default_rng([spec.seed, spec.fold])
    sizes = np.bincount(label[~is_test], minlength=label.max() + 1)
    shuffled = rng.permutation(np.flatnonzero(sizes))
    if spec.n_inner is not None:
        if len(shuffled) < max(spec.n_inner, 2):
            raise SplitError(
                f"{name}: {len(shuffled)} groups cannot fill {spec.n_inner} inner folds; lower split.n_inner"
            )
        chosen = np.flatnonzero(deal(sizes, shuffled, spec.n_inner) == (spec.inner or 0))
    else:
        needed = int(np.searchsorted(np.cumsum(sizes[shuffled]), spec.val_share * sizes.sum())) + 1
        chosen = shuffled[:needed]
    return _parts(~is_test & np.isin(label, chosen), is_test, name, held_out)


def member_fold(members: Members, spec: MemberSplit, name: str) -> Split:
    """Test is every row that contains what is held out: ``hold``, or the ``fold``-th thing that enough rows contain.

    Validation is made the same way from the training side: things are drawn until their rows reach the share.

    Raises:
        SplitError: nothing can be held out, a name that does not exist, or a part that would be too small.
    """
    chosen = _held(members, spec, name)
    is_test = np.asarray(members.table[:, chosen].any(axis=1))
    held_out = tuple(members.names[place] for place in chosen)
    share = is_test.mean()
    if 1 - share < MIN_TRAIN_SHARE:
        raise SplitError(f"{name}: {' '.join(held_out)} is in {share:.0%} of rows; nothing to train on")
    return _parts(_member_validation(members, is_test, spec, name), is_test, name, held_out)


def eligible(members: Members, spec: MemberSplit) -> IntArray:
    """Places of what can be held out: in at least ``min_share`` and at most ``max_share`` of the rows."""
    share = members.table.mean(axis=0)
    return np.flatnonzero((share >= spec.min_share) & (share <= spec.max_share) & (share > 0))


def _held(members: Members, spec: MemberSplit, name: str) -> IntArray:
    if spec.hold:
        absent = [wanted for wanted in spec.hold if wanted not in members.names]
        if absent:
            raise SplitError(f"{name}: no row contains {absent[0]!r}; known: {', '.join(members.names)}")
        check_fold(spec.fold, 1)
        return np.array([members.names.index(wanted) for wanted in spec.hold])
    places = eligible(members, spec)
    if not len(places):
        commonest = int(members.table.sum(axis=0).argmax())
        raise SplitError(
            f"{name}: nothing is in {spec.min_share:.0%} to {spec.max_share:.0%} of rows "
            f"({members.names[commonest]} is in {members.table[:, commonest].mean():.0%}; nothing to train on); "
            "widen split.min_share and max_share"
        )
    check_fold(spec.fold, len(places))
    return places[spec.fold : spec.fold + 1]


def _member_validation(members: Members, is_test: Mask, spec: MemberSplit, name: str) -> Mask:
    inner = members.table & ~is_test[:, None]
    counts = inner.sum(axis=0)
    n_inner = int((~is_test).sum())
    # what most of the training side contains would leave nothing to train on
    usable = np.flatnonzero((counts > 0) & (counts <= n_inner / 2))
    if not len(usable):
        raise SplitError(
            f"{name}: all else is in more than half of the training side, so validation cannot hold it out; "
            "choose --split formula or extrapolation"
        )
    shuffled = np.random.default_rng([spec.seed, spec.fold]).permutation(usable)
    if spec.n_inner is not None:
        fitting = shuffled[counts[shuffled] >= spec.min_share * n_inner]
        check_fold(spec.inner or 0, min(spec.n_inner, len(fitting)))
        return np.asarray(inner[:, fitting[spec.inner or 0]])
    is_val = np.zeros(len(is_test), bool)
    wanted = spec.val_share * n_inner
    for place in shuffled:
        if is_val.sum() >= wanted:
            break
        more = is_val | inner[:, place]
        # a step far past the share is taken only where there is nothing yet
        if more.sum() <= 2 * wanted or not is_val.any():
            is_val = more
    return is_val


def extreme_fold(score: FloatArray, spec: ExtremeSplit, name: str) -> Split:
    """Test are the rows of the largest scores, validation those of the largest that are left.

    Equal scores stay together.

    Raises:
        SplitError: too few distinct scores to cut at, or a part that would be too small.
    """
    check_fold(spec.fold, 1)
    if spec.n_inner is not None:
        raise SplitError(f"{name}: one end of a scale has no inner folds; leave out split.n_inner")
    known = np.isfinite(score)
    is_test = _top(score, known, spec.test_share)
    is_val = _top(score, known & ~is_test, spec.val_share)
    if is_test.mean() > 2 * spec.test_share or not (known & ~is_test & ~is_val).any():
        values = len(np.unique(score[known]))
        raise SplitError(
            f"{name}: {is_test.mean():.0%} of rows share the most extreme values ({values} distinct ones), so "
            f"{spec.test_share:.0%} cannot be cut off; choose another split.test_share or split"
        )
    return _parts(is_val, is_test, name)


def _top(score: FloatArray, among: Mask, share: float) -> Mask:
    """The rows at or above the score that comes nearest to cutting off this share."""
    values, counts = np.unique(score[among], return_counts=True)
    if not len(values):
        return np.zeros(len(score), bool)
    above = counts[::-1].cumsum()
    cut = int(np.abs(above - share * above[-1]).argmin())
    return np.asarray(among & (score >= values[::-1][cut]))


def _parts(is_val: Mask, is_test: Mask, name: str, held_out: tuple[str, ...] = ()) -> Split:
    is_train = ~is_val & ~is_test
    shares = {"train": is_train.mean(), "val": is_val.mean(), "test": is_test.mean()}
    for part, share in shares.items():
        if not share or (part == "train" and share < MIN_TRAIN_SHARE):
            left = "empty" if not share else f"with {share:.0%} of rows"
            raise SplitError(f"{name}: this split leaves {part} {left}; lower split.val_share or choose a finer split")
    if shares["test"] > MAX_TEST_SHARE:
        raise SplitError(
            f"{name}: this fold tests on {shares['test']:.0%} of rows; choose another split.fold or a finer split"
        )
    return Split(np.flatnonzero(is_train), np.flatnonzero(is_val), np.flatnonzero(is_test), held_out=held_out)
