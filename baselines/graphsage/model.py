"""GraphSAGE with the mean aggregator, neighbours gated by distance.

Source: Hamilton, Ying and Leskovec 2017, https://arxiv.org/abs/1706.02216.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from gbench.nn.stack import Edges, Stack, StackConfig
from gbench.quotient import Sight


class GraphSAGEConfig(StackConfig):
    """Settings of :class:`GraphSAGE`."""

    unit_length: bool = False
    """Whether a layer's update is divided by its length, as in the paper's algorithm 1, line 7."""


class GatedMean(nn.Module):
    r"""One layer: algorithm 1 of the paper, lines 4 and 5, with the mean aggregator.

    .. math::
        W_s h_i + W_n \,\mathrm{mean}_{j,k} \big( (1 + W_g u_{ij,k}) \odot h_j \big) + b

    over all edges k from neighbour j to centre i. The paper multiplies the concatenation of both parts, which is the
    sum of two products. Its graph has no geometry; here the distance in the radial basis u gates each feature of the
    neighbour. With :math:`W_g = 0` the layer is the paper's.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, hidden: int, basis: int, *, unit_length: bool) -> None:
        super().__init__()
        self.own = nn.Linear(hidden, hidden)
        self.neighbors = nn.Linear(hidden, hidden, bias=False)
        self.gate = nn.Linear(basis, hidden, bias=False)
        self.unit_length = unit_length

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        gate = edges.filters(lambda basis: self.gate(basis) + 1)
        mean = edges.ops.per_degree(edges.ops.convolve(h, gate))
        # the mean is linear: its weight is taken once per atom, after it
        x: Tensor = self.own(h) + self.neighbors(mean)
        return F.normalize(x, dim=1) if self.unit_length else x


class GraphSAGE(Stack[GraphSAGEConfig]):
    """Means over gated neighbours."""

    Config = GraphSAGEConfig
    sees: ClassVar[Sight | None] = "distances"

    @staticmethod
    def layer(config: GraphSAGEConfig) -> nn.Module:
        """A gated mean."""
        return GatedMean(config.hidden, config.basis, unit_length=config.unit_length)
