"""Angles: pairs of edges that meet at an atom, worked out from a batch when a model asks for them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gbench.batch import Batch, GraphTensors, import_dgl
from gbench.graphs import Graphs

if TYPE_CHECKING:
    from dgl import DGLGraph
    from torch_geometric.data import Data


@dataclass(frozen=True)
class EdgePairs:
    """Ordered pairs of edges of a batch that meet at an atom; as a graph, its nodes are the edges of the batch."""

    first: Tensor
    """(pairs,) edge."""
    second: Tensor
    """(pairs,) edge; pairs are sorted by (second, first)."""
    cosine: Tensor
    """(pairs,) of the angle at the atom they share; gradients flow to the batch's positions."""
    edge_ptr: Tensor
    """(graphs + 1,) first edge of each graph."""

    @property
    def n_edges(self) -> int:
        """Edges in the batch."""
        return int(self.edge_ptr[-1])

    def pyg(self) -> "Data":
        """A PyG ``Data`` whose nodes are the edges of the batch, with ``cosine``; on the same memory."""
        from torch_geometric.data import Data

        index = torch.stack([self.first, self.second])
        return Data(edge_index=index, cosine=self.cosine, num_nodes=self.n_edges)

    def dgl(self) -> "DGLGraph":
        """A ``DGLGraph`` whose nodes are the edges of the batch, with ``edata`` cosine; pairs in the same order."""
        graph = import_dgl().graph((self.first, self.second), num_nodes=self.n_edges)
        sizes = torch.diff(self.edge_ptr)
        owner = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
        graph.set_batch_num_nodes(sizes)
        graph.set_batch_num_edges(torch.bincount(owner[self.second], minlength=len(sizes)))
        graph.edata["cosine"] = self.cosine
        return graph


def triplets(graphs: Batch | Graphs) -> EdgePairs:
    """All j -> i <- k: ordered pairs of different edges into one atom, with the angle between them.

    j and k may be one atom in two images. An atom with d edges is the centre of d (d - 1) pairs.
    """
    batch = _batch(graphs)
    pairs = _incoming(batch, batch.dst)
    different = pairs.first != pairs.second
    first, second = pairs.first[different], pairs.second[different]
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
    pairs = _incoming(batch, batch.src)
    returns = (batch.src[pairs.first] == batch.dst[pairs.second]) & (
        batch.image[pairs.first] == -batch.image[pairs.second]
    ).all(dim=1)
    first, second = pairs.first[~returns], pairs.second[~returns]
    cosine = torch.nn.functional.cosine_similarity(batch.vector[first], -batch.vector[second], dim=1)
    return EdgePairs(first, second, cosine, batch.edge_ptr)


@dataclass(frozen=True)
class _Pairs:
    first: Tensor
    second: Tensor


def _incoming(batch: Batch, atom_of_edge: Tensor) -> _Pairs:
    """Each edge as ``second``, with every edge into its ``atom_of_edge`` as ``first``."""
    degree = torch.bincount(batch.dst, minlength=batch.n_atoms)
    start = torch.cumsum(degree, 0) - degree
    partners = degree[atom_of_edge]
    second = torch.arange(len(partners), device=partners.device).repeat_interleave(partners)
    # edges into an atom lie side by side: count up from the first of them
    place = torch.arange(len(second), device=second.device) - (torch.cumsum(partners, 0) - partners)[second]
    return _Pairs(start[atom_of_edge[second]] + place, second)


def _batch(graphs: Batch | Graphs) -> Batch:
    if isinstance(graphs, Batch):
        return graphs
    return GraphTensors(graphs, dtype=torch.float64).batch(torch.arange(len(graphs.crystals)))
