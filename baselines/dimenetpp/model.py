"""DimeNet++: messages between directed edges, shaped by distances and angles.

Source: Gasteiger, Giri, Margraf and Günnemann 2020, https://arxiv.org/abs/2011.14115, on DimeNet by Gasteiger, Groß and
Günnemann 2020, https://arxiv.org/abs/2003.03123.
"""

import math
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Head
from gbench.nn.angles import angles
from gbench.nn.basis import BasisKind, EnvelopeKind
from gbench.nn.heads import Readout
from gbench.nn.mlp import MLP
from gbench.nn.network import Network, NetworkConfig, Size
from gbench.nn.norms import norm_layer, normalise
from gbench.nn.options import ConnectionOptions
from gbench.nn.segments import gather, segment_sum
from gbench.nn.spherical import SphericalBasis
from gbench.quotient import Sight


class DimeNetPPConfig(NetworkConfig, ConnectionOptions):
    """Settings of :class:`DimeNetPP`; smaller than the paper's, given in brackets.

    The ``residual`` is that of messages, from block to block; node states are sums over output blocks in any case, and
    what the ``norm`` is of is what each of these adds.
    """

    later: ClassVar[frozenset[str]] = frozenset({"residual", "norm", "initial_residual", "basis_width"})
    hidden: Size = 64
    """Width of the messages (128)."""
    layers: Size = 3
    """Interaction blocks (4)."""
    basis: Annotated[int, Field(ge=2)] = 6
    """Radial functions; for each of them and each of ``angular`` there is a spherical one (6)."""
    basis_kind: BasisKind = "bessel"
    basis_stop: Annotated[float, Field(gt=0)] = 5.0
    """Å; where both bases and the envelope end (5)."""
    envelope: EnvelopeKind = "polynomial"
    angular: Annotated[int, Field(ge=1)] = 7
    """Orders of the spherical basis (7)."""
    interaction: Size = 32
    """Width of a message while it meets the angles (64)."""
    basis_embedding: Size = 8
    """Width of the bases between their two products (8)."""
    before_skip: Annotated[int, Field(ge=0)] = 1
    """Residual layers before a block's input is added (1)."""
    after_skip: Annotated[int, Field(ge=0)] = 2
    """Residual layers after that (2)."""
    output: Size = 128
    """Width of the node states that an output block makes of messages (256)."""
    output_layers: Annotated[int, Field(ge=0)] = 3
    """Dense layers of an output block (3)."""


class Geometry(NamedTuple):
    """What the blocks know of a batch."""

    radial: Tensor
    """(edges, basis) distances, under the envelope."""
    spherical: Tensor
    """(angles, angular * basis) distances k -> j and angles, under the envelope."""
    first: Tensor
    """(angles,) edge k -> j."""
    second: Tensor
    """(angles,) edge j -> i."""


