"""Schemes that look at composition alone."""

from typing import Annotated

import numpy as np
from pydantic import Field

from gbench.crystals import FloatArray
from gbench.dataset import Dataset
from gbench.elements import counts, element_property, reduced_formulas, symbols
from gbench.errors import SplitError
from gbench.features import composition_vectors
from gbench.splitting.scheme import Groups, Members, groups, members


@groups("random")
def random(dataset: Dataset) -> Groups:
    """Rows at random: every row is its own group."""
    # numbered by id, so that another order of rows is the same split
    ranks = np.empty(len(dataset.crystals), np.int64)
    ranks[np.argsort(np.array(dataset.crystals.ids, dtype=str), kind="stable")] = np.arange(len(ranks))
    return Groups(ranks)


@groups("formula")
def formula(dataset: Dataset) -> Groups:
    """Reduced formulas: polymorphs and strained copies of a compound stay together."""
    return Groups.named(reduced_formulas(dataset.crystals))


@groups("chemsys")
def chemsys(dataset: Dataset) -> Groups:
    """Chemical systems: compounds of the same elements in any ratio stay together."""
    present = counts(dataset.crystals)[:, 1:] > 0
    names = np.array(symbols())
    distinct, label = np.unique(present, axis=0, return_inverse=True)
    systems = ["-".join(sorted(names[row])) for row in distinct]
    return Groups.named(np.array(systems)[label])


@groups("cluster")
def cluster(dataset: Dataset, *, seed: int, n_clusters: Annotated[int, Field(ge=2)] = 10) -> Groups:
    """k-means clusters of composition vectors (leave-one-cluster-out with ``n_folds=all``).

    Equal compositions share a cluster. Source: LOCO-CV, Meredig 2018, https://doi.org/10.1039/c8me00012c.

    Raises:
        SplitError: fewer distinct compositions than clusters.
    """
    # rounding makes equal compositions equal points whatever the order of their sites
    return k_means(np.round(composition_vectors(dataset.crystals), 6), n_clusters, seed, dataset.card.name)


def k_means(vectors: FloatArray, n_clusters: int, seed: int, name: str) -> Groups:
    """k-means over (n, features), numbered the same whatever the order of rows."""
    from sklearn.cluster import KMeans

    distinct, inverse = np.unique(vectors, axis=0, return_inverse=True)
    if len(distinct) < n_clusters:
        raise SplitError(
            f"{name} has {len(distinct)} distinct points, fewer than split.n_clusters={n_clusters}; lower it"
        )
    means = KMeans(n_clusters, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType]
    label = means.fit(distinct, sample_weight=np.bincount(inverse)).predict(distinct)
    return Groups(np.asarray(label[inverse], dtype=np.int64))


@members("element")
def element(dataset: Dataset) -> Members:
    """Every crystal that contains the chosen element; ``fold`` counts the elements by atomic number.

    Source: MatFold, https://doi.org/10.1039/D4DD00250D.
    """
    table = counts(dataset.crystals)[:, 1:] > 0
    held = np.flatnonzero(table.any(axis=0))
    return Members(tuple(symbols()[place] for place in held), table[:, held])


@members("periodic-row")
def periodic_row(dataset: Dataset) -> Members:
    """Every crystal that contains an element of the chosen row of the periodic table."""
    return _of_property(dataset, "period", "row")


@members("periodic-group")
def periodic_group(dataset: Dataset) -> Members:
    """Every crystal that contains an element of the chosen group of the periodic table; group 3 has the f block."""
    return _of_property(dataset, "group", "group")


def _of_property(dataset: Dataset, key: str, shown: str) -> Members:
    value = element_property(key)[1:]
    present = counts(dataset.crystals)[:, 1:] > 0
    held = np.unique(value[present.any(axis=0)])
    table = np.stack([present[:, value == one].any(axis=1) for one in held], axis=1)
    return Members(tuple(f"{shown} {one:.0f}" for one in held), table)
