"""NequIP: convolutions of node states that turn with the crystal, made of tensor products.

Source: Batzner et al. 2022, https://arxiv.org/abs/2101.03164 (https://doi.org/10.1038/s41467-022-29939-5); irreps and
tensor products by e3nn, https://arxiv.org/abs/2207.09453.
"""

import math
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple, cast

import torch
from e3nn import o3
from e3nn.nn import FullyConnectedNet, Gate
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.devices import in_full
from gbench.model import Head
from gbench.nn.basis import BasisKind, EnvelopeKind
from gbench.nn.heads import Readout
from gbench.nn.network import Network, NetworkConfig, Size
from gbench.nn.norms import norm_layer
from gbench.nn.options import ConnectionOptions
from gbench.nn.segments import gather, segment_sum

SCALAR = cast(o3.Irrep, o3.Irrep("0e"))


def irreps_of(parts: str | Iterable[tuple[int, o3.Irrep]]) -> o3.Irreps:
    """``o3.Irreps(parts)``, which is annotated to return something else as well."""
    return cast(o3.Irreps, o3.Irreps(parts))


class NequIPConfig(NetworkConfig, ConnectionOptions):
    """Settings of :class:`NequIP`.

    The ``norm`` is of even scalars alone: other irreps would no longer turn with the crystal.
    """

    later: ClassVar[frozenset[str]] = frozenset({"residual", "norm", "initial_residual", "basis_width"})
    residual: bool = False
    """Whether a layer's input is added where it has the same irrep; the paper's self-connection mixes it in instead."""
    hidden: Size = 32
    """Copies of each irrep in a node state."""
    l_max: Annotated[int, Field(ge=1, le=6)] = 1
    """Highest degree of node states and spherical harmonics: 1 for vectors."""
    pseudo: bool = True
    """Whether states that a mirror turns the other way, such as 0o and 1e, are kept besides 0e, 1o, 2e, ..."""
    radial: tuple[Size, ...] = (64, 64)
    """Widths between radial basis and weights of the tensor product."""
    attributes: Size = 8
    """Width of the encoded element that the self-connection depends on."""
    neighbors: Annotated[float, Field(gt=0)] = 30.0
    """What a usual atom has: messages are summed and divided by its square root."""
    basis: Annotated[int, Field(ge=2)] = 8
    basis_kind: BasisKind = "bessel"
    basis_stop: Annotated[float, Field(gt=0)] = 5.0
    envelope: EnvelopeKind = "polynomial"


def irreps_of_states(config: NequIPConfig) -> list[o3.Irreps]:
    """Irreps of the encoded elements and of the state after each layer.

    Elements are scalars, and so is what is read out. Between them a layer keeps the irreps that its inputs can give
    *and* that can still reach the readout. With ``l_max`` 1, a pseudovector (1e) takes two layers to be made and two
    more to be heard of: fewer than four layers have none, whatever ``pseudo`` says.
    """
    degrees = range(config.l_max + 1)
    allowed = {o3.Irrep(l, p) for l in degrees for p in (1, -1) if config.pseudo or p == (-1) ** l}  # noqa: E741
    harmonics = [ir for _, ir in o3.Irreps.spherical_harmonics(config.l_max)]

    def one_layer(irreps: set[o3.Irrep]) -> set[o3.Irrep]:
        return {ir for before in irreps for y in harmonics for ir in before * y} & allowed

    # a path can be walked both ways: what reaches a scalar is what a scalar reaches
    reached = [{SCALAR}]
    for _ in range(config.layers):
        reached.append(one_layer(reached[-1]))
    kept = [there & back for there, back in zip(reached, reversed(reached), strict=True)]
    return [irreps_of([(config.hidden, ir) for ir in sorted(irreps)]) for irreps in kept]


class Edges(NamedTuple):
    """What a layer knows of the edges."""

    harmonics: Tensor
    """(edges, (l_max + 1)^2) spherical harmonics of the direction to the neighbour."""
    basis: Tensor
    """(edges, basis) distances in the radial basis, weighed by the envelope."""
    batch: Batch


class Convolution(nn.Module):
    r"""Messages of the neighbours, summed.

    .. math::
        m_i^{(l_3 p_3)} = \sum_j \sum_{(l_1 p_1)(l_2)} R(r_{ij}) \odot
        C^{l_1 l_2 l_3} \left(h_j^{(l_1 p_1)} \otimes Y^{(l_2)}(\hat r_{ij})\right), \quad p_3 = p_1 (-1)^{l_2}

    with Clebsch-Gordan coefficients C, and weights R of each channel and path from a perceptron of the distance. That
    has no bias: where the basis is 0, at the cut-off, so is the message. Each path has outputs of its own
    (``irreps``), which the linear layer after it mixes.

    Shapes: h (atoms, before.dim) -> (atoms, irreps.dim).

    Source: section "Methods" of the paper, convolution filters and equivariant convolution.
    """

    def __init__(self, before: o3.Irreps, after: o3.Irreps, config: NequIPConfig) -> None:
        super().__init__()
        harmonics = o3.Irreps.spherical_harmonics(config.l_max)
        paths = [
            (i, j, mul, out)
            for i, (mul, ir) in enumerate(before)
            for j, (_, y) in enumerate(harmonics)
            for out in ir * y
            if out in after
        ]
        paths.sort(key=lambda path: path[3])
        outputs = irreps_of([(mul, out) for *_, mul, out in paths])
        instructions = [(i, j, number, "uvu", True) for number, (i, j, _, _) in enumerate(paths)]
        self.product = o3.TensorProduct(
            before, harmonics, outputs, instructions, shared_weights=False, internal_weights=False
        )
        self.radial = FullyConnectedNet([config.basis, *config.radial, self.product.weight_numel], F.silu)
        self.irreps = outputs.simplify()

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, irreps.dim)"""
        batch = edges.batch
        messages = self.product(gather(h, batch.src), edges.harmonics, self.radial(edges.basis))
        return segment_sum(messages, batch.dst, batch.n_atoms)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Convolution":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # e3nn holds coefficients in the precision it is built in: cast to float64, they would still be those of float32
        for name, coefficients in self.product.named_buffers():
            if found := re.search(r"_w3j_(\d+)_(\d+)_(\d+)$", name):
                coefficients.copy_(o3.wigner_3j(*map(int, found.groups()), dtype=coefficients.dtype))
        return self


class Interaction(nn.Module):
    r"""One layer: :math:`h_i' = \mathrm{gate}(W_2\, m_i(W_1 h) / \sqrt{n} + S(a_i)\, h_i)`.

    The W mix channels of one irrep. The self-connection S depends on the element: in the paper it has weights of its
    own for each; here they are linear in a short encoding ``a`` of it, because in most datasets most of a hundred
    elements are rare. The gate applies SiLU to even scalars and tanh to odd ones, and multiplies all other irreps by
    SiLU of an even scalar of their own.

    Shapes: h (atoms, before.dim), attributes (atoms, attributes) -> (atoms, after.dim).
    """

    def __init__(self, before: o3.Irreps, after: o3.Irreps, config: NequIPConfig) -> None:
        super().__init__()
        self.neighbors = config.neighbors
        self.gate = gate(after)
        inside = self.gate.irreps_in
        self.first = o3.Linear(before, before)
        self.convolution = Convolution(before, inside, config)
        self.last = o3.Linear(self.convolution.irreps, inside)
        self.self_connection = o3.FullyConnectedTensorProduct(before, f"{config.attributes}x0e", inside)

    def forward(self, h: Tensor, attributes: Tensor, edges: Edges) -> Tensor:
        """(atoms, after.dim)"""
        messages = self.convolution(self.first(h), edges) / math.sqrt(self.neighbors)
        out: Tensor = self.gate(self.last(messages) + self.self_connection(h, attributes))
        return out


def gate(after: o3.Irreps) -> Any:
    """e3nn's gate whose outputs are ``after``."""
    scalars = irreps_of([(mul, ir) for mul, ir in after if ir.l == 0])
    others = irreps_of([(mul, ir) for mul, ir in after if ir.l > 0])
    gates = irreps_of([(others.num_irreps, SCALAR)] if others else [])
    # tanh is odd, so an odd scalar stays odd
    activations = [F.silu if ir.p == 1 else torch.tanh for _, ir in scalars]
    return Gate(scalars, activations, gates, [F.silu for _ in gates], others)


class NequIP(Network[NequIPConfig]):
    """Node states of scalars, vectors and higher irreps; what is read out are the even scalars of the last layer."""

    Config = NequIPConfig

    def __init__(self, config: NequIPConfig, head: Head) -> None:
        super().__init__(config, head)
        self.attributes = config.encoder(config.attributes)
        self.harmonics = o3.SphericalHarmonics(
            o3.Irreps.spherical_harmonics(config.l_max), normalize=True, normalization="component"
        )
        self.irreps = irreps_of_states(config)
        """Of each of the ``embeddings``."""
        self.layers = nn.ModuleList(Interaction(*states, config) for states in pairwise(self.irreps))
        self.norms = nn.ModuleList(norm_layer(config.norm, config.hidden) for _ in self.layers)
        self.readout = Readout([config.hidden, config.head], nn.SiLU, head, config.readout)

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Encoded elements, then the state after each layer: every irrep of it, flattened as e3nn does.

        Shapes: (atoms, irreps[layer].dim). Only scalars (0e) stay as they are when the crystal is turned; the rest
        turns with it. Lengths of states and of their differences do not change.
        """
        edges = self.edges(batch)
        attributes = self.attributes(batch.numbers)
        states = [self.embedding(batch.numbers)]
        for number, layer in enumerate(self.layers):
            update = layer(states[-1], attributes, edges)
            states.append(update if self.config.plain else self._connected(number, update, states))
        return states

    def _connected(self, number: int, update: Tensor, states: list[Tensor]) -> Tensor:
        """(atoms, after.dim) what a layer gave, connected irrep by irrep; an irrep that is new has nothing to add."""
        before, after = self.irreps[number], self.irreps[number + 1]
        own = {ir: states[-1][:, where] for where, (_, ir) in zip(before.slices(), before, strict=True)}
        parts = []
        for where, (_, ir) in zip(after.slices(), after, strict=True):
            x = update[:, where]
            none = torch.zeros_like(x)
            first, norm = (states[0], self.norms[number]) if ir == SCALAR else (none, nn.Identity())
            parts.append(self.config.connect(x, own.get(ir, none), first, norm))
        return torch.cat(parts, dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        # e3nn's products know nothing of mixed precision
        with in_full(batch.vector):
            states = self.embeddings(batch)
        out: Tensor = self.readout(states[-1], batch)
        return out

    def edges(self, batch: Batch) -> Edges:
        """What layers know of the edges."""
        basis, weight = self.basis(batch.distance), self.edge_weight(batch)
        return Edges(self.harmonics(batch.vector), basis if weight is None else basis * weight[:, None], batch)
