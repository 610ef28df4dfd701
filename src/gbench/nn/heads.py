"""From node states to predictions."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Head
from gbench.nn.basis import GaussianBasis
from gbench.nn.mlp import MLP
from gbench.nn.segments import gather, segment_max, segment_mean, segment_softmax, segment_sum

PAIR_BASIS = 41
PAIR_STOP_ANGSTROM = 8.0
SET2SET_STEPS = 3
ReadoutKind = Literal["mean", "sum", "max", "attention", "set2set"]


class Readout(nn.Module):
    r"""Predictions at a head's level from node states (atoms, width).

    - graph: a perceptron of the states pooled over the atoms of each crystal, as ``kind`` says;
    - node: a perceptron of each atom's state;
    - edge: a perceptron of :math:`h_i \oplus h_j \oplus u(|r_{ij}|)` for each labelled pair, with 41 Gaussians ``u`` up
      to 8 Å. The pair's own distance counts, whether or not the graph holds that edge. The prediction of an undirected
      target is the mean over (i, j) and (j, i).

    ``widths`` are those of the node states and of the layers between them and the output. ``atomwise``: the layers
    between come before the pooling, so that the mean (or sum) is one of contributions of atoms. ``sum`` grows with the
    cell: a model with it does not predict the same for a crystal and its supercell.

    Shapes: h (atoms, widths[0]) -> (graphs, outputs), (atoms, outputs) or (pairs, outputs).
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: type[nn.Module],
        head: Head,
        kind: ReadoutKind = "mean",
        *,
        atomwise: bool = False,
    ) -> None:
        super().__init__()
        self.head = head
        first, *between = widths
        if head.level == "edge":
            self.basis = GaussianBasis(PAIR_STOP_ANGSTROM, PAIR_BASIS)
            first = 2 * first + PAIR_BASIS
        elif head.level == "graph":
            self.atomwise = MLP([first, *between], activation, final=True) if atomwise else nn.Identity()
            if atomwise:
                first, between = widths[-1], []
            self.pool = Pool(kind, first)
            first *= 2 if kind == "set2set" else 1
        self.mlp = MLP([first, *between, head.outputs], activation, final=False)

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        """(items, outputs)"""
        if self.head.level == "edge":
            return self._pairs(h, batch)
        if self.head.level == "graph":
            copies = None if batch.copies is None else batch.copies.atoms
            h = self.pool(self.atomwise(h), batch.graph_of_atom, batch.n_graphs, copies)
        out: Tensor = self.mlp(h)
        if self.head.level == "node" and batch.copies is not None:
            out = gather(out, batch.copies.standing_for)
        return out

    def _pairs(self, h: Tensor, batch: Batch) -> Tensor:
        first, second = (gather(h, index) for index in batch.pairs)
        distance = self.basis(batch.pair_distance)
        out: Tensor = self.mlp(torch.cat([first, second, distance], dim=1))
        if self.head.directed:
            return out
        turned: Tensor = self.mlp(torch.cat([second, first, distance], dim=1))
        return (out + turned) / 2


class Pool(nn.Module):
    r"""Node states pooled over the atoms of each crystal, or edge states over its edges.

    ``attention``: :math:`\sum_i \mathrm{softmax}_i(a \cdot h_i)\, h_i` (https://arxiv.org/abs/1511.05493, without the
    transform of states); ``set2set``: :class:`Set2Set`, three steps, which doubles the width.

    Shapes: h (items, width) -> (graphs, width), or (graphs, 2 width) for ``set2set``.
    """

    def __init__(self, kind: ReadoutKind, width: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "attention":
            self.score = nn.Linear(width, 1)
        elif kind == "set2set":
            self.set2set = Set2Set(width, SET2SET_STEPS)

    def forward(self, h: Tensor, index: Tensor, size: int, copies: Tensor | None = None) -> Tensor:
        """Of the items of each graph ``index`` (items,), which stand for ``copies`` (items,) each."""
        if self.kind == "attention":
            return segment_sum(segment_softmax(self.score(h), index, size, copies) * h, index, size)
        if self.kind == "set2set":
            out: Tensor = self.set2set(h, index, size, copies)
            return out
        if self.kind == "max":
            return segment_max(h, index, size)
        return {"mean": segment_mean, "sum": segment_sum}[self.kind](h, index, size, copies)


class Set2Set(nn.Module):
    """A set of states summed up, whatever their order: https://arxiv.org/abs/1511.06391.

    In each of some steps a recurrent unit makes a query of what was read so far, and reads the states, weighed by the
    softmax of their products with the query.

    Shapes: h (items, width) -> (graphs, 2 width), last query and last reading.
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.lstm = nn.LSTM(2 * width, width)

    def forward(self, h: Tensor, index: Tensor, size: int, copies: Tensor | None = None) -> Tensor:
        """Of the items of each graph ``index`` (items,), which stand for ``copies`` (items,) each."""
        query, state = h.new_zeros((size, 2 * h.shape[1])), None
        for _ in range(self.steps):
            asked, state = self.lstm(query[None], state)
            asked = asked[0]
            scores = (h * gather(asked, index)).sum(dim=1, keepdim=True)
            read = segment_sum(segment_softmax(scores, index, size, copies) * h, index, size)
            query = torch.cat([asked, read], dim=1)
        return query
