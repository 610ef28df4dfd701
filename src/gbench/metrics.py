"""Scores with 95 % intervals."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.errors import DataError
from gbench.result import Metric
from gbench.stats.intervals import percentile_interval
from gbench.stats.resampling import FloatArray, resampled_sums

Better = Literal["lower", "higher"]


class Sums(NamedTuple):
    """Sums from which every score follows: per group (groups,), or of resamples (resamples,)."""

    items: FloatArray
    absolute: FloatArray
    """sum of |error|"""
    squared: FloatArray
    """sum of error^2"""
    label: FloatArray
    """sum of labels, less their overall mean"""
    label_squared: FloatArray
    """sum of the squares of the same"""

    def total(self) -> "Sums":
        """Over all groups, (1,) each."""
        return Sums(*(np.array([values.sum()]) for values in self))


class Score(NamedTuple):
    """A score with its unit and direction."""

    values: FloatArray
    unit: str
    better: Better


def scores(sums: Sums, unit: str) -> dict[str, Score]:
    """``mae``, ``rmse`` and ``r2`` of each row of ``sums``; R2 is NaN where all labels are equal."""
    variation = sums.label_squared - sums.label**2 / sums.items
    defined = variation > 1e-12 * np.maximum(sums.label_squared, 1e-300)
    r2 = np.where(defined, 1 - sums.squared / np.where(defined, variation, 1.0), np.nan)
    return {
        "mae": Score(sums.absolute / sums.items, unit, "lower"),
        "rmse": Score(np.sqrt(sums.squared / sums.items), unit, "lower"),
        "r2": Score(r2, "1", "higher"),
    }


def regression_metrics(
    label: FloatArray, prediction: FloatArray, unit: str, groups: NDArray[np.int64] | None = None
) -> dict[str, Metric]:
    """``mae``, ``rmse`` and ``r2`` of (items,) predictions, each with a 95 % interval.

    Bootstrap (:func:`gbench.stats.intervals.percentile_interval`) with 2,000 seeded resamples over items, or over
    ``groups`` (items,) whose members are not independent: strained copies of one compound, sites of one crystal. A
    single group has no spread: low = high.
    ``r2`` is left out where all labels are equal.

    Raises:
        DataError: no item, or a prediction that is NaN or infinite.
    """
    sums = group_sums(label, prediction, groups)
    drawn = scores(Sums(*resampled_sums(np.column_stack(sums)).T), unit)
    metrics = {}
    for name, score in scores(sums.total(), unit).items():
        value = float(score.values[0])
        if np.isnan(value):
            continue
        low, high = percentile_interval(drawn[name].values, len(sums.items))
        metrics[name] = Metric(value=value, unit=score.unit, low=low, high=high, better=score.better)
    return metrics


def point_scores(label: FloatArray, prediction: FloatArray) -> dict[str, float]:
    """``mae``, ``rmse`` and ``r2`` without intervals; no ``r2`` where all labels are equal."""
    found = {name: float(score.values[0]) for name, score in scores(group_sums(label, prediction).total(), "").items()}
    return {name: value for name, value in found.items() if not np.isnan(value)}


def group_sums(label: FloatArray, prediction: FloatArray, groups: NDArray[np.int64] | None = None) -> Sums:
    """Sums per group, (groups,) each.

    Raises:
        DataError: no item, or a prediction that is NaN or infinite.
    """
    check_scorable(label, prediction)
    index = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    error = prediction - label
    # sums of squares about zero cancel badly when labels are far from it
    centred = label - label.mean()
    columns = [np.ones_like(label), np.abs(error), error**2, centred, centred**2]
    return Sums(*(np.bincount(index, weights=column).astype(np.float64) for column in columns))


def check_scorable(label: FloatArray, prediction: FloatArray) -> None:
    """Raise DataError if there is no item, or a prediction that is NaN or infinite."""
    if not len(label):
        raise DataError("there is no labelled item to score")
    if not np.isfinite(prediction).all():
        bad = int((~np.isfinite(prediction)).sum())
        raise DataError(f"{bad} of {len(prediction)} predictions are NaN or infinite; lower training.learning_rate")
