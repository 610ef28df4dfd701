"""What a layer does along edges, in PyTorch Geometric or in DGL, with the same results.

A layer is written once, with these operations; its weights know no framework. The switch is a setting of the model
(``model.framework``), so both run in one process on the same graph.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gbench.batch import Batch, import_dgl
from gbench.nn.segments import gather, segment_sum, wide, wider

Framework = Literal["pyg", "dgl"]
BLOCK = 16
"""Edges per block of :meth:`PyGOps.sum_outer`."""


class Attention(NamedTuple):
    """Shares that add up to 1 at each atom."""

    edges: Tensor
    """(edges, heads)"""
    own: Tensor
    """(atoms, heads) share of the atom itself."""


class EdgeOps(ABC):
    """Operations along the edges of a batch.

    Sums and attention weigh edges by ``weight`` (edges,) if it is given, and by the copies that an edge stands for.
    """

    def __init__(self, batch: Batch, weight: Tensor | None = None) -> None:
        self.batch, self.weight = batch, weight
        if batch.copies is not None:
            self.weight = batch.copies.edges if weight is None else batch.copies.edges * weight

    @abstractmethod
    def at_source(self, values: Tensor) -> Tensor:
        """(edges, ...) value of each edge's neighbour, of values (atoms, ...)."""

    @abstractmethod
    def at_target(self, values: Tensor) -> Tensor:
        """(edges, ...) value of each edge's centre."""

    @abstractmethod
    def add_up(self, messages: Tensor) -> Tensor:
        """(atoms, ...) sum of the messages (edges, ...) that reach each atom, unweighted; 0 where none does."""

    @abstractmethod
    def softmax(self, scores: Tensor) -> Tensor:
        """(edges, heads) softmax of the scores over the edges that reach each atom, unweighted."""

    @abstractmethod
    def convolve(self, values: Tensor, filters: Tensor) -> Tensor:
        """(atoms, ...) sum of each neighbour's value (atoms, ...) times its edge's filter (edges, ...), unweighted.

        Both have the same number of dimensions; sizes of 1 are broadcast.
        """

    @abstractmethod
    def sum_outer(self, values: Tensor, features: Tensor) -> Tensor:
        """(atoms, features, width) sum of outer products of edge features with neighbours' values, unweighted.

        Shapes: values (atoms, width), features (edges, features).
        """

    def sum(self, messages: Tensor) -> Tensor:
        """(atoms, ...) weighted sum of messages (edges, ...)."""
        return self.add_up(messages if self.weight is None else messages * wide(self.weight, messages))

    def mean(self, messages: Tensor) -> Tensor:
        """(atoms, ...) weighted mean of messages; 0 where none arrives."""
        return self.per_degree(self.sum(messages))

    def per_degree(self, sums: Tensor) -> Tensor:
        """(atoms, ...) weighted means from weighted sums; 0 where nothing arrives."""
        # not the smallest number: the gradient of an atom whose edges all have weight 0 would overflow to inf * 0
        return sums / wide(self.degree.clamp(min=torch.finfo(sums.dtype).eps), sums)

    @cached_property
    def degree(self) -> Tensor:
        """(atoms,) sum of the edge weights, or number of edges."""
        weight = self.weight if self.weight is not None else torch.ones_like(self.batch.distance)
        return self.add_up(weight[:, None])[:, 0]

    @cached_property
    def weight_in_crystal(self) -> Tensor | None:
        """(edges,) weight in sums over all edges of a crystal; None where all count alike."""
        copies = self.batch.copies
        if self.weight is None or copies is None:
            return self.weight
        return self.weight * gather(copies.atoms, self.batch.dst)

    def attention(self, scores: Tensor) -> Tensor:
        """(edges, heads) weighted softmax of the scores over the edges that reach each atom."""
        return self.softmax(self._with_weight(scores))

    def attention_with_own(self, scores: Tensor, own: Tensor) -> Attention:
        """Weighted softmax of the scores over the edges that reach each atom and the atom itself, of weight 1.

        Shapes: scores (edges, heads), own (atoms, heads).
        """
        scores, dst = self._with_weight(scores), self.batch.dst
        scores, own = wider(scores), wider(own)
        # the largest exponent becomes 0; the shares do not depend on it, so no gradient needs to pass
        largest = own.detach().scatter_reduce(0, dst[:, None].expand_as(scores), scores.detach(), "amax")
        raised, raised_own = (scores - self.at_target(largest)).exp(), (own - largest).exp()
        total = self.add_up(raised) + raised_own
        return Attention(raised / self.at_target(total), raised_own / total)

    def _with_weight(self, scores: Tensor) -> Tensor:
        return scores if self.weight is None else scores + self.weight.clamp(min=1e-30).log()[:, None]


