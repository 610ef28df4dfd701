"""By simulation: intervals cover as often as they claim, and tests find nothing where there is nothing.

Bounds leave three standard errors of a proportion in 2,000 trials, 0.015, beyond what is promised.
"""

from collections.abc import Callable

import numpy as np
import pytest

from gbench.stats import corrected_t_test, holm, t_interval
from gbench.stats.comparison import bootstrap_p_values
from gbench.stats.intervals import percentile_interval
from gbench.stats.resampling import FloatArray, resampled_sums

TRIALS = 2000
ERROR = 0.015
Draw = Callable[[np.random.Generator, tuple[int, int]], FloatArray]


def absolute(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """|error| of normal errors; mean sqrt(2/pi)."""
    return np.abs(rng.normal(size=shape))


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """|error| with a long tail; mean 1."""
    return rng.exponential(size=shape)


@pytest.mark.parametrize(("draw", "truth"), [(absolute, np.sqrt(2 / np.pi)), (skewed, 1.0)])
@pytest.mark.parametrize("items", [50, 200])
def test_bootstrap_intervals_of_a_mean_error_cover_it(draw: Draw, truth: float, items: int) -> None:
    errors = draw(np.random.default_rng(0), (items, TRIALS))
    drawn = resampled_sums(errors) / items
    hits = sum(low <= truth <= high for low, high in (percentile_interval(column, items) for column in drawn.T))
    assert 0.93 - ERROR < hits / TRIALS < 0.97 + ERROR


def test_t_intervals_cover_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=(TRIALS, 5)).tolist()
    hits = sum(low <= 0 <= high for low, high in map(t_interval, values))
    assert 0.93 < hits / TRIALS < 0.97


@pytest.mark.parametrize("draw", [absolute, skewed])
@pytest.mark.parametrize("items", [20, 150])
def test_the_paired_bootstrap_finds_nothing_where_there_is_nothing(draw: Draw, items: int) -> None:
    rng = np.random.default_rng(2)
    hardness = rng.lognormal(size=(items, TRIALS))
    differences = hardness * (draw(rng, (items, TRIALS)) - draw(rng, (items, TRIALS)))
    assert (bootstrap_p_values(differences) < 0.05).mean() < 0.06


def test_the_paired_bootstrap_finds_what_is_there() -> None:
    """Errors 10 % larger, correlated by the hardness of each item, 253 items: power above 0.6."""
    rng = np.random.default_rng(3)
    hardness = rng.lognormal(sigma=0.5, size=(253, TRIALS))
    differences = hardness * (1.1 * absolute(rng, hardness.shape) - absolute(rng, hardness.shape))
    power = (bootstrap_p_values(differences) < 0.05).mean()
    paired = hardness * (0.1 * absolute(rng, hardness.shape) + rng.normal(scale=0.3, size=hardness.shape))
    assert 0.15 < power < 0.5
    assert (bootstrap_p_values(paired) < 0.05).mean() > 0.9


def cross_validated(rng: np.random.Generator, trials: int, items: int = 50, better: float = 0.0) -> FloatArray:
    """(trials, 5) differences of test MAE, by fold, of two least-squares fits that see half of the features each.

    The halves tell equally much about the label, but for ``better``; each trial is a new dataset.
    """
    features = rng.normal(size=(trials, items, 10))
    weights = np.repeat([1 - better, 1.0], 5)
    label = features @ weights + rng.normal(size=(trials, items))
    fold = np.arange(items) % 5
    errors = np.empty((trials, 5, 2))
    for held, half in np.ndindex(5, 2):
        seen = features[:, :, 5 * half : 5 * half + 5]
        x, y = seen[:, fold != held], label[:, fold != held, None]
        fitted = np.linalg.solve(x.transpose(0, 2, 1) @ x, x.transpose(0, 2, 1) @ y)
        found = (seen[:, fold == held] @ fitted)[:, :, 0]
        errors[:, held, half] = np.abs(found - label[:, fold == held]).mean(axis=1)
    return errors[:, :, 0] - errors[:, :, 1]


def test_the_corrected_t_test_allows_for_shared_training_data() -> None:
    rng = np.random.default_rng(4)
    nothing, something = cross_validated(rng, TRIALS).tolist(), cross_validated(rng, TRIALS, 400, 0.3).tolist()
    corrected = np.mean([corrected_t_test(row, 0.25) < 0.05 for row in nothing])
    naive = np.mean([corrected_t_test(row, 0.0) < 0.05 for row in nothing])
    found = np.mean([corrected_t_test(row, 0.25) < 0.05 for row in something])
    assert corrected < 0.06 < naive
    assert found > 0.7


def test_holm_keeps_false_findings_of_a_whole_table_rare() -> None:
    rng = np.random.default_rng(5)
    tables = rng.uniform(size=(TRIALS, 10))
    any_found = np.mean([holm(table).min() < 0.05 for table in tables])
    assert 0.05 - 2 * ERROR < any_found < 0.05 + ERROR
    assert np.mean(tables.min(axis=1) < 0.05) > 0.35
