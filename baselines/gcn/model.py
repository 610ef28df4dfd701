"""Graph convolutional network on a graph weighted by distance.

Source: Kipf and Welling 2017, https://arxiv.org/abs/1609.02907.
"""

import math
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from gbench.nn.stack import Activation, Edges, Stack, StackConfig
from gbench.quotient import Sight


class GCNConfig(StackConfig):
    """Settings of :class:`GCN`."""

    activation: Activation = "silu"
    """The paper has ReLU."""


class GraphConvolution(nn.Module):
    r"""One convolution: equation 2 of the paper, with learned weights for its adjacency.

    .. math::
        D^{-1/2} (A + 1) D^{-1/2} H W + b, \quad
        A_{ij} = \sum_{k} \mathrm{softplus}(a \cdot u_{ij,k} + c) / \ln 2, \quad D_{ii} = 1 + \sum_j A_{ij}

    over all edges :math:`k` from neighbour j to centre i, periodic images among them. The paper's graph has no
    geometry; here a positive number per edge and layer, worked out of the distance in the radial basis u, says how much
    a neighbour counts. With :math:`a = c = 0` every edge has weight 1 and the layer is the paper's.

    What arrives is divided by what the weights add up to. In a crystal whose atoms are all equivalent the layer
    therefore gives :math:`h W + b`, at any volume.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, hidden: int, basis: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, hidden, bias=False)
        self.bias = nn.Parameter(self.linear.weight.new_zeros(hidden))
        self.edge = nn.Linear(basis, 1)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        weight = edges.filters(lambda basis: F.softplus(self.edge(basis)) / math.log(2))
        scale = (1 + edges.ops.add_up(weight)).rsqrt()
        # D^-1/2 is taken at the atoms, so that an edge holds nothing but its weight
        x = scale * self.linear(h)
        out: Tensor = scale * (edges.ops.convolve(x, weight) + x) + self.bias
        return out


class GCN(Stack[GCNConfig]):
    """Convolutions with the normalised adjacency."""

    Config = GCNConfig
    sees: ClassVar[Sight | None] = "distances"

    @staticmethod
    def layer(config: GCNConfig) -> nn.Module:
        """A convolution."""
        return GraphConvolution(config.hidden, config.basis)
