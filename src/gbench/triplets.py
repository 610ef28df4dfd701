"""Angles: pairs of edges that meet at an atom, worked out from a batch when a model asks for them."""

import torch

from gbench.batch import Batch, GraphTensors
from gbench.edgepairs import EdgePairs, incoming, passing
from gbench.graphs import Graphs


def triplets(graphs: Batch | Graphs) -> EdgePairs:
    """All j -> i <- k: ordered pairs of different edges into one atom, with the angle between them.

    j and k may be one atom in two images. An atom with d edges is the centre of d (d - 1) pairs.
    """
    batch = _batch(graphs)
    first, second = incoming(batch.dst, batch.dst, batch.n_atoms)
    different = first != second
    first, second = first[different], second[different]
    cosine = torch.nn.functional.cosine_similarity(batch.vector[first], batch.vector[second], dim=1)
    return EdgePairs(first, second, cosine, batch.edge_ptr)


def line_graph(graphs: Batch | Graphs) -> EdgePairs:
    """All k -> j -> i: edges into the atom another starts from, with the angle i-j-k; no way straight back.

    ``first`` is k -> j and ``second`` j -> i, the order in which messages pass. k may be another image of i, but not
    the one that j -> i ends in.

    Source: directional message passing, https://arxiv.org/abs/2003.03123; ALIGNN,
    https://doi.org/10.1038/s41524-021-00650-1.
    """
    batch = _batch(graphs)
    return EdgePairs(*passing(batch.edge_index, batch.image, batch.vector, batch.n_atoms), batch.edge_ptr)


def _batch(graphs: Batch | Graphs) -> Batch:
    if isinstance(graphs, Batch):
        return graphs
    return GraphTensors(graphs, dtype=torch.float64).batch(torch.arange(len(graphs.crystals)))
