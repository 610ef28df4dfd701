"""Drawing with replacement, seeded."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
RESAMPLES = 2000
SEED = 0
CHUNK_NUMBERS = 4_000_000
"""Resampling weights held in memory at once."""


def resampling_weights(groups: int) -> Iterator[NDArray[np.int64]]:
    """How often each group is drawn in each resample, (chunk, groups), 2,000 resamples in all.

    It is multinomial; a product with these weights needs no copies of what is resampled.
    """
    rng = np.random.default_rng(SEED)
    chunk = max(1, min(RESAMPLES, CHUNK_NUMBERS // groups))
    for first in range(0, RESAMPLES, chunk):
        yield rng.multinomial(groups, np.full(groups, 1 / groups), size=min(chunk, RESAMPLES - first))


def resampled_sums(columns: FloatArray) -> FloatArray:
    """(resamples, columns) sums of resamples of the rows of ``columns`` (groups, columns)."""
    return np.concatenate([weights @ columns for weights in resampling_weights(len(columns))])
