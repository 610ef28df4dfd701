"""Scores of predicted probabilities, with 95 % intervals."""

import numpy as np
from numpy.typing import NDArray

from gbench.metrics import Better, check_scorable
from gbench.result import Metric
from gbench.stats.intervals import percentile_interval
from gbench.stats.resampling import FloatArray, resampling_weights

EPSILON = 1e-15
"""Probabilities are kept this far from 0 and 1, where the log loss of one wrong item would be infinite."""
THRESHOLD = 0.5
BETTER: dict[str, Better] = {
    "mae": "lower",
    "log_loss": "lower",
    "roc_auc": "higher",
    "f1": "higher",
    "accuracy": "higher",
    "balanced_accuracy": "higher",
}
"""Every score and its direction."""


def classification_metrics(
    label: FloatArray, probability: FloatArray, groups: NDArray[np.int64] | None = None
) -> dict[str, Metric]:
    """Scores of (items,) probabilities of class 1 against labels 0 and 1, each with a 95 % interval.

    ``log_loss`` (natural logarithm), ``roc_auc`` (ties count half), ``f1``, ``accuracy`` and ``balanced_accuracy`` at a
    threshold of 0.5, and ``mae``, the mean of |label - probability|. Matbench's classification scores
    are among them. A score that is not defined, because only one class is there, is left out. The interval is the
    bootstrap of :func:`gbench.metrics.regression_metrics`.

    Raises:
        DataError: no item, or a prediction that is NaN or infinite.
    """
    check_scorable(label, probability)
    items = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    whole = _scores(label, probability, np.ones((1, len(label))))
    drawn = [
        _scores(label, probability, weights[:, items].astype(float))
        for weights in resampling_weights(int(items.max()) + 1)
    ]
    metrics = {}
    for name, values in whole.items():
        value = float(values[0])
        if np.isnan(value):
            continue
        low, high = percentile_interval(np.concatenate([scores[name] for scores in drawn]), int(items.max()) + 1)
        metrics[name] = Metric(value=value, unit="1", low=low, high=high, better=BETTER[name])
    return metrics


def classification_scores(label: FloatArray, probability: FloatArray) -> dict[str, float]:
    """The same scores without intervals."""
    check_scorable(label, probability)
    found = {name: float(values[0]) for name, values in _scores(label, probability, np.ones((1, len(label)))).items()}
    return {name: value for name, value in found.items() if not np.isnan(value)}


def _scores(label: FloatArray, probability: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
    """(resamples,) scores under item weights (resamples, items); NaN where a score is not defined."""
    bounded = np.clip(probability, EPSILON, 1 - EPSILON)
    surprise = -np.where(label == 1, np.log(bounded), np.log1p(-bounded))
    said = probability >= THRESHOLD
    total = weights.sum(axis=1)
    positive, negative = weights @ (label == 1), weights @ (label == 0)
    hits, false_alarms = weights @ ((label == 1) & said), weights @ ((label == 0) & said)
    rejections = negative - false_alarms
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "mae": weights @ np.abs(label - probability) / total,
            "log_loss": weights @ surprise / total,
            "roc_auc": _roc_auc(label, probability, weights) / (positive * negative),
            "f1": 2 * hits / (positive + hits + false_alarms),
            "accuracy": (hits + rejections) / total,
            "balanced_accuracy": (hits / positive + rejections / negative) / 2,
        }


def _roc_auc(label: FloatArray, probability: FloatArray, weights: FloatArray) -> FloatArray:
    """(resamples,) weight of the pairs in which the positive scores higher than the negative; ties count half."""
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.diff(probability[order], prepend=-np.inf))
    ranked = weights[:, order]
    positive = np.add.reduceat(ranked * (label[order] == 1), starts, axis=1)
    negative = np.add.reduceat(ranked * (label[order] == 0), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    return np.asarray((positive * below).sum(axis=1))
