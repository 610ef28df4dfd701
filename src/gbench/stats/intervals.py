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


def percentile_interval(drawn: FloatArray, groups: int) -> Interval:
    """Percentile interval of the scores (resamples,) of a bootstrap over so many ``groups``.

    The percentiles lie as much further out as t does than the normal distribution, and as a variance over n - 1 does
    than one over n: without, intervals over few groups are too narrow (92 % instead of 95 % of 20). Scores that are
    undefined in a resample, NaN, are left out.

    Source: Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789, the expanded percentile interval.
    """
    from scipy.special import ndtr, stdtrit

    reach = math.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, (1 + LEVEL) / 2) if groups > 1 else 0.0
    tail = 100 * float(ndtr(-reach))
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return Interval(float(low), float(high))


def t_interval(values: Sequence[float]) -> Interval:
    """T interval of the mean of two or more independent values."""
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values) - half, fmean(values) + half)
