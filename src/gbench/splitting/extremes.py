"""Schemes that hold out one end of a scale."""

from typing import Literal

import numpy as np

from gbench.crystals import FloatArray
from gbench.dataset import Dataset
from gbench.features import composition_vectors
from gbench.splitting.scheme import extremes

COMPONENTS = 5
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
    return -_log_density(main / main.std(axis=0))[inverse]


@extremes("sparse-y")
def sparse_y(dataset: Dataset, *, target: str = "") -> FloatArray:
    """The rarest values: lowest kernel density of the target.

    Gaussian kernel with Scott's bandwidth over labels; for node and edge targets over the mean label of each row.

    Source: Omee et al. 2024, https://arxiv.org/abs/2401.08032.
    """
    value = row_labels(dataset, target)
    known = np.isfinite(value)
    score = np.full(len(value), np.nan)
    distinct, inverse = np.unique(value[known], return_inverse=True)
    score[known] = -_log_density((distinct / (distinct.std() or 1.0))[:, None])[inverse]
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


def _log_density(points: FloatArray) -> FloatArray:
    """(points,) rounded, so that the platform's last bit does not decide what is at the cut."""
    from sklearn.neighbors import KernelDensity

    density = KernelDensity(bandwidth="scott", rtol=TAIL_TOLERANCE).fit(points).score_samples(points)
    return np.asarray(np.round(density, 4))
