"""Classification scores equal scikit-learn's, and their intervals behave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gbench.classification import classification_metrics, classification_scores
from gbench.errors import DataError

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20)), min_size=4, max_size=60)


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_scores_equal_scikit_learns(pairs: list[tuple[int, float]]) -> None:
    label, probability = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    ours = classification_scores(label, probability)
    said = probability >= 0.5
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(label, said))
    bounded = np.clip(probability, 1e-15, 1 - 1e-15)
    assert ours["log_loss"] == pytest.approx(sk.log_loss(label, bounded, labels=[0, 1]))
    if 0 < label.sum() < len(label):
        assert ours["roc_auc"] == pytest.approx(sk.roc_auc_score(label, probability))
        assert ours["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(label, said))
        assert ours["f1"] == pytest.approx(sk.f1_score(label, said))
    else:
        assert "roc_auc" not in ours


def test_intervals_hold_the_value_and_shrink_with_more_items(rng: np.random.Generator) -> None:
    widths = []
    for size in (50, 5000):
        label = rng.integers(0, 2, size).astype(float)
        probability = np.clip(0.5 + 0.3 * (label - 0.5) + 0.2 * rng.standard_normal(size), 0, 1)
        found = classification_metrics(label, probability)
        for name, metric in found.items():
            assert metric.low <= metric.value <= metric.high, name
        widths.append(found["roc_auc"].high - found["roc_auc"].low)
    assert widths[1] < widths[0] / 5


def test_groups_that_hang_together_widen_the_interval(rng: np.random.Generator) -> None:
    label = np.repeat(rng.integers(0, 2, 30), 10).astype(float)
    probability = np.clip(np.repeat(rng.random(30), 10) * 0.5 + 0.3 * label, 0, 1)
    alone = classification_metrics(label, probability)["roc_auc"]
    grouped = classification_metrics(label, probability, np.repeat(np.arange(30), 10))["roc_auc"]
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_predictions_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 predictions are NaN"):
        classification_metrics(np.array([0.0, 1.0]), np.array([np.nan, 1.0]))
