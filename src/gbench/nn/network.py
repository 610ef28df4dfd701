"""What every message-passing network is told, and what it starts from: atoms and distances."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field
from torch import Tensor

from gbench.batch import Batch
from gbench.model import Head, Model
from gbench.nn.heads import ReadoutKind
from gbench.nn.options import AtomOptions, DistanceOptions

Size = Annotated[int, Field(ge=1)]


class NetworkConfig(AtomOptions, DistanceOptions):
    """Settings of every :class:`Network`; models change the defaults and add their own."""

    hidden: Size = 64
    """Width of the node states."""
    layers: Size = 3
    readout: ReadoutKind = "mean"
    """Over the atoms of a crystal."""
    head: Size = 128
    """Width of the layer between readout and output."""


ConfigT = TypeVar("ConfigT", bound=NetworkConfig)


class Network(Model, Generic[ConfigT]):
    """Encoded elements in ``embedding`` and a radial ``basis``; one hop per layer."""

    Config = NetworkConfig

    def __init__(self, config: ConfigT, head: Head) -> None:
        super().__init__(config, head)
        self.config = config
        self.embedding = config.encoder(config.hidden)
        self.basis = config.radial_basis()

    @property
    def hops(self) -> int:
        """Layers."""
        return self.config.layers

    def edge_weight(self, batch: Batch) -> Tensor | None:
        """(edges,) the envelope; None where there is none."""
        return self.config.edge_weight(batch)
