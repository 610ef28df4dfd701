"""One number over many tasks."""

import math

import pandas as pd

from gbench.errors import DataError
from gbench.stats.intervals import t_interval


def mean_ranks(scores: pd.DataFrame, *, higher: bool = False) -> pd.DataFrame:
    """Mean rank of each model over tasks, best first.

    ``scores``: ``task``, ``model`` and ``score``; every model has every task. Ties share the mean of their places. It
    does not depend on units, and says nothing of how far apart models are; it changes when a model joins.

    Returns ``model``, ``tasks``, ``mean_rank`` and its 95 % t interval over tasks (``low``, ``high``, within 1 and the
    number of models; NaN with one task).

    Raises:
        DataError: a model lacks a task.
    """
    wide = _complete(scores)
    ranks = wide.rank(axis=1, ascending=not higher, method="average")
    summary = _over_tasks(ranks, "mean_rank").sort_values("mean_rank", kind="stable", ignore_index=True)
    summary[["low", "high"]] = summary[["low", "high"]].clip(1, wide.shape[1])
    return summary


def mean_skills(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Mean skill of each model over tasks, best first: 1 - error / error of ``reference``.

    0 is as good as the reference (the training mean, say), 1 without error. It does not depend on units nor on which
    other models there are, and shows how far apart models are. ``scores`` are errors, in the columns of
    :func:`mean_ranks`.

    Returns ``model``, ``tasks``, ``mean_skill`` and its 95 % t interval over tasks (``low``, ``high``; NaN with one
    task).

    Raises:
        DataError: a model lacks a task, or there is no ``reference``.
    """
    wide = _complete(scores)
    if reference not in wide:
        raise DataError(f"there is no score of {reference!r} to take skills against; add it")
    skills = 1 - wide.div(wide[reference], axis=0)
    return _over_tasks(skills, "mean_skill").sort_values(
        "mean_skill", ascending=False, kind="stable", ignore_index=True
    )


def _complete(scores: pd.DataFrame) -> pd.DataFrame:
    wide = scores.pivot_table(index="task", columns="model", values="score", observed=True, sort=True)
    for model in wide:
        lacking = wide.index[wide[model].isna()]
        if len(lacking):
            raise DataError(f"{model!r} has no score on {lacking[0]!r}; leave out the model or the task")
    return wide


def _over_tasks(wide: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = []
    for model in wide:
        values = wide[model].tolist()
        low, high = t_interval(values) if len(values) > 1 else (math.nan, math.nan)
        rows.append((model, len(values), float(wide[model].mean()), low, high))
    return pd.DataFrame(rows, columns=["model", "tasks", name, "low", "high"])