class PyGOps(EdgeOps):
    """With PyTorch Geometric and plain torch."""

    def at_source(self, values: Tensor) -> Tensor:
        """(edges, ...)"""
        return gather(values, self.batch.src)

    def at_target(self, values: Tensor) -> Tensor:
        """(edges, ...)"""
        return gather(values, self.batch.dst)

    def add_up(self, messages: Tensor) -> Tensor:
        """(atoms, ...)"""
        return segment_sum(messages, self.batch.dst, self.batch.n_atoms)

    def softmax(self, scores: Tensor) -> Tensor:
        """(edges, heads)"""
        from torch_geometric.utils import softmax

        out: Tensor = softmax(scores, self.batch.dst, num_nodes=self.batch.n_atoms)
        return out

    def convolve(self, values: Tensor, filters: Tensor) -> Tensor:
        """(atoms, ...)"""
        return self.add_up(self.at_source(values) * filters)

    def sum_outer(self, values: Tensor, features: Tensor) -> Tensor:
        """(atoms, features, width), as one matrix product per block of edges with the same centre.

        The outer products themselves, features x width numbers per edge, are never in memory.
        """
        blocks = self._blocks
        padded = features.new_zeros((len(blocks.src), features.shape[1]))
        padded = padded.index_copy(0, blocks.slot, features)
        left = padded.view(-1, BLOCK, features.shape[1]).transpose(1, 2)
        right = gather(values, blocks.src).view(-1, BLOCK, values.shape[1])
        return segment_sum(left @ right, blocks.centre, self.batch.n_atoms)

    @cached_property
    def _blocks(self) -> "_Blocks":
        dst, n_atoms, n_edges = self.batch.dst, self.batch.n_atoms, len(self.batch.dst)
        counts = torch.zeros_like(self.batch.numbers).index_add(0, dst, torch.ones_like(dst))
        ends, block_ends = counts.cumsum(0), ((counts + BLOCK - 1) // BLOCK).cumsum(0)
        # a bound on the number of blocks that is known without asking the device
        most = n_edges // BLOCK + n_atoms
        place = torch.arange(n_edges, device=dst.device) - gather(ends - counts, dst)
        first = block_ends - (counts + BLOCK - 1) // BLOCK
        slot = gather(first, dst) * BLOCK + place
        centre = torch.searchsorted(block_ends, torch.arange(most, device=dst.device), right=True)
        src = dst.new_zeros(most * BLOCK).index_copy(0, slot, self.batch.src)
        return _Blocks(slot, src, centre.clamp(max=n_atoms - 1))


class _Blocks(NamedTuple):
    """Edges in blocks of the same centre, the last of each centre filled up."""

    slot: Tensor
    """(edges,) place of each edge in its block."""
    src: Tensor
    """(slots,) neighbour; 0 where a block is filled up."""
    centre: Tensor
    """(blocks,) centre; any where a block is empty."""


class DGLOps(EdgeOps):
    """With DGL's kernels.

    Raises:
        SpecError: DGL is not installed.
    """

    def __init__(self, batch: Batch, weight: Tensor | None = None) -> None:
        super().__init__(batch, weight)
        self.ops = import_dgl().ops
        self.graph = batch.dgl()

    def at_source(self, values: Tensor) -> Tensor:
        """(edges, ...)"""
        out: Tensor = self.ops.copy_u(self.graph, values)
        return out

    def at_target(self, values: Tensor) -> Tensor:
        """(edges, ...)"""
        out: Tensor = self.ops.copy_v(self.graph, values)
        return out

    def add_up(self, messages: Tensor) -> Tensor:
        """(atoms, ...)"""
        out: Tensor = self.ops.copy_e_sum(self.graph, messages)
        return out

    def softmax(self, scores: Tensor) -> Tensor:
        """(edges, heads)"""
        out: Tensor = self.ops.edge_softmax(self.graph, scores)
        return out

    def convolve(self, values: Tensor, filters: Tensor) -> Tensor:
        """(atoms, ...)"""
        out: Tensor = self.ops.u_mul_e_sum(self.graph, values, filters)
        return out

    def sum_outer(self, values: Tensor, features: Tensor) -> Tensor:
        """(atoms, features, width)"""
        return self.convolve(values[:, None], features[:, :, None])


FRAMEWORKS: dict[Framework, type[EdgeOps]] = {"pyg": PyGOps, "dgl": DGLOps}


def edge_ops(batch: Batch, framework: Framework, weight: Tensor | None = None) -> EdgeOps:
    """The operations of a framework on a batch."""
    return FRAMEWORKS[framework](batch, weight)
