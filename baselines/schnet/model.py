"""SchNet: continuous-filter convolutions.

Source: Schütt et al. 2017, https://arxiv.org/abs/1706.08566.
"""

from typing import ClassVar

from torch import Tensor, nn

from gbench.nn.basis import EnvelopeKind
from gbench.nn.mlp import MLP
from gbench.nn.network import Size
from gbench.nn.stack import ACTIVATIONS, Activation, Edges, Stack, StackConfig
from gbench.quotient import Sight


class SchNetConfig(StackConfig):
    """Settings of :class:`SchNet`."""

    filters: Size = 64
    """Width of the filters."""
    activation: Activation = "shifted-softplus"
    basis: Size = 50
    basis_stop: float = 5.0
    """Å; the cut-off of the graph, for the envelope ends there."""
    envelope: EnvelopeKind = "cosine"
    head: Size = 32
    """Width of the atom-wise layer before the output; half of ``hidden`` in the paper."""


class Interaction(nn.Module):
    r"""The update of one interaction block: figure 2 and equation 2 of the paper.

    .. math::
        W_4\, g\Big(W_3 \sum_{j,k} (W_1 h_j) \odot f(u_{ij,k})\, C(r_{ij,k}) + b_3\Big) + b_4,
        \quad f = W\, g(W' u + b') + b

    over all edges k from neighbour j to centre i, with the envelope C and the activation g. W1 is taken at the atoms.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__()
        activation = ACTIVATIONS[config.activation]
        self.filters = MLP([config.basis, config.filters, config.filters], activation, final=False)
        self.first = nn.Linear(config.hidden, config.filters, bias=False)
        self.rest = MLP([config.filters, config.hidden, config.hidden], activation, final=False)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        x = edges.ops.convolve(self.first(h), edges.filters(self.filters))
        out: Tensor = self.rest(x)
        return out


class SchNet(Stack[SchNetConfig]):
    """Interaction blocks, each added to its input, and a mean over contributions of atoms."""

    Config = SchNetConfig
    sees: ClassVar[Sight | None] = "distances"
    atomwise: ClassVar[bool] = True

    @staticmethod
    def layer(config: SchNetConfig) -> nn.Module:
        """An interaction."""
        return Interaction(config)

    @staticmethod
    def activation_after(config: SchNetConfig) -> nn.Module:
        """None."""
        return nn.Identity()
