"""Message passing neural network: edge network, gated recurrent update, set2set readout.

Source: Gilmer et al. 2017, https://arxiv.org/abs/1704.01212, section 5.
"""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from gbench.nn.heads import ReadoutKind
from gbench.nn.network import Size
from gbench.nn.stack import ACTIVATIONS, Activation, Edges, Stack, StackConfig
from gbench.quotient import Sight


class MPNNConfig(StackConfig):
    """Settings of :class:`MPNN`."""

    shared: bool = True
    """Whether all steps share their weights, as in the paper."""
    edge_features: Size = 16
    """Hidden features of the edge network; each has a matrix."""
    aggregation: Literal["mean", "sum"] = "mean"
    """The paper sums; its molecules have few neighbours per atom, crystals have dozens."""
    residual: bool = False
    """The recurrent unit carries the state on by itself."""
    activation: Activation = "silu"
    readout: ReadoutKind = "set2set"


class Step(nn.Module):
    r"""The state after one step: the paper's edge network and update function.

    .. math::
        h_i' = \mathrm{GRU}(m_i, h_i), \quad m_i = \mathrm{mean}_{j,k} A(u_{ij,k}) h_j, \quad
        A(u) = \sum_f \phi_f(u) A_f + A_0, \quad \phi(u) = g(W u + b)

    over all edges k from neighbour j to centre i. This is a network with one hidden layer whose output, a matrix per
    edge, is never worked out: since :math:`\sum_j A(u_{ij}) h_j = \sum_f A_f \sum_j \phi_f(u_{ij}) h_j`, the matrices
    are multiplied once per atom, after the sum.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, config: MPNNConfig) -> None:
        super().__init__()
        hidden, features = config.hidden, config.edge_features
        self.aggregation = config.aggregation
        self.features = nn.Sequential(nn.Linear(config.basis, features), ACTIVATIONS[config.activation]())
        self.matrices = nn.Linear((features + 1) * hidden, hidden, bias=False)
        self.update = nn.GRUCell(hidden, hidden)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        # a feature that is 1 on every edge, for A_0
        features = edges.filters(lambda basis: F.pad(self.features(basis), (0, 1), value=1.0))
        message = self.matrices(edges.ops.sum_outer(h, features).flatten(1))
        if self.aggregation == "mean":
            message = edges.ops.per_degree(message)
        out: Tensor = self.update(message, h)
        return out


class MPNN(Stack[MPNNConfig]):
    """Steps of message passing with one set of weights."""

    Config = MPNNConfig
    sees: ClassVar[Sight | None] = "distances"

    @staticmethod
    def layer(config: MPNNConfig) -> nn.Module:
        """A step."""
        return Step(config)

    @staticmethod
    def distinct_layers(config: MPNNConfig) -> int:
        """One, if the weights are shared."""
        return 1 if config.shared else config.layers

    @staticmethod
    def activation_after(config: MPNNConfig) -> nn.Module:
        """None: the recurrent unit has its own."""
        return nn.Identity()
