"""From node states to predictions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Head
from gbench.nn.basis import GaussianBasis
from gbench.nn.mlp import MLP
from gbench.nn.segments import gather, segment_mean

PAIR_BASIS = 41
PAIR_STOP_ANGSTROM = 8.0


class Readout(nn.Module):
    r"""Predictions at a head's level from node states (atoms, width).

    - graph: a perceptron of the mean over the atoms of each crystal;
    - node: a perceptron of each atom's state;
    - edge: a perceptron of :math:`h_i \oplus h_j \oplus u(|r_{ij}|)` for each labelled pair, with 41 Gaussians ``u`` up
      to 8 Å. The pair's own distance counts, whether or not the graph holds that edge. The prediction of an undirected
      target is the mean over (i, j) and (j, i).

    ``widths`` are those of the node states and of the layers between them and the output.

    Shapes: h (atoms, widths[0]) -> (graphs, outputs), (atoms, outputs) or (pairs, outputs).
    """

    def __init__(self, widths: Sequence[int], activation: type[nn.Module], head: Head) -> None:
        super().__init__()
        self.head = head
        first, *between = widths
        if head.level == "edge":
            self.basis = GaussianBasis(PAIR_STOP_ANGSTROM, PAIR_BASIS)
            first = 2 * first + PAIR_BASIS
        self.mlp = MLP([first, *between, head.outputs], activation, final=False)

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        """(items, outputs)"""
        if self.head.level == "edge":
            return self._pairs(h, batch)
        if self.head.level == "graph":
            h = segment_mean(h, batch.graph_of_atom, batch.n_graphs)
        out: Tensor = self.mlp(h)
        return out

    def _pairs(self, h: Tensor, batch: Batch) -> Tensor:
        first, second = (gather(h, index) for index in batch.pairs)
        distance = self.basis(batch.pair_distance)
        out: Tensor = self.mlp(torch.cat([first, second, distance], dim=1))
        if self.head.directed:
            return out
        turned: Tensor = self.mlp(torch.cat([second, first, distance], dim=1))
        return (out + turned) / 2
