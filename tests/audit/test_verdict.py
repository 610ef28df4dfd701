"""What measurements amount to."""

from typing import Any

import pytest

from gbench.audit.card import Distance, Duplicates, Overlap, Shared, TargetShift, TwoSample
from gbench.audit.verdict import Evidence, judge, percent

NOTHING = Overlap(count=0, share=0.0)


def distance(ratio: float, highest: float = 1.05) -> Distance:
    return Distance(test=ratio, random=1.0, random_highest=highest, ratio=ratio)


def evidence(
    near: int = 0, formula: int = 0, ratio: float = 1.0, structure: float | None = None, auc: float | None = None,
    ks: float = 0.1, highest: float = 1.05,
) -> Evidence:  # fmt: skip
    return Evidence(
        noun="crystals",
        shared=Shared(formula=Overlap(count=formula, share=formula / 100), chemical_system=NOTHING),
        duplicates=Duplicates(checked=100, near=Overlap(count=near, share=near / 100), exact=NOTHING, compared=near),
        target_shift=TargetShift(ks=ks),
        composition=distance(ratio, highest),
        structure=None if structure is None else distance(structure),
        classifier=None if auc is None else TwoSample(auc=auc, rows=200),
    )


@pytest.mark.parametrize(
    ("measured", "verdict", "ood", "words"),
    [
        ({"near": 96}, "leak", False, "96 % of test crystals have a near-duplicate in train"),
        ({"near": 5, "ratio": 2.0}, "leak", True, "5 % of test crystals"),
        ({"near": 4, "formula": 11}, "interpolation", False, "11 % of test crystals have their formula in train"),
        ({"auc": 0.52}, "interpolation", False, "AUC 0.52; no formula in common"),
        ({"ratio": 1.1, "auc": 0.6}, "interpolation", False, "1.1x"),
        ({"ratio": 1.2, "highest": 1.25}, "interpolation", False, "1.2x"),
        ({"ratio": 1.2}, "mild shift", True, "nearest-train distance 1.2x that of compositions dealt at random"),
        ({"auc": 0.99}, "mild shift", True, "a classifier tells test from train with AUC 0.99"),
        ({"structure": 1.3}, "mild shift", True, "nearest-train distance of structures 1.3x"),
        ({"ratio": 2.1}, "strong shift", True, "2.1x that of compositions dealt at random; no formula in common"),
        ({"structure": 1.6, "auc": 0.9}, "strong shift", True, "of structures 1.6x"),
        ({"ks": 0.95}, "strong shift", True, "labels hardly overlap those of train"),
    ],
)
def test_verdicts(measured: dict[str, Any], verdict: str, ood: bool, words: str) -> None:
    judgement = judge(evidence(**measured))
    assert (judgement.verdict, judgement.ood) == (verdict, ood)
    assert words in judgement.why
    assert "\n" not in judgement.why


def test_a_little_is_not_shown_as_nothing() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.5, 1.0)] == ["0 %", "< 1 %", "50 %", "100 %"]
