"""Many tests at once."""

import numpy as np

from gbench.stats.resampling import FloatArray


def holm(p_values: FloatArray) -> FloatArray:
    """P values (tests,), each adjusted so that at 5 % at most one table in twenty holds any false finding.

    NaN, a test that could not be made, is left out and stays.

    Source: Holm 1979, https://www.jstor.org/stable/4615733
    """
    adjusted = np.full(len(p_values), np.nan)
    made = np.flatnonzero(~np.isnan(p_values))
    order = made[np.argsort(p_values[made], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted
