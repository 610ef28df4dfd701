"""PaiNN: scalars and vectors at every atom that inform each other.

Source: Schütt, Unke and Gastegger 2021, https://arxiv.org/abs/2102.03150.
"""

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Head
from gbench.nn.basis import BasisKind, EnvelopeKind
from gbench.nn.heads import Readout
from gbench.nn.mlp import MLP
from gbench.nn.network import Network, NetworkConfig
from gbench.nn.norms import norm_layer
from gbench.nn.options import ConnectionOptions
from gbench.nn.segments import gather, segment_sum

EPSILON = 1e-10
"""Added to squared lengths. Without it the gradient of a length has no value at 0, where vectors vanish by symmetry."""


class PaiNNConfig(NetworkConfig, ConnectionOptions):
    """Settings of :class:`PaiNN`; basis and envelope are the paper's.

    A layer is a message and an update block. The ``norm`` is of its scalars alone: vectors, normalised number by
    number, would no longer turn with the crystal.
    """

    later: ClassVar[frozenset[str]] = frozenset({"residual", "norm", "initial_residual", "basis_width"})
    basis: Annotated[int, Field(ge=2)] = 20
    basis_kind: BasisKind = "bessel"
    basis_stop: Annotated[float, Field(gt=0)] = 5.0
    envelope: EnvelopeKind = "cosine"


class States(NamedTuple):
    """What a block updates."""

    scalars: Tensor
    """(atoms, hidden)"""
    vectors: Tensor
    """(atoms, 3, hidden); channels come last, so that they are multiplied like those of scalars."""


class Edges(NamedTuple):
    """What a block knows of the edges."""

    basis: Tensor
    """(edges, basis) distances in the radial basis."""
    weight: Tensor | None
    """(edges,) envelope."""
    direction: Tensor
    """(edges, 3) unit vector to the neighbour."""
    batch: Batch


class Message(nn.Module):
    r"""What atoms hear of their neighbours: the message block.

    .. math::
        \Delta s_i &= \sum_j \phi_s(s_j) \circ W_s(r_{ij}) \\
        \Delta v_i &= \sum_j v_j \circ \phi_{vv}(s_j) \circ W_{vv}(r_{ij})
                    + \phi_{vs}(s_j) \circ W_{vs}(r_{ij})\, \hat r_{ij}

    where :math:`\phi` is a perceptron of the neighbour's scalars, taken once per atom and then gathered, and W a
    linear map of the radial basis times the envelope.

    Shapes: scalars (atoms, hidden), vectors (atoms, 3, hidden) -> the same.
    """

    def __init__(self, hidden: int, basis: int) -> None:
        super().__init__()
        self.phi = MLP([hidden, hidden, 3 * hidden], nn.SiLU, final=False)
        self.filter = nn.Linear(basis, 3 * hidden)

    def forward(self, states: States, edges: Edges) -> States:
        """States plus what was heard."""
        src, dst, size = edges.batch.src, edges.batch.dst, edges.batch.n_atoms
        filters = self.filter(edges.basis)
        if edges.weight is not None:
            filters = filters * edges.weight[:, None]
        s, vv, vs = (gather(self.phi(states.scalars), src) * filters).chunk(3, dim=1)
        vectors = gather(states.vectors, src) * vv[:, None] + edges.direction[:, :, None] * vs[:, None]
        return States(
            states.scalars + segment_sum(s, dst, size),
            states.vectors + segment_sum(vectors, dst, size),
        )


class Update(nn.Module):
    r"""What the scalars and vectors of one atom tell each other: the update block.

    .. math::
        \Delta s_i &= a_{ss} + a_{sv}\, \langle U v_i, V v_i \rangle, \qquad
        \Delta v_i = a_{vv}\, U v_i, \qquad a = a(s_i, \lVert V v_i \rVert)

    U and V mix channels and leave x, y and z alone: that is why vectors turn with the crystal.

    Shapes: scalars (atoms, hidden), vectors (atoms, 3, hidden) -> the same.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.u = nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Linear(hidden, hidden, bias=False)
        self.a = MLP([2 * hidden, hidden, 3 * hidden], nn.SiLU, final=False)

    def forward(self, states: States) -> States:
        """States plus what was told."""
        u, v = self.u(states.vectors), self.v(states.vectors)
        length = (v.square().sum(dim=1) + EPSILON).sqrt()
        ss, sv, vv = self.a(torch.cat([states.scalars, length], dim=1)).chunk(3, dim=1)
        return States(
            states.scalars + ss + sv * (u * v).sum(dim=1),
            states.vectors + vv[:, None] * u,
        )


class PaiNN(Network[PaiNNConfig]):
    """Message and update blocks in turn, on vectors that are 0 at first; the scalars are read out."""

    Config = PaiNNConfig

    def __init__(self, config: PaiNNConfig, head: Head) -> None:
        super().__init__(config, head)
        hidden, layers = config.hidden, range(config.layers)
        self.messages = nn.ModuleList(Message(hidden, config.basis) for _ in layers)
        self.updates = nn.ModuleList(Update(hidden) for _ in layers)
        self.norms = nn.ModuleList(norm_layer(config.norm, hidden) for _ in layers)
        self.readout = Readout([hidden, config.head], nn.SiLU, head, config.readout)

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Encoded elements, then the state after each layer: scalars, then x, y, z of each vector.

        Shapes: (atoms, 4 hidden), the irreps ``hidden x 0e + hidden x 1o`` in e3nn's order. The vectors turn with
        the crystal. Lengths of states and of their differences do not change.
        """
        return [
            torch.cat([states.scalars, states.vectors.transpose(1, 2).flatten(1)], dim=1)
            for states in self._states(batch)
        ]

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self._states(batch)[-1].scalars, batch)
        return out

    def _states(self, batch: Batch) -> list[States]:
        direction = batch.vector / batch.distance[:, None]
        edges = Edges(self.basis(batch.distance), self.edge_weight(batch), direction, batch)
        scalars = self.embedding(batch.numbers)
        states = [States(scalars, scalars.new_zeros((len(scalars), 3, scalars.shape[1])))]
        for message, update, norm in zip(self.messages, self.updates, self.norms, strict=True):
            after = update(message(states[-1], edges))
            states.append(self._connected(after, states[-1], states[0], norm))
        return states

    def _connected(self, after: States, before: States, first: States, norm: nn.Module) -> States:
        """The states after a layer, in which those before it are contained, connected as the settings say."""
        config = self.config
        if config.residual and config.norm == "none":
            scalars, vectors = after
        else:
            update = norm(after.scalars - before.scalars)
            scalars = before.scalars + update if config.residual else update
            vectors = after.vectors if config.residual else after.vectors - before.vectors
        return States(config.with_first(scalars, first.scalars), config.with_first(vectors, first.vectors))
