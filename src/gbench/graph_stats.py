"""What the graphs of a dataset look like."""

from dataclasses import dataclass

import numpy as np

from gbench.crystals import IntArray
from gbench.graphs import Graphs


@dataclass(frozen=True)
class GraphStats:
    """Sizes and connections of the graphs of many crystals."""

    crystals: int
    atoms: int
    edges: int
    degree_min: int
    degree_mean: float
    degree_max: int
    isolated_atoms: int
    """Atoms that are neither end of any edge."""
    components_max: int
    """Most pieces that the graph of one crystal falls into."""
    crystals_in_pieces: int
    """Crystals whose graph is in more than one piece."""


def graph_stats(graphs: Graphs) -> GraphStats:
    """Sizes, degrees and connected components.

    The degree is the number of edges into an atom. Components are those of the quotient graph, an atom and its images
    being one node, and an edge joins its ends whichever way it points.
    """
    degree = graphs.edges.degree
    used = degree > 0
    for block in graphs.blocks():
        used[block.src] = True
    pieces = components(graphs)
    return GraphStats(
        crystals=len(graphs.crystals),
        atoms=len(degree),
        edges=graphs.n_edges,
        degree_min=int(degree.min()),
        degree_mean=graphs.edges_per_atom,
        degree_max=int(degree.max()),
        isolated_atoms=int((~used).sum()),
        components_max=int(pieces.max()),
        crystals_in_pieces=int((pieces > 1).sum()),
    )


def components(graphs: Graphs) -> IntArray:
    """(n,) connected components of the quotient graph of each crystal."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    counts = np.empty(len(graphs.crystals), dtype=np.int64)
    for block in graphs.blocks():
        ptr = graphs.crystals.ptr[block.first : block.last + 1]
        size, first = int(ptr[-1] - ptr[0]), int(ptr[0])
        ends = (block.dst - first, block.src - first)
        matrix = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(size, size))
        piece = connected_components(matrix, directed=False)[1]
        # pieces never span crystals: each is counted once, where its first atom is
        first_atoms = np.unique(piece, return_index=True)[1]
        counts[block.first : block.last] = np.histogram(first_atoms, bins=ptr - first)[0]
    return counts
