"""Connectivity-optimised graph network, without nesting.

Source: Ruff, Reiser, Stühmer and Friederich 2023, https://arxiv.org/abs/2302.14102.
"""

from typing import ClassVar

from torch import Tensor, nn

from gbench.nn.mlp import MLP
from gbench.nn.network import Size
from gbench.nn.stack import ACTIVATIONS, Edges, Stack, StackConfig
from gbench.quotient import Sight


class COGNConfig(StackConfig):
    """Settings of :class:`COGN`; the paper's have hidden 128."""

    layers: Size = 5
    depth: Size = 5
    """Layers of the perceptron that makes a message."""
    basis: Size = 32


class DeepMessages(nn.Module):
    r"""The update of one processing block.

    .. math::
        m_{ij} &= \phi_e(e_{ij} \oplus h_j \oplus h_i) \\
        h_i' &= h_i + \phi_v\Big(\sum_j m_{ij}\Big)

    with :math:`\phi_e` a perceptron of ``depth`` layers and :math:`\phi_v` one of one layer, an activation after each
    layer; the residual is the stack's. Every block starts from the same distances :math:`e_{ij}`: what makes the
    network strong are deep messages along many edges, not edge states. The first layer of :math:`\phi_e` is split, so
    that node states are multiplied once per atom, before the gather.

    Shapes: h (atoms, hidden), edges.basis (edges, basis) -> (atoms, hidden).
    """

    def __init__(self, config: COGNConfig) -> None:
        super().__init__()
        hidden, activation = config.hidden, ACTIVATIONS[config.activation]
        self.receiver = nn.Linear(hidden, hidden)
        self.sender = nn.Linear(hidden, hidden, bias=False)
        self.edge = nn.Linear(config.basis, hidden, bias=False)
        self.activation = activation()
        self.rest = MLP([hidden] * config.depth, activation, final=True)
        self.node = MLP([hidden, hidden], activation, final=True)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        z = edges.radial(self.edge)
        z += edges.ops.at_target(self.receiver(h))
        z += edges.ops.at_source(self.sender(h))
        out: Tensor = self.node(edges.ops.sum(self.rest(self.activation(z))))
        return out


class COGN(Stack["COGNConfig"]):
    """Deep messages along many edges, each block inside a residual; mean over atoms."""

    Config = COGNConfig
    sees: ClassVar[Sight | None] = "distances"

    @staticmethod
    def layer(config: COGNConfig) -> nn.Module:
        """A processing block."""
        return DeepMessages(config)

    @staticmethod
    def activation_after(config: COGNConfig) -> nn.Module:
        """None: node states add up."""
        return nn.Identity()
