"""Ordered pairs of edges that meet at an atom, with the angle between them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

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
    copies: Tensor | None = None
    """(pairs,) pairs with the same ``second`` that each stands for; None where each stands for itself."""

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
        from gbench.batch import import_dgl

        graph = import_dgl().graph((self.first, self.second), num_nodes=self.n_edges)
        sizes = torch.diff(self.edge_ptr)
        owner = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
        graph.set_batch_num_nodes(sizes)
        graph.set_batch_num_edges(torch.bincount(owner[self.second], minlength=len(sizes)))
        graph.edata["cosine"] = self.cosine
        return graph


class Corners(NamedTuple):
    """Pairs of edges and their angles, without the graph they are of."""

    first: Tensor
    """(pairs,) edge."""
    second: Tensor
    """(pairs,) edge; pairs are sorted by (second, first)."""
    cosine: Tensor
    """(pairs,)"""


def passing(edge_index: Tensor, image: Tensor, vector: Tensor, n_atoms: int) -> Corners:
    """All k -> j -> i of edges that are sorted by centre: ``first`` is k -> j, ``second`` j -> i; no way straight back.

    Shapes: edge_index (2, edges), image (edges, 3), vector (edges, 3).
    """
    src, dst = edge_index
    first, second = incoming(dst, src, n_atoms)
    returns = (src[first] == dst[second]) & (image[first] == -image[second]).all(dim=1)
    first, second = first[~returns], second[~returns]
    return Corners(first, second, torch.nn.functional.cosine_similarity(vector[first], -vector[second], dim=1))


def incoming(dst: Tensor, atom_of_edge: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """Each edge as second, with every edge into its ``atom_of_edge`` (edges,) as first: (pairs,), (pairs,)."""
    degree = torch.bincount(dst, minlength=n_atoms)
    start = torch.cumsum(degree, 0) - degree
    partners = degree[atom_of_edge]
    second = torch.arange(len(partners), device=partners.device).repeat_interleave(partners)
    # edges into an atom lie side by side: count up from the first of them
    place = torch.arange(len(second), device=second.device) - (torch.cumsum(partners, 0) - partners)[second]
    return start[atom_of_edge[second]] + place, second
