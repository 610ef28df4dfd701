"""Scores with 95 % intervals."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.errors import DataError
from gbench.result import Metric

FloatArray = NDArray[np.float64]
RESAMPLES = 2000
SEED = 0
CHUNK_NUMBERS = 4_000_000
"""Resampling weights held in memory at once."""
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

    Percentile bootstrap with 2,000 seeded resamples over items, or over ``groups`` (items,) whose members are not
    independent: strained copies of one compound, sites of one crystal. A single group has no spread: low = high.
    ``r2`` is left out where all labels are equal.

    Raises:
        DataError: no item, or a prediction that is NaN or infinite.
    """
    sums = group_sums(label, prediction, groups)
    drawn = scores(Sums(*np.concatenate(list(_resampled(np.column_stack(sums)))).T), unit)
    metrics = {}
    for name, score in scores(sums.total(), unit).items():
        value = float(score.values[0])
        if np.isnan(value):
            continue
        low, high = np.nanpercentile(drawn[name].values, [2.5, 97.5])
        metrics[name] = Metric(value=value, unit=score.unit, low=float(low), high=float(high), better=score.better)
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


def paired_bootstrap(errors: FloatArray, other: FloatArray, groups: NDArray[np.int64]) -> float:
    """Two-sided p value that two models have the same mean error on the same items, (items,) each.

    Paired bootstrap of the difference of absolute errors over independent groups, seeded.
    """
    index = np.unique(groups, return_inverse=True)[1]
    columns = np.zeros((int(index.max()) + 1, 2))
    np.add.at(columns, index, np.column_stack([errors - other, np.ones(len(errors))]))
    if len(columns) < 2:
        return 1.0
    difference = np.concatenate(list(_resampled(columns)))[:, 0]
    below = (1 + int((difference <= 0).sum())) / (RESAMPLES + 1)
    above = (1 + int((difference >= 0).sum())) / (RESAMPLES + 1)
    return min(1.0, 2 * min(below, above))


def _resampled(columns: FloatArray) -> Iterator[FloatArray]:
    """Column sums (chunk, columns) of resamples of the rows with replacement, 2,000 in all."""
    for weights in resampling_weights(len(columns)):
        yield weights @ columns


def resampling_weights(groups: int) -> Iterator[NDArray[np.int64]]:
    """How often each group is drawn in each resample, (chunk, groups), 2,000 resamples in all.

    It is multinomial; a product with these weights needs no copies of what is resampled.
    """
    rng = np.random.default_rng(SEED)
    chunk = max(1, min(RESAMPLES, CHUNK_NUMBERS // groups))
    for first in range(0, RESAMPLES, chunk):
        yield rng.multinomial(groups, np.full(groups, 1 / groups), size=min(chunk, RESAMPLES - first))
