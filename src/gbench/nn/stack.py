"""What message-passing networks share: atoms and distances in, layers with their connections, readout.

A model of this kind is one layer, a module that turns node states into their update; the rest are settings.
"""

from abc import abstractmethod
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.model import Head, Model
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import RADIAL_BASES, BasisKind, EnvelopeKind, envelope
from gbench.nn.heads import Readout, ReadoutKind
from gbench.nn.mlp import ShiftedSoftplus
from gbench.nn.ops import EdgeOps, Framework, edge_ops

Size = Annotated[int, Field(ge=1)]
NormKind = Literal["none", "batch", "layer"]
Activation = Literal["relu", "silu", "softplus", "shifted-softplus", "none"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "shifted-softplus": ShiftedSoftplus,
    "none": nn.Identity,
}
NORMS: dict[str, type[nn.Module]] = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class StackConfig(Frozen):
    """Settings of every :class:`Stack`; models change the defaults and add their own."""

    hidden: Size = 64
    """Width of the node states."""
    layers: Size = 3
    residual: bool = True
    """Whether a layer's input is added to its update."""
    norm: NormKind = "none"
    """Normalisation of the update."""
    initial_residual: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the first node states in every layer's output (GCNII, https://arxiv.org/abs/2007.02133)."""
    activation: Activation = "silu"
    """Inside layers and after them."""
    readout: ReadoutKind = "mean"
    """Over the atoms of a crystal."""
    head: Size = 128
    """Width of the layer between readout and output."""
    basis: Annotated[int, Field(ge=2)] = 41
    """Radial functions from 0 to ``basis_stop``."""
    basis_kind: BasisKind = "gaussian"
    basis_stop: Annotated[float, Field(gt=0)] = 8.0
    """Å"""
    envelope: EnvelopeKind = "none"
    """Smooth fall of an edge's weight to 0 at ``basis_stop``; set that to the cut-off of the graph."""
    identity: bool = True
    """Whether atoms start from a learned embedding of their element."""
    properties: bool = True
    """Whether atoms start from properties of their element."""
    property_names: tuple[str, ...] = ()
    """Which properties, e.g. ``[electronegativity, covalent_radius, group, period]``; all unless chosen."""
    framework: Framework = "pyg"
    """What the operations along edges are done with."""


class Edges(NamedTuple):
    """What a layer knows of the edges."""

    basis: Tensor
    """(edges, basis) distances in the radial basis."""
    ops: EdgeOps
    """Operations along them; sums are weighted by the envelope."""


class Stack(Model):
    r"""Node states, updated layer by layer.

    .. math::
        x = \mathrm{norm}(\mathrm{layer}_l(h_l)) + [h_l], \qquad
        h_{l+1} = g((1 - \alpha)\, x + \alpha\, h_0)

    with the residual :math:`[h_l]` where ``residual`` is set, :math:`\alpha` the ``initial_residual`` and ``g`` the
    activation after a layer.
    """

    Config = StackConfig

    def __init__(self, config: StackConfig, head: Head) -> None:
        super().__init__(config, head)
        self.config = config
        self.embedding = AtomEncoder(
            config.hidden,
            identity=config.identity,
            with_properties=config.properties,
            names=config.property_names,
        )
        self.basis = RADIAL_BASES[config.basis_kind](config.basis_stop, config.basis)
        self.layers = nn.ModuleList(self.layer(config) for _ in range(config.layers))
        self.norms = nn.ModuleList(
            NORMS[config.norm]() if config.norm == "none" else NORMS[config.norm](config.hidden)
            for _ in range(config.layers)
        )
        self.after = self.activation_after(config)
        self.readout = Readout([config.hidden, config.head], ACTIVATIONS[config.activation], head, config.readout)

    @staticmethod
    @abstractmethod
    def layer(config: StackConfig) -> nn.Module:
        """A module: node states (atoms, hidden) and :class:`Edges` -> update (atoms, hidden)."""

    @staticmethod
    def activation_after(config: StackConfig) -> nn.Module:
        """What is applied to the sum of update and residual."""
        return ACTIVATIONS[config.activation]()

    @property
    def hops(self) -> int:
        """Layers."""
        return self.config.layers

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Encoded elements, then the state after each layer, (atoms, hidden)."""
        config = self.config
        weight = envelope(config.envelope, batch.distance, config.basis_stop)
        edges = Edges(self.basis(batch.distance), edge_ops(batch, config.framework, weight))
        states = [self.embedding(batch.numbers)]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(states[-1], edges))
            if config.residual:
                x = states[-1] + x
            if config.initial_residual:
                x = torch.lerp(x, states[0], config.initial_residual)
            states.append(self.after(x))
        return states

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self.embeddings(batch)[-1], batch)
        return out
