"""How far test lies from train, against compositions dealt at random."""

import numpy as np

from gbench.audit.card import Distance, Histogram
from gbench.audit.facts import Facts, Parts
from gbench.crystals import FloatArray, IntArray

DRAWS = 20
"""Random deals; a distance beyond all of them is no chance."""
MOST_QUERIES = 1000
"""Test items whose distance is measured; the mean of so many is known to a few percent."""
BINS = 24


def composition_distance(facts: Facts, parts: Parts, seed: int = 0) -> Distance:
    """Nearest-train distance of test compositions, each counted once.

    The space is that of :func:`gbench.features.composition_vectors`. The yardstick is the same quantity where whole
    compositions are dealt at random to parts of equal sizes: where rows are dealt, strained copies and polymorphs stand
    on both sides, and the distance between copies of one composition is zero.
    """
    points, composition = facts.distinct
    train, test = np.unique(composition[parts.train]), np.unique(composition[parts.test])
    rng = np.random.default_rng(seed)
    size = min(len(test), len(points) - 1)
    draws = []
    for _ in range(DRAWS):
        dealt = rng.permutation(len(points))
        rest = dealt[size:]
        draws.append(_nearest(points, rest[: max(1, min(len(train), len(rest)))], dealt[: size or 1], rng))
    return _distance(_nearest(points, train, test, rng), draws)


def structure_distance(facts: Facts, parts: Parts, seed: int = 0) -> Distance:
    """Nearest-train distance of test rows in the space of structure features (:attr:`Facts.structures`).

    The yardstick deals whole compositions, as in :func:`composition_distance`, until test and train have as many rows.
    """
    composition = facts.distinct[1]
    rng = np.random.default_rng(seed)
    rows = facts.by_id[np.isin(facts.by_id, np.concatenate([parts.train, parts.val, parts.test]))]
    draws = []
    for _ in range(DRAWS):
        rank = rng.permutation(len(facts.distinct[0]))[composition[rows]]
        dealt = rows[np.argsort(rank, kind="stable")]
        sizes = np.array([len(parts.test), len(parts.test) + len(parts.train)])
        first, last = _whole(np.sort(rank), sizes)
        draws.append(_nearest(facts.structures, dealt[first:last], dealt[:first], rng))
    return _distance(_nearest(facts.structures, parts.train, parts.test, rng), draws)


def _whole(rank: IntArray, cuts: IntArray) -> IntArray:
    """The cuts of a sorted list, moved so that equal entries stay together and no side is empty."""
    ends = np.append(np.flatnonzero(np.diff(rank)) + 1, len(rank))
    moved = ends[np.minimum(np.searchsorted(ends, cuts), len(ends) - 1)]
    if moved[0] == len(rank):
        # one composition only: there are no whole ones to deal
        return cuts
    return np.array([moved[0], max(moved[1], moved[0] + 1)])


def _nearest(vectors: FloatArray, train: IntArray, test: IntArray, rng: np.random.Generator) -> FloatArray:
    """(items,) Euclidean distance to the nearest training item."""
    from sklearn.neighbors import NearestNeighbors

    queries = test if len(test) <= MOST_QUERIES else rng.choice(test, MOST_QUERIES, replace=False)
    found, _ = NearestNeighbors(n_neighbors=1).fit(vectors[train]).kneighbors(vectors[queries])
    # equal points must be at distance zero whatever way the library multiplies
    return np.asarray(np.round(found[:, 0], 5))


def _distance(test: FloatArray, draws: list[FloatArray]) -> Distance:
    means = [float(draw.mean()) for draw in draws]
    random, mean = float(np.mean(means)), float(test.mean())
    return Distance(
        test=mean,
        random=random,
        random_highest=max(means),
        ratio=mean / random if random else 1.0,
        histogram=histogram(test, np.concatenate(draws), low=0.0),
    )


def histogram(test: FloatArray, other: FloatArray, low: float | None = None) -> Histogram:
    """Shares of both over common bins; the outermost hundredth of each is gathered in the last bins."""
    # each by itself: there may be many more of the others
    ends = np.array([np.percentile(values, [0.5, 99.5]) for values in (test, other)])
    first, last = float(ends[:, 0].min()) if low is None else low, float(ends[:, 1].max())
    if last <= first:
        first, last = first - 0.5, first + 0.5
    edges = np.linspace(first, last, BINS + 1)
    shares = [np.histogram(np.clip(values, first, last), edges)[0] / len(values) for values in (test, other)]
    return Histogram(
        edges=tuple(float(f"{edge:.5g}") for edge in edges),
        test=tuple(round(float(share), 4) for share in shares[0]),
        other=tuple(round(float(share), 4) for share in shares[1]),
    )
