"""What message-passing networks share: atoms and distances in, layers with their connections, readout.

A model of this kind is one layer, a module that turns node states into their update; the rest are settings.
"""

from abc import abstractmethod
from collections.abc import Callable
from itertools import cycle
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Head
from gbench.nn.basis import envelope
from gbench.nn.heads import Readout
from gbench.nn.mlp import ShiftedSoftplus
from gbench.nn.network import Network, NetworkConfig
from gbench.nn.norms import norm_layer
from gbench.nn.ops import EdgeOps, Framework, edge_ops
from gbench.nn.options import ConnectionOptions
from gbench.nn.segments import gather

Activation = Literal["relu", "silu", "softplus", "shifted-softplus", "none"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "shifted-softplus": ShiftedSoftplus,
    "none": nn.Identity,
}


class StackConfig(NetworkConfig, ConnectionOptions):
    """Settings of every :class:`Stack`; models change the defaults and add their own."""

    activation: Activation = "silu"
    """Inside layers and after them."""
    framework: Framework = "pyg"
    """What the operations along edges are done with."""


ConfigT = TypeVar("ConfigT", bound=StackConfig)


class Edges(NamedTuple):
    """What a layer knows of the edges."""

    basis: Tensor
    """(distances, basis) distances in the radial basis."""
    ops: EdgeOps
    """Operations along them; sums are weighted by envelope and copies."""
    envelope: Tensor | None = None
    """(distances, 1) weight of an edge of that length, if there is an envelope."""
    distance_of_edge: Tensor | None = None
    """(edges,) row of ``basis`` that each edge has; None if each has one of its own."""

    def radial(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """(edges, width) ``function`` of the basis, (distances, basis) -> (distances, width), once per distance."""
        out = function(self.basis)
        return out if self.distance_of_edge is None else gather(out, self.distance_of_edge)

    def filters(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """(edges, width) the same, times envelope and copies: for sums that know no weights."""
        envelope, copies = self.envelope, self.ops.batch.copies
        out = self.radial(function if envelope is None else lambda basis: function(basis) * envelope)
        return out if copies is None else out * copies.edges[:, None]


class Stack(Network[ConfigT], Generic[ConfigT]):
    r"""Node states, updated layer by layer.

    .. math::
        x = \mathrm{norm}(\mathrm{layer}_l(h_l)) + [h_l], \qquad
        h_{l+1} = g((1 - \alpha)\, x + \alpha\, h_0)

    with the residual :math:`[h_l]` where ``residual`` is set, :math:`\alpha` the ``initial_residual`` and ``g`` the
    activation after a layer.
    """

    Config = StackConfig
    atomwise: ClassVar[bool] = False
    """Whether the layer between readout and output comes before the pooling (:class:`gbench.nn.heads.Readout`)."""

    def __init__(self, config: ConfigT, head: Head) -> None:
        super().__init__(config, head)
        self.layers = nn.ModuleList(self.layer(config) for _ in range(self.distinct_layers(config)))
        self.norms = nn.ModuleList(norm_layer(config.norm, config.hidden) for _ in range(config.layers))
        self.after = self.activation_after(config)
        widths, activation = [config.hidden, config.head], ACTIVATIONS[config.activation]
        self.readout = Readout(widths, activation, head, config.readout, atomwise=self.atomwise)

    @staticmethod
    @abstractmethod
    def layer(config: ConfigT) -> nn.Module:
        """A module: node states (atoms, hidden) and :class:`Edges` -> update (atoms, hidden)."""

    @staticmethod
    def distinct_layers(config: ConfigT) -> int:
        """How many layers have weights of their own; with fewer than ``layers``, they take turns."""
        return config.layers

    @staticmethod
    def activation_after(config: ConfigT) -> nn.Module:
        """What is applied to the sum of update and residual."""
        return ACTIVATIONS[config.activation]()

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Encoded elements, then the state after each layer, (atoms, hidden)."""
        config = self.config
        edges, copies = self._edges(batch), batch.copies and batch.copies.atoms
        states = [self.embedding(batch.numbers)]
        for layer, norm in zip(cycle(self.layers), self.norms, strict=False):
            update = layer(states[-1], edges)
            states.append(self.after(config.connect(update, states[-1], states[0], norm, copies)))
        return states

    def _edges(self, batch: Batch) -> Edges:
        config, of_edge = self.config, batch.distance_of_edge
        distances = batch.distance if batch.distances is None else batch.distances
        weight = envelope(config.envelope, distances, config.basis_stop)
        of_edges = weight if weight is None or of_edge is None else gather(weight, of_edge)
        ops = edge_ops(batch, config.framework, of_edges)
        return Edges(self.basis(distances), ops, None if weight is None else weight[:, None], of_edge)

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self.embeddings(batch)[-1], batch)
        return out
