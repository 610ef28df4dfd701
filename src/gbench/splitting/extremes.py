"""Schemes that hold out one end of a scale."""

from typing import Literal

import numpy as np

from gbench.crystals import FloatArray, IntArray
from gbench.dataset import Dataset
from gbench.features import composition_vectors
from gbench.splitting.scheme import extremes

COMPONENTS = 5
GRID = 20
"""Points per bandwidth."""
TAIL_TOLERANCE = 1e-3


@extremes("sparse-x")
def sparse_x(dataset: Dataset) -> FloatArray:
    """The loneliest compositions: lowest kernel density in the space of composition vectors.

    Gaussian kernel with Scott's bandwidth over the five main components, each composition counted once.

    Source: Omee et al. 2024, https://arxiv.org/abs/2401.08032.
    """
    vectors = np.round(composition_vectors(dataset.crystals), 6)
    distinct, inverse = np.unique(vectors, axis=0, return_inverse=True)
    centred = distinct - distinct.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    main = centred @ axes[:, np.argsort(values)[::-1][:COMPONENTS]]
    scaled = main / main.std(axis=0)
    return -_log_density(scaled, bandwidth=len(scaled) ** (-1 / (COMPONENTS + 4)))[inverse]


@extremes("sparse-y")
def sparse_y(dataset: Dataset, *, target: str = "") -> FloatArray:
    """The rarest values: lowest kernel density of the target.

    Gaussian kernel with Scott's bandwidth over labels; for node and edge targets over the mean label of each row.

    Source: Omee et al. 2024, https://arxiv.org/abs/2401.08032.
    """
    value = row_labels(dataset, target)
    known = np.isfinite(value)
    score = np.full(len(value), np.nan)
    # a grid much finer than the bandwidth: the density of 10^5 labels is taken at some hundred points
    step = np.std(value[known]) * known.sum() ** -0.2 / GRID or 1.0
    places, inverse, counts = np.unique(np.round(value[known] / step), return_inverse=True, return_counts=True)
    density = _log_density(places[:, None].astype(np.float64), bandwidth=GRID, weight=counts)
    score[known] = -density[inverse]
    return score


@extremes("extrapolation")
def extrapolation(dataset: Dataset, *, target: str = "", tail: Literal["high", "low", "both"] = "high") -> FloatArray:
    """A tail of the target: the highest values, the lowest, or those farthest from the median."""
    value = row_labels(dataset, target)
    if tail == "both":
        return np.abs(value - np.nanmedian(value))
    return value if tail == "high" else -value


@extremes("size")
def size(dataset: Dataset) -> FloatArray:
    """The largest cells: train on few atoms, test on many."""
    return dataset.crystals.n_atoms.astype(np.float64)


def row_labels(dataset: Dataset, target: str) -> FloatArray:
    """(n,) label of each row, the mean over its sites or pairs; NaN where it has none."""
    target = target or dataset.card.default_target
    labels, rows = dataset.labels(target), dataset.row_of_item(target)
    known = ~np.isnan(labels)
    count = np.bincount(rows[known], minlength=len(dataset.crystals))
    total = np.bincount(rows[known], labels[known], minlength=len(dataset.crystals))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _log_density(points: FloatArray, bandwidth: float, weight: IntArray | None = None) -> FloatArray:
    """(points,) rounded, so that the platform's last bit does not decide what is at the cut."""
    from sklearn.neighbors import KernelDensity

    estimate = KernelDensity(
        bandwidth=bandwidth,
        rtol=TAIL_TOLERANCE,  # pyright: ignore[reportArgumentType]
    )
    density = estimate.fit(points, sample_weight=weight)
    return np.asarray(np.round(density.score_samples(points), 4))
