"""What a layer does along edges, in PyTorch Geometric or in DGL, with the same results.

A layer is written once, with these operations; its weights know no framework. The switch is a setting of the model
(``model.framework``), so both run in one process on the same graph.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from gbench.batch import Batch, import_dgl
from gbench.nn.segments import gather, segment_sum

Framework = Literal["pyg", "dgl"]


class EdgeOps(ABC):
    """Operations along the edges of a batch. Sums and softmax weigh edges by ``weight`` (edges,) if it is given."""

    def __init__(self, batch: Batch, weight: Tensor | None = None) -> None:
        self.batch, self.weight = batch, weight

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

    def sum(self, messages: Tensor) -> Tensor:
        """(atoms, ...) weighted sum of messages (edges, ...)."""
        return self.add_up(messages if self.weight is None else messages * _wide(self.weight, messages))

    def mean(self, messages: Tensor) -> Tensor:
        """(atoms, ...) weighted mean of messages; 0 where none arrives."""
        return self.sum(messages) / _wide(self.degree.clamp(min=torch.finfo(messages.dtype).tiny), messages)

    @cached_property
    def degree(self) -> Tensor:
        """(atoms,) sum of the edge weights, or number of edges."""
        weight = self.weight if self.weight is not None else torch.ones_like(self.batch.distance)
        return self.add_up(weight[:, None])[:, 0]

    def attention(self, scores: Tensor) -> Tensor:
        """(edges, heads) weighted softmax of the scores over the edges that reach each atom."""
        return self.softmax(scores if self.weight is None else scores + self.weight.clamp(min=1e-30).log()[:, None])


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


FRAMEWORKS: dict[Framework, type[EdgeOps]] = {"pyg": PyGOps, "dgl": DGLOps}


def edge_ops(batch: Batch, framework: Framework, weight: Tensor | None = None) -> EdgeOps:
    """The operations of a framework on a batch."""
    return FRAMEWORKS[framework](batch, weight)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