class ResidualLayer(nn.Module):
    """Two dense layers, each with an activation, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = MLP([width, width, width], nn.SiLU, final=True)

    def forward(self, x: Tensor) -> Tensor:
        """(items, width)"""
        out: Tensor = x + self.mlp(x)
        return out


class EmbeddingBlock(nn.Module):
    r"""First messages, :math:`m_{ji} = g(W [h_j \oplus h_i \oplus g(W_r e_{ji})] + b)`; the weight is split by input.

    Shapes: h (atoms, hidden), radial (edges, basis) -> (edges, hidden).
    """

    def __init__(self, config: DimeNetPPConfig) -> None:
        super().__init__()
        width = config.hidden
        self.distance = nn.Linear(config.basis, width)
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(width, width, bias=False)
        self.activation = nn.SiLU()

    def forward(self, h: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """(edges, hidden)"""
        z = self.edge(self.activation(self.distance(radial)))
        z += gather(self.sender(h), batch.src)
        z += gather(self.receiver(h), batch.dst)
        out: Tensor = self.activation(z)
        return out


class InteractionBlock(nn.Module):
    r"""Messages, updated by those that reach the atom they start from.

    .. math::
        n_{kj} &= g(W_{down} [g(W_{kj} m_{kj}) \odot W_2 W_1 e_{RBF}(d_{kj})]) \\
        m_{ji}' &= f\Big(m_{ji},\ g(W_{ji} m_{ji})
                + g\Big(W_{up} \sum_k n_{kj} \odot W_4 W_3 e_{SBF}(d_{kj}, \alpha_{kji})\Big)\Big)

    with ``f`` the residual layers and the skip of the block's input. This is figure 1 of DimeNet++: the bilinear layer
    of DimeNet became a product in a narrower space.

    Shapes: m (edges, hidden) -> (edges, hidden).
    """

    def __init__(self, config: DimeNetPPConfig) -> None:
        super().__init__()
        width, narrow, embedding = config.hidden, config.interaction, config.basis_embedding
        self.radial = nn.Sequential(
            nn.Linear(config.basis, embedding, bias=False), nn.Linear(embedding, width, bias=False)
        )
        self.spherical = nn.Sequential(
            nn.Linear(config.angular * config.basis, embedding, bias=False), nn.Linear(embedding, narrow, bias=False)
        )
        self.incoming, self.own = nn.Linear(width, width), nn.Linear(width, width)
        self.down, self.up = nn.Linear(width, narrow, bias=False), nn.Linear(narrow, width, bias=False)
        self.before_skip = nn.Sequential(*(ResidualLayer(width) for _ in range(config.before_skip)))
        self.dense = nn.Linear(width, width)
        self.after_skip = nn.Sequential(*(ResidualLayer(width) for _ in range(config.after_skip)))
        self.activation = nn.SiLU()
        self.residual = config.residual

    def forward(self, m: Tensor, geometry: Geometry) -> Tensor:
        """(edges, hidden)"""
        g = self.activation
        incoming = g(self.down(g(self.incoming(m)) * self.radial(geometry.radial)))
        met = gather(incoming, geometry.first) * self.spherical(geometry.spherical)
        x = g(self.own(m)) + g(self.up(segment_sum(met, geometry.second, len(m))))
        update = g(self.dense(self.before_skip(x)))
        out: Tensor = self.after_skip(m + update if self.residual else update)
        return out


class OutputBlock(nn.Module):
    r"""Node states of the messages that arrive, :math:`\mathrm{MLP}(W_{up} \sum_j W_r e_{RBF}(d_{ji}) \odot m_{ji})`.

    The paper's block ends in a product that makes numbers of the states and adds these up over blocks; here the states
    are added up, and the readout makes predictions of them at any level.

    Shapes: m (edges, hidden), radial (edges, basis) -> (atoms, output).
    """

    def __init__(self, config: DimeNetPPConfig) -> None:
        super().__init__()
        self.radial = nn.Linear(config.basis, config.hidden, bias=False)
        self.up = nn.Linear(config.hidden, config.output, bias=False)
        self.dense = MLP([config.output] * (config.output_layers + 1), nn.SiLU, final=True)

    def forward(self, m: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """(atoms, output)"""
        copies = None if batch.copies is None else batch.copies.edges
        out: Tensor = self.dense(self.up(segment_sum(self.radial(radial) * m, batch.dst, batch.n_atoms, copies)))
        return out


class DimeNetPP(Network[DimeNetPPConfig]):
    """Directional message passing; node states are the sum over output blocks, the readout their mean over atoms."""

    Config = DimeNetPPConfig
    sees: ClassVar[Sight | None] = "angles"
    config: DimeNetPPConfig

    def __init__(self, config: DimeNetPPConfig, head: Head) -> None:
        super().__init__(config, head)
        self.spherical_basis = SphericalBasis(config.basis_stop, config.angular, config.basis)
        self.embed_messages = EmbeddingBlock(config)
        self.interactions = nn.ModuleList(InteractionBlock(config) for _ in range(config.layers))
        self.outputs = nn.ModuleList(OutputBlock(config) for _ in range(config.layers + 1))
        self.norms = nn.ModuleList(norm_layer(config.norm, config.output) for _ in self.outputs)
        self.own_state = nn.Linear(config.hidden, config.output)
        self.readout = Readout([config.output, config.head], nn.SiLU, head, config.readout)
        self.apply(orthogonal_)

    @property
    def hops(self) -> int:
        """Output blocks: first messages know both ends of an edge, and each interaction reaches one step further."""
        return self.config.layers + 1

    @property
    def numbers_per_angle(self) -> int:
        """What the blocks keep for the backward pass, and what that pass needs at a time."""
        config = self.config
        of_block = 3 * config.interaction + config.basis_embedding
        return 2 * config.angular * config.basis + config.layers * of_block + 2 * config.interaction

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Encoded elements, then with what each output block adds, (atoms, output)."""
        geometry = self._geometry(batch)
        h = self.embedding(batch.numbers)
        m = self.embed_messages(h, geometry.radial, batch)
        # an atom with no neighbour inside the envelope still has its element
        states, copies = [self.own_state(h)], batch.copies and batch.copies.atoms
        for number, (output, norm) in enumerate(zip(self.outputs, self.norms, strict=True)):
            if number:
                m = self.interactions[number - 1](m, geometry)
            added = normalise(norm, output(m, geometry.radial, batch), copies)
            states.append(self.config.with_first(states[-1] + added, states[0]))
        return states

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self.embeddings(batch)[-1], batch)
        return out

    def _geometry(self, batch: Batch) -> Geometry:
        corners = angles(batch, self.numbers_per_angle)
        radial, spherical = self.basis(batch.distance), self.spherical_basis.of_distance(batch.distance)
        weight = self.edge_weight(batch)
        if weight is not None:
            radial, spherical = radial * weight[:, None], spherical * weight[:, None, None]
        met = self.spherical_basis(gather(spherical, corners.first), corners.cosine)
        if corners.copies is not None:
            # what arrives is linear in this
            met = met * corners.copies[:, None]
        return Geometry(radial, met, corners.first, corners.second)


def orthogonal_(module: nn.Module) -> None:
    """Orthogonal weights with the variance of Glorot's, and biases of 0, as the authors start from."""
    if isinstance(module, nn.Linear):
        inputs, outputs = module.in_features, module.out_features
        # the mean square of an entry of an orthogonal matrix is one over its longer side
        nn.init.orthogonal_(module.weight, gain=math.sqrt(2 * max(inputs, outputs) / (inputs + outputs)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
