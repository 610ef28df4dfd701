"""Scores equal scikit-learn's; intervals cover as often as they claim."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from gbench.errors import DataError
from gbench.metrics import point_scores, regression_metrics


def test_scores_equal_scikit_learns(rng: np.random.Generator) -> None:
    label = rng.normal(1000, 3, 200)
    prediction = label + rng.normal(0, 1, 200)
    metrics = regression_metrics(label, prediction, "eV")
    expected = {
        "mae": mean_absolute_error(label, prediction),
        "rmse": root_mean_squared_error(label, prediction),
        "r2": r2_score(label, prediction),
    }
    for name, value in expected.items():
        assert metrics[name].value == pytest.approx(value, rel=1e-10)
        assert metrics[name].low < value < metrics[name].high
    assert point_scores(label, prediction)["mae"] == pytest.approx(expected["mae"])
    assert (metrics["mae"].unit, metrics["r2"].unit) == ("eV", "1")
    assert (metrics["mae"].better, metrics["r2"].better) == ("lower", "higher")


def test_intervals_are_reproducible(rng: np.random.Generator) -> None:
    label, prediction = rng.normal(size=(2, 50))
    assert regression_metrics(label, prediction, "1") == regression_metrics(label, prediction, "1")


def test_copies_of_one_compound_do_not_narrow_the_interval(rng: np.random.Generator) -> None:
    label, error = rng.normal(size=(2, 40))
    groups = np.repeat(np.arange(40), 5)
    alone = regression_metrics(label, label + error, "1")["mae"]
    naive = regression_metrics(np.repeat(label, 5), np.repeat(label + error, 5), "1")["mae"]
    grouped = regression_metrics(np.repeat(label, 5), np.repeat(label + error, 5), "1", groups)["mae"]
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=1e-6)
    assert naive.high - naive.low < 0.6 * (alone.high - alone.low)


def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    truth = np.sqrt(2 / np.pi)
    hits = 0
    for _ in range(200):
        metric = regression_metrics(np.zeros(150), rng.normal(size=150), "1")["mae"]
        hits += metric.low <= truth <= metric.high
    # three standard errors of a proportion of 0.95 in 200 trials
    assert 0.90 < hits / 200 < 0.998


def test_constant_labels_have_no_r2() -> None:
    metrics = regression_metrics(np.ones(5), np.linspace(0, 1, 5), "eV")
    assert set(metrics) == {"mae", "rmse"}
    assert set(point_scores(np.ones(5), np.zeros(5))) == {"mae", "rmse"}


def test_resamples_with_equal_labels_do_not_spoil_r2() -> None:
    metric = regression_metrics(np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.0, 0.9]), "eV")["r2"]
    assert -10 < metric.low <= metric.value <= metric.high <= 1


def test_one_group_has_no_interval(rng: np.random.Generator) -> None:
    label, prediction = rng.normal(size=(2, 9))
    metric = regression_metrics(label, prediction, "1", np.zeros(9, int))["mae"]
    assert metric.low == metric.value == metric.high


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="1 of 2 predictions are NaN or infinite"):
        point_scores(np.zeros(2), np.array([0.0, bad]))


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(DataError, match="no labelled item"):
        point_scores(np.empty(0), np.empty(0))
