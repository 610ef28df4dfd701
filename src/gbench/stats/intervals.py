"""95 % intervals."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from gbench.stats.resampling import FloatArray

LEVEL = 0.95


class Interval(NamedTuple):
    """Ends of a 95 % interval."""

    low: float
    high: float


def percentile_interval(drawn: FloatArray) -> Interval:
    """Percentile interval of the scores (resamples,) of a bootstrap; undefined ones, NaN, are left out."""
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return Interval(float(low), float(high))


def t_interval(values: Sequence[float]) -> Interval:
    """T interval of the mean of two or more independent values."""
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values) - half, fmean(values) + half)
