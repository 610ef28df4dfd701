"""Atomistic line graph neural network: angles as links between edges.

Source: Choudhary and DeCost 2021, https://arxiv.org/abs/2106.01829.
"""

from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.edgepairs import EdgePairs
from gbench.model import Head
from gbench.nn.angles import angles
from gbench.nn.basis import GaussianBasis
from gbench.nn.gated import EdgeGatedConvolution, Links
from gbench.nn.heads import Readout
from gbench.nn.mlp import MLP
from gbench.nn.network import Network, NetworkConfig, Size
from gbench.nn.norms import NormKind
from gbench.nn.options import ConnectionOptions
from gbench.nn.segments import gather
from gbench.nn.stack import ACTIVATIONS, Activation
from gbench.quotient import Sight


class ALIGNNConfig(NetworkConfig, ConnectionOptions):
    """Settings of :class:`ALIGNN`; smaller than the paper's, which has hidden 256, layers 4 and gcn_layers 4."""

    later: ClassVar[frozenset[str]] = frozenset({"residual", "initial_residual", "basis_width", "angle_width"})
    layers: Size = 2
    """Convolutions on the line graph, each followed by one on the crystal graph."""
    gcn_layers: Annotated[int, Field(ge=0)] = 2
    """Convolutions on the crystal graph after those."""
    embedding: Size = 32
    """Width between a basis and the first edge and angle states."""
    angle_basis: Annotated[int, Field(ge=2)] = 40
    """Gaussians of the cosine, from -1 to 1."""
    angle_width: Annotated[float, Field(gt=0)] | None = None
    """Of those Gaussians: their spacing unless given."""
    norm: NormKind = "layer"
    """Of nodes, edges and angles, inside each convolution; the paper has ``batch``."""
    activation: Activation = "silu"


class States(NamedTuple):
    """What the layers update."""

    nodes: Tensor
    """(atoms, hidden)"""
    edges: Tensor
    """(edges, hidden)"""
    angles: Tensor
    """(angles, hidden)"""


class ALIGNNLayer(nn.Module):
    r"""Equations 7 and 8 of the paper.

    .. math::
        m, t' &= \mathrm{EdgeGatedConvolution}(L(g), e, t) \\
        h', e' &= \mathrm{EdgeGatedConvolution}(g, h, m)
    """

    def __init__(self, config: ALIGNNConfig) -> None:
        super().__init__()
        self.on_line_graph = convolution(config)
        self.on_graph = convolution(config)

    def forward(self, states: States, edges: Links, corners: Links) -> States:
        """States of the same shapes."""
        m, t = self.on_line_graph(states.edges, states.angles, corners)
        h, e = self.on_graph(states.nodes, m, edges)
        return States(h, e, t)


def convolution(config: ALIGNNConfig) -> EdgeGatedConvolution:
    """The one convolution there is, on either graph."""
    activation = ACTIVATIONS[config.activation]
    return EdgeGatedConvolution(config.hidden, config.norm, activation, residual=config.residual)


class ALIGNN(Network[ALIGNNConfig]):
    """Edge-gated convolutions that take turns on the line graph and on the crystal graph; mean over atoms."""

    Config = ALIGNNConfig
    sees: ClassVar[Sight | None] = "angles"
    config: ALIGNNConfig

    def __init__(self, config: ALIGNNConfig, head: Head) -> None:
        super().__init__(config, head)
        activation = ACTIVATIONS[config.activation]
        self.angle_basis = GaussianBasis(1.0, config.angle_basis, start=-1.0, width=config.angle_width)
        self.encode_edges = MLP([config.basis, config.embedding, config.hidden], activation, final=True)
        self.encode_angles = MLP([config.angle_basis, config.embedding, config.hidden], activation, final=True)
        self.layers = nn.ModuleList(ALIGNNLayer(config) for _ in range(config.layers))
        self.gcn_layers = nn.ModuleList(convolution(config) for _ in range(config.gcn_layers))
        self.readout = Readout([config.hidden, config.head], activation, head, config.readout)

    @property
    def hops(self) -> int:
        """Convolutions of the crystal graph. The angles of the first let it see one step further."""
        return self.config.layers + self.config.gcn_layers

    @property
    def numbers_per_angle(self) -> int:
        """What the layers keep for the backward pass, and what that pass needs at a time."""
        config = self.config
        return config.angle_basis + 2 * config.embedding + (6 * config.layers + 4) * config.hidden

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Encoded elements, then the state after each convolution of the crystal graph, (atoms, hidden)."""
        corners = angles(batch, self.numbers_per_angle)
        on_graph, on_line_graph = self._links(batch, corners)
        states = States(
            self.embedding(batch.numbers),
            self.encode_edges(self.basis(batch.distance)),
            self.encode_angles(self.angle_basis(corners.cosine)),
        )
        seen, with_first = [states.nodes], self.config.with_first
        for layer in self.layers:
            states = layer(states, on_graph, on_line_graph)
            states = states._replace(nodes=with_first(states.nodes, seen[0]))
            seen.append(states.nodes)
        h, e, _ = states
        for layer in self.gcn_layers:
            h, e = layer(h, e, on_graph)
            h = with_first(h, seen[0])
            seen.append(h)
        return seen

    def _links(self, batch: Batch, corners: EdgePairs) -> tuple[Links, Links]:
        weight, copies = self.edge_weight(batch), batch.copies
        of_corners = None if weight is None else gather(weight, corners.first)
        if copies is None or corners.copies is None:
            return (
                Links(batch.src, batch.dst, batch.n_atoms, weight),
                Links(corners.first, corners.second, len(batch.src), of_corners),
            )
        at_atoms = copies.edges if weight is None else copies.edges * weight
        at_edges = corners.copies if of_corners is None else corners.copies * of_corners
        all_corners = corners.copies * gather(copies.all_edges, corners.second)
        return (
            Links(batch.src, batch.dst, batch.n_atoms, at_atoms, copies.all_edges, copies.atoms),
            Links(corners.first, corners.second, len(batch.src), at_edges, all_corners, copies.all_edges),
        )

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self.embeddings(batch)[-1], batch)
        return out
