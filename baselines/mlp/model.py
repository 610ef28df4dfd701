"""A perceptron over composition: what a network reaches that knows nothing of structure."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.errors import SpecError
from gbench.model import Head, Model
from gbench.nn.composition import CompositionEncoder
from gbench.nn.mlp import MLP
from gbench.nn.network import Size
from gbench.nn.stack import ACTIVATIONS


class PerceptronConfig(Frozen):
    """Settings of :class:`Perceptron`."""

    hidden: Size = 256
    """Width of the hidden layers."""
    layers: Size = 3
    """Hidden layers."""
    activation: Literal["relu", "silu", "softplus", "shifted-softplus"] = "silu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the composition vector."""
    identity: bool = True
    """Whether the fraction of each element is part of the vector, beside statistics of element properties."""


class Perceptron(Model):
    """A perceptron of the composition vector: the first rung of the ladder, without any structural bias."""

    Config = PerceptronConfig
    uses_graph = False

    def __init__(self, config: PerceptronConfig, head: Head) -> None:
        super().__init__(config, head)
        if head.level != "graph":
            raise SpecError(f"mlp sees one composition per crystal and has no {head.level} head; choose another model")
        self.encoder = CompositionEncoder(identity=config.identity)
        self.dropout = nn.Dropout(config.dropout)
        widths = [self.encoder.width, *[config.hidden] * config.layers, head.outputs]
        self.mlp = MLP(widths, ACTIVATIONS[config.activation], final=False)

    @property
    def hops(self) -> int:
        """0: no atom sees another."""
        return 0

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """What each atom contributes, (atoms, properties)."""
        return [self.encoder.atoms(batch.numbers)]

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, outputs)"""
        out: Tensor = self.mlp(self.dropout(self.encoder(batch)))
        return out
