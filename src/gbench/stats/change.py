"""Whether trainings that were repeated became worse."""

from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np
import pandas as pd

from gbench.stats.comparison import paired_bootstrap
from gbench.stats.holm import holm

TINY = 1e-300
"""Stands for an error of zero."""


def rises(errors: pd.DataFrame) -> pd.DataFrame:
    """Whether the mean error of each task rose.

    ``errors``: ``task``, ``seed``, ``item``, ``group`` (of items that are not independent), ``before`` and ``after``
    (|error|), one row per task, seed and item.

    A rise must hold for other items and for other seeds: ``p_items`` is the one-sided paired bootstrap over groups of
    the means over seeds, ``p_seeds`` the one-sided paired t-test over seeds of the logarithms of the means over items
    (what makes a training worse does so by a factor), and ``p`` the larger of the two, which ``p_holm`` adjusts over
    tasks. Source of taking the larger: Berger 1982, https://doi.org/10.1080/00401706.1982.10487790

    Returns ``task``, ``seeds``, ``items``, ``before``, ``after``, ``rise`` (relative), ``p_items``, ``p_seeds``, ``p``
    and ``p_holm``, in the order of the tasks.
    """
    found = pd.DataFrame([_rise(str(task), frame) for task, frame in errors.groupby("task", sort=False)])
    return found.assign(p_holm=holm(found["p"].to_numpy(np.float64)))


def _rise(task: str, errors: pd.DataFrame) -> dict[str, float | int | str]:
    means = errors.groupby(["group", "item"], sort=True)[["before", "after"]].mean()
    groups = np.unique(means.index.get_level_values("group"), return_inverse=True)[1].astype(np.int64)
    two_sided = paired_bootstrap(means["after"].to_numpy(), means["before"].to_numpy(), groups)
    by_seed = errors.groupby("seed")[["before", "after"]].mean()
    before, after = float(by_seed["before"].mean()), float(by_seed["after"].mean())
    p_items = two_sided / 2 if after > before else 1 - two_sided / 2
    logarithms = np.log(np.maximum(by_seed[["before", "after"]].to_numpy(np.float64), TINY))
    p_seeds = paired_t_rise(np.diff(logarithms, axis=1)[:, 0].tolist())
    return {
        "task": task,
        "seeds": len(by_seed),
        "items": len(means),
        "before": before,
        "after": after,
        "rise": after / max(before, TINY) - 1,
        "p_items": p_items,
        "p_seeds": p_seeds,
        "p": max(p_items, p_seeds),
    }


def paired_t_rise(differences: Sequence[float]) -> float:
    """One-sided p value that two or more differences are of mean zero or less."""
    from scipy.special import stdtr

    spread, mean = stdev(differences), fmean(differences)
    if spread == 0:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(len(differences) - 1, -mean / spread * len(differences) ** 0.5))
