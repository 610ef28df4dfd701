"""Every two models of one table, compared."""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from gbench.stats.comparison import corrected_t_test, paired_bootstrap
from gbench.stats.holm import holm

PAIR_COLUMNS = ["model", "other", "difference", "p", "p_holm"]


def compare_items(errors: pd.DataFrame) -> pd.DataFrame:
    """Paired bootstrap of every two models on one test set.

    ``errors``: ``model``, ``item``, ``group`` (of items that are not independent) and ``error`` (|error|, or its mean
    over seeds), one row per model and item. Two models are compared on the items both have.

    Returns ``model``, ``other``, ``difference`` (mean error of the first less that of the second), ``p``, and
    ``p_holm``, adjusted over all pairs; ``p`` is NaN where no item is common.
    """
    wide = errors.pivot_table(index=["group", "item"], columns="model", values="error", observed=True, sort=True)

    def test(one: "pd.Series[float]", two: "pd.Series[float]") -> float:
        groups = np.unique(one.index.get_level_values("group"), return_inverse=True)[1].astype(np.int64)
        return paired_bootstrap(np.asarray(one, np.float64), np.asarray(two, np.float64), groups)

    return _compared(wide, test)


def compare_folds(scores: pd.DataFrame, test_share: float) -> pd.DataFrame:
    """Corrected resampled t-test of every two models over folds.

    ``scores``: ``model``, ``fold`` and ``score``, one row per model and fold (the mean over seeds). ``test_share``:
    test items per training item. Two models are compared on the folds both have.

    Returns the columns of :func:`compare_items`; ``p`` is NaN with fewer than two common folds.
    """
    wide = scores.pivot_table(index="fold", columns="model", values="score", observed=True, sort=True)
    return _compared(wide, lambda one, two: corrected_t_test((one - two).tolist(), test_share))


def _compared(wide: pd.DataFrame, test: "Callable[[pd.Series[float], pd.Series[float]], float]") -> pd.DataFrame:
    pairs = pd.DataFrame(_rows(wide, test), columns=PAIR_COLUMNS[:-1])
    return pairs.assign(p_holm=holm(pairs["p"].to_numpy(np.float64)))


def _rows(
    wide: pd.DataFrame, test: "Callable[[pd.Series[float], pd.Series[float]], float]"
) -> Iterator[tuple[str, str, float, float]]:
    for name, other in combinations(wide.columns, 2):
        both = wide[[name, other]].dropna()
        if both.empty:
            yield name, other, np.nan, np.nan
            continue
        yield name, other, float((both[name] - both[other]).mean()), test(both[name], both[other])
