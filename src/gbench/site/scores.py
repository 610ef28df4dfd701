"""Scores of several runs as one number with an interval that says what it covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from gbench.site.runs import ScoredRun
from gbench.stats import t_interval

Basis = Literal["bootstrap", "seeds", "folds"]
BASIS_WORDS: dict[Basis, str] = {
    "bootstrap": "bootstrap over test items or groups",
    "seeds": "t over seeds",
    "folds": "t over folds",
}
ERRORS = ("mae", "rmse")


@dataclass(frozen=True)
class Score:
    """A mean score with its 95 % interval."""

    value: float
    low: float
    high: float
    basis: Basis
    """What the interval was taken over."""

    @property
    def basis_words(self) -> str:
        """The basis in words."""
        return BASIS_WORDS[self.basis]


def combine(metric: str, runs: Sequence[ScoredRun]) -> Score | None:
    """Mean over folds of the mean over seeds, with its 95 % interval; None if a run lacks the metric.

    One run keeps its own bootstrap interval. Several folds give a t interval over folds, several seeds of one fold
    a t interval over seeds.
    """
    recorded = [run.result.metrics.get(metric) for run in runs]
    values = [found.value for found in recorded if found is not None]
    if not values or len(values) < len(runs):
        return None
    only = recorded[0]
    if len(runs) == 1 and only is not None:
        return Score(only.value, only.low, only.high, "bootstrap")
    means = list(fold_means(metric, runs).values())
    low, high = t_interval(means if len(means) > 1 else values)
    # an error cannot be negative; t over few folds knows nothing of that
    low = max(0.0, low) if metric in ERRORS else low
    return Score(fmean(means), low, high, "folds" if len(means) > 1 else "seeds")


def fold_means(metric: str, runs: Sequence[ScoredRun]) -> dict[int, float]:
    """Mean over seeds, by fold."""
    by_fold: dict[int, list[float]] = {}
    for run in runs:
        by_fold.setdefault(run.result.spec.split.fold, []).append(run.result.metrics[metric].value)
    return {fold: fmean(by_fold[fold]) for fold in sorted(by_fold)}


def skill(runs: Sequence[ScoredRun], reference: Mapping[int, float]) -> float | None:
    """1 - MAE / MAE of the reference, both over the folds of ``runs``; None if the reference lacks one of them."""
    means = fold_means("mae", runs)
    if not means.keys() <= reference.keys():
        return None
    base = fmean(reference[fold] for fold in means)
    return 1 - fmean(means.values()) / base if base > 0 else None
