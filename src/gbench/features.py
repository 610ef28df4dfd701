"""Fixed-length descriptions of crystals for models without a graph and for clustering."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gbench.crystals import Crystals, IntArray
from gbench.elements import N_ELEMENTS, element_property, fractions, properties, property_names
from gbench.graphs import Graphs

FloatArray = NDArray[np.float64]


class Features(NamedTuple):
    """A table of features."""

    names: tuple[str, ...]
    values: FloatArray
    """(n, features)"""


def composition_statistics(crystals: Crystals) -> Features:
    """Mean, average deviation, minimum, maximum and range of each element property, weighted by fraction.

    Source: Magpie, https://doi.org/10.1038/npjcompumats.2016.28 (its statistics, over our element properties).
    """
    names = tuple(f"{statistic} {name}" for statistic in STATISTICS for name in property_names())
    return Features(names, _by_composition(crystals, _statistics))


STATISTICS = ("mean", "deviation", "min", "max", "range")
CHUNK = 4096
"""Compositions described at once: all of a large dataset would not fit into memory."""


def _by_composition(crystals: Crystals, describe: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """(n, features) what ``describe`` makes of fractions (compositions, elements); equal ones are described once."""
    distinct, inverse = np.unique(fractions(crystals)[:, 1:], axis=0, return_inverse=True)
    parts = [describe(distinct[first : first + CHUNK]) for first in range(0, len(distinct), CHUNK)]
    return np.concatenate(parts)[inverse]


def _statistics(weight: FloatArray) -> FloatArray:
    table = properties()[1:]
    present = weight[:, :, None] > 0
    mean = weight @ table
    deviation = np.einsum("ne,nep->np", weight, np.abs(table[None] - mean[:, None]))
    lowest = np.where(present, table, np.inf).min(axis=1)
    highest = np.where(present, table, -np.inf).max(axis=1)
    return np.concatenate([mean, deviation, lowest, highest, highest - lowest], axis=1)


def composition_vectors(crystals: Crystals) -> FloatArray:
    """(n, 2 x properties) mean and average deviation of standardised element properties: the space of clusters."""
    table = properties()[1:]
    scaled = (table - table.mean(axis=0)) / table.std(axis=0)

    def describe(weight: FloatArray) -> FloatArray:
        mean = weight @ scaled
        deviation = np.einsum("ne,nep->np", weight, np.abs(scaled[None] - mean[:, None]))
        return np.concatenate([mean, deviation], axis=1)

    return _by_composition(crystals, describe)


def structure_statistics(graphs: Graphs) -> Features:
    """Volume per atom, packing, density, cell size, and statistics of nearest distances and bond polarity."""
    crystals = graphs.crystals
    atoms = crystals.n_atoms.astype(np.float64)
    radius = element_property("covalent_radius")[crystals.numbers]
    mass = element_property("mass")[crystals.numbers]
    volume = np.maximum(crystals.volume, 1e-9)
    starts = crystals.ptr[:-1]
    columns = {
        "atoms": atoms,
        "volume per atom": volume / atoms,
        "packing fraction": np.add.reduceat(4 / 3 * np.pi * radius**3, starts) / volume,
        "density": np.add.reduceat(mass, starts) / volume,
    }
    for name, values in _site_features(graphs).items():
        columns[f"mean {name}"] = np.add.reduceat(values, starts) / atoms
        columns[f"min {name}"] = np.minimum.reduceat(values, starts)
        columns[f"max {name}"] = np.maximum.reduceat(values, starts)
    return Features(tuple(columns), np.stack(list(columns.values()), axis=1))


def site_statistics(graphs: Graphs) -> Features:
    """Of each site: the properties of its element, what is around it, and the mean properties of its neighbours.

    Neighbours are weighted by how far they are beyond the nearest. A site without any has zeros in their place.

    Shapes: -> values (atoms, features).
    """
    table, numbers = properties(), graphs.crystals.numbers
    around = _site_features(graphs)
    weight = _shell_weight(graphs, around["nearest distance"])
    # 104 columns for each atom of a large dataset would not fit into memory: most of them are empty
    sums = csr_array((weight, (graphs.dst, numbers[graphs.src] - 1)), shape=(len(numbers), N_ELEMENTS))
    neighbors = (sums @ table[1:]) / np.maximum(sums.sum(axis=1), 1e-12)[:, None]
    names = (*property_names(), *around, *(f"neighbours' {name}" for name in property_names()))
    return Features(names, np.column_stack([table[numbers], *around.values(), neighbors]))


def composition_of_sites(crystals: Crystals, atoms: IntArray) -> FloatArray:
    """(atoms, features) properties of the element of each of ``atoms``, then the statistics of its crystal."""
    own = properties()[crystals.numbers[atoms]]
    return np.concatenate([own, composition_statistics(crystals).values[crystals.crystal_of_atom[atoms]]], axis=1)


def pair_features(crystals: Crystals, pairs: IntArray, of_sites: FloatArray, *, directed: bool) -> FloatArray:
    """Of each of ``pairs``: how far apart its sites are, then the features of the sites.

    The distance stands in Å and as a share of the sum of covalent radii. A directed pair has the features of its first
    site, then those of its second; an undirected one their mean and their difference, so that (i, j) and (j, i) have
    the same. Ours.

    Shapes: pairs (pairs,) positions in ``crystals.pairs``; of_sites (atoms, features) -> (pairs, 2 + 2 x features).
    """
    first, second = crystals.pairs[pairs].T
    # the way back is as long, to the last bit
    distance = np.round(np.linalg.norm(crystals.pair_vector[pairs], axis=1), 8)
    radius = element_property("covalent_radius")[crystals.numbers]
    ours, theirs = of_sites[first], of_sites[second]
    sites = (ours, theirs) if directed else ((ours + theirs) / 2, np.abs(ours - theirs))
    return np.column_stack([distance, distance / (radius[first] + radius[second]), *sites])


def _site_features(graphs: Graphs) -> dict[str, FloatArray]:
    """(atoms,) features of each site from its neighbours, weighted by exp(-(d / nearest - 1) / 0.1)."""
    numbers = graphs.crystals.numbers
    electronegativity = element_property("electronegativity")[numbers]
    radius = element_property("covalent_radius")[numbers]
    n_atoms = len(numbers)
    nearest = np.full(n_atoms, np.inf)
    np.minimum.at(nearest, graphs.dst, graphs.distance)
    nearest[np.isinf(nearest)] = graphs.spec.cutoff
    weight = _shell_weight(graphs, nearest)
    total = np.bincount(graphs.dst, weight, minlength=n_atoms)
    polarity = np.abs(electronegativity[graphs.src] - electronegativity[graphs.dst])
    strain = graphs.distance / (radius[graphs.src] + radius[graphs.dst])

    def average(edge_values: FloatArray) -> FloatArray:
        return np.bincount(graphs.dst, weight * edge_values, minlength=n_atoms) / np.maximum(total, 1e-12)

    return {
        "nearest distance": nearest,
        "effective coordination": total.astype(np.float64),
        "bond polarity": average(polarity),
        "bond length over radii": average(strain),
    }


def _shell_weight(graphs: Graphs, nearest: FloatArray) -> FloatArray:
    """(edges,) weight of a neighbour: 1 at the distance of the nearest, soon 0 beyond it."""
    return np.asarray(np.exp(-(graphs.distance / nearest[graphs.dst] - 1) / 0.1))
