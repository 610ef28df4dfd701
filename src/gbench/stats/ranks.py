"""Ranks that do not claim more than a test can tell."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gbench.stats.holm import holm

ALPHA = 0.05


def rank_groups(scores: "pd.Series[float]", pairs: pd.DataFrame, *, higher: bool = False) -> pd.DataFrame:
    """Models in groups that share a rank: a model ties the best one it cannot be separated from.

    ``scores`` by model; ``pairs`` of :func:`gbench.stats.compare_items` or ``compare_folds``. The best model leads the
    first group. With it goes every model that a test at 5 % does not separate from it, Holm-adjusted over the
    leader's comparisons; the best of the rest leads the next group, and so on. A pair that could not be tested is not
    separated.

    Returns ``model``, ``score``, ``leader``, ``rank`` and ``last`` (the places the group takes, ``1`` and ``3``),
    ``p_leader`` (adjusted), best first.
    """
    columns = (pairs[name].tolist() for name in ("model", "other", "p"))
    p_values = {frozenset((str(model), str(other))): float(p) for model, other, p in zip(*columns, strict=True)}
    left = scores.sort_values(ascending=not higher, kind="stable").index.tolist()
    rows, rank = [], 1
    while left:
        leader, others = left[0], left[1:]
        adjusted = _against(leader, others, p_values)
        tied = [leader, *(model for model in others if not adjusted[model] < ALPHA)]
        for model in tied:
            p_value = adjusted.get(model, 1.0)
            rows.append((model, float(scores[model]), leader, rank, rank + len(tied) - 1, p_value))
        rank += len(tied)
        left = [model for model in left if model not in tied]
    return pd.DataFrame(rows, columns=["model", "score", "leader", "rank", "last", "p_leader"])


def _against(leader: str, others: list[str], p_values: Mapping[frozenset[str], float]) -> dict[str, float]:
    found = np.array([p_values.get(frozenset((leader, model)), np.nan) for model in others])
    return dict(zip(others, holm(found).tolist(), strict=True))
