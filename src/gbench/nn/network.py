"""What every message-passing network is told, and what it starts from: atoms and distances."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field
from torch import Tensor

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.model import Head, Model
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import RADIAL_BASES, BasisKind, EnvelopeKind, envelope
from gbench.nn.heads import ReadoutKind

Size = Annotated[int, Field(ge=1)]


class NetworkConfig(Frozen):
    """Settings of every :class:`Network`; models change the defaults and add their own."""

    hidden: Size = 64
    """Width of the node states."""
    layers: Size = 3
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

    def encoder(self, width: int) -> AtomEncoder:
        """What atoms start from."""
        return AtomEncoder(width, identity=self.identity, with_properties=self.properties, names=self.property_names)


ConfigT = TypeVar("ConfigT", bound=NetworkConfig)


class Network(Model, Generic[ConfigT]):
    """Encoded elements in ``embedding`` and a radial ``basis``; one hop per layer."""

    Config = NetworkConfig

    def __init__(self, config: ConfigT, head: Head) -> None:
        super().__init__(config, head)
        self.config = config
        self.embedding = config.encoder(config.hidden)
        self.basis = RADIAL_BASES[config.basis_kind](config.basis_stop, config.basis)

    @property
    def hops(self) -> int:
        """Layers."""
        return self.config.layers

    def edge_weight(self, batch: Batch) -> Tensor | None:
        """(edges,) the envelope; None where there is none."""
        return envelope(self.config.envelope, batch.distance, self.config.basis_stop)
