"""Schemes that look at structure."""

from typing import Annotated

import numpy as np
from pydantic import Field

from gbench.crystals import FloatArray
from gbench.dataset import Dataset
from gbench.fingerprints import orbital_field
from gbench.spec import GraphSpec
from gbench.splitting.composition import k_means
from gbench.splitting.scheme import Groups, groups

COMPONENTS = 16
DECIMALS = 4


@groups("structure-cluster")
def structure_cluster(dataset: Dataset, *, seed: int, n_clusters: Annotated[int, Field(ge=2)] = 10) -> Groups:
    """k-means clusters of structure fingerprints: orbital-field matrices, of which the main components are kept.

    Source: Omee et al. 2024, https://arxiv.org/abs/2401.08032 (clusters of such fingerprints as out-of-distribution
    tests).
    """
    matrices = orbital_field(dataset.graphs(GraphSpec(on_short="grow")))
    return k_means(_main_components(matrices), n_clusters, seed, dataset.card.name)


def _main_components(matrices: FloatArray) -> FloatArray:
    """(n, components) projections, largest variance first, signs fixed, rounded."""
    centred = matrices - matrices.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    kept = vectors[:, np.argsort(values)[::-1][: min(COMPONENTS, len(values))]]
    # an eigenvector's sign is arbitrary
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    projected = centred @ kept
    return np.asarray(np.round(projected / projected.std(), DECIMALS))
