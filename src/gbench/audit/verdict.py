"""What the measurements of a split amount to."""

from typing import NamedTuple

from gbench.audit.card import Distance, Duplicates, Shared, TargetShift, TwoSample
from gbench.cards import Verdict

LEAK_SHARE = 0.05
"""Share of test rows with a near-duplicate in train from which on a split leaks (ours). A model that remembers them is
flattered by about this share of its error; below it, that drowns in the 95 % interval of a few hundred test items."""
OOD_RATIO, OOD_AUC = 1.1, 0.6
"""A test part is out of distribution where it lies further from train than 1.1 times what chance gives, or where a
classifier tells it from train with an AUC above 0.6 (ours). A ratio counts only where none of the random draws reaches
the distance: on small sets chance alone gives 1.2. Why the flag is needed: of 700 heuristic
out-of-distribution tasks most were interpolation, https://doi.org/10.1038/s43246-024-00731-w."""
STRONG_RATIO = 1.5
"""Ratio of distances from which on a shift is strong (ours): k-means clusters reach 1.7 to 2.4, folds by formula stay
below 1.2. A high AUC alone makes no strong shift: that test can be told from train does not say that it is far."""
STRONG_KS = 0.8
"""Kolmogorov-Smirnov distance of the labels from which on a shift is strong whatever the features say (ours): four
fifths of the test labels lie where next to no training label does."""


YARDSTICK = "that of compositions dealt at random"


class Evidence(NamedTuple):
    """The measurements that decide; None where one was not made."""

    noun: str
    """``crystals`` or ``molecules``."""
    shared: Shared
    duplicates: Duplicates
    target_shift: TargetShift
    composition: Distance
    structure: Distance | None = None
    classifier: TwoSample | None = None


class Judgement(NamedTuple):
    """The end of a card."""

    ood: bool
    verdict: Verdict
    why: str


def judge(evidence: Evidence) -> Judgement:
    """Leak, interpolation, mild shift or strong shift, and why, in one sentence."""
    ratio, auc, ks = _ratio(evidence), _auc(evidence), evidence.target_shift.ks
    ood = ratio > OOD_RATIO or auc > OOD_AUC or ks >= STRONG_KS
    if evidence.duplicates.near.share >= LEAK_SHARE:
        return Judgement(ood, "leak", _leak(evidence))
    if not ood:
        return Judgement(ood, "interpolation", _interpolation(evidence))
    strong = ratio >= STRONG_RATIO or ks >= STRONG_KS
    return Judgement(ood, "strong shift" if strong else "mild shift", _shift(evidence))


def _ratio(evidence: Evidence) -> float:
    """The larger ratio of those that chance did not reach; 1 where there is none."""
    distances = (evidence.composition, evidence.structure)
    return max((one.ratio for one in distances if one and one.test > one.random_highest), default=1.0)


def _auc(evidence: Evidence) -> float:
    return evidence.classifier.auc if evidence.classifier else 0.5


def percent(share: float) -> str:
    """``96 %``; ``< 1 %`` for a little that is more than nothing."""
    return "< 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _leak(evidence: Evidence) -> str:
    found = evidence.duplicates
    exact = f", {percent(found.exact.share)} an exact copy" if found.exact.count else ""
    return f"{percent(found.near.share)} of test {evidence.noun} have a near-duplicate in train{exact}"


def _interpolation(evidence: Evidence) -> str:
    apart = f" and a classifier tells test from train with AUC {_auc(evidence):.2f}" if evidence.classifier else ""
    return f"{_distance(evidence)}{apart}; {_formulas(evidence)}"


def _shift(evidence: Evidence) -> str:
    reasons = []
    if evidence.target_shift.ks >= STRONG_KS:
        reasons.append(f"labels hardly overlap those of train, Kolmogorov-Smirnov {evidence.target_shift.ks:.2f}")
    if _ratio(evidence) > OOD_RATIO or not reasons:
        reasons.append(_distance(evidence))
    if _ratio(evidence) <= OOD_RATIO and _auc(evidence) > OOD_AUC:
        reasons.append(f"a classifier tells test from train with AUC {_auc(evidence):.2f}")
    return f"{' and '.join(reasons)}; {_formulas(evidence)}"


def _distance(evidence: Evidence) -> str:
    found, ratio = evidence.structure, _ratio(evidence)
    by_structure = found is not None and ratio > OOD_RATIO and found.ratio == ratio
    of = " of structures" if by_structure else ""
    return f"nearest-train distance{of} {ratio if by_structure else evidence.composition.ratio:.1f}x {YARDSTICK}"


def _formulas(evidence: Evidence) -> str:
    shared = evidence.shared.formula
    if not shared.count:
        return "no formula in common"
    return f"{percent(shared.share)} of test {evidence.noun} have their formula in train"
