"""A cheap description of a crystal that does not depend on its cell: which of many to compare first."""

import dataclasses

import numpy as np

from gbench.crystals import Crystals, FloatArray
from gbench.graphs import Graphs
from gbench.neighbors import find_edges
from gbench.spec import GraphSpec

NEIGHBORS = 12
LENGTH_ANGSTROM = 10.0
"""Cube root of the volume per atom that all crystals are scaled to."""
SPEC = GraphSpec(kind="knn", neighbors=NEIGHBORS, cutoff=2 * LENGTH_ANGSTROM, on_short="grow", shells="cut")


def fingerprints(crystals: Crystals) -> FloatArray:
    """(n, 12) mean distance of an atom to its k-th neighbour, k = 1 to 12, over the cube root of the volume per atom.

    Of slabs and chains, which have no volume, over 1 Å.
    """
    length = np.cbrt(crystals.volume / crystals.n_atoms)
    scale = LENGTH_ANGSTROM / np.where(length > 0, length, 1.0)
    scaled = dataclasses.replace(
        crystals.without_labels(),
        positions=crystals.positions * scale[crystals.crystal_of_atom, None],
        cell=crystals.cell * scale[:, None, None],
    )
    graphs = Graphs(scaled, SPEC, find_edges(scaled, SPEC, workers=1))
    distance = np.sort(graphs.distance.reshape(-1, NEIGHBORS), axis=1)
    sums = np.add.reduceat(distance, crystals.ptr[:-1], axis=0)
    return np.asarray(np.round(sums / crystals.n_atoms[:, None] / LENGTH_ANGSTROM, 6))
