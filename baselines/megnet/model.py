"""MEGNet: node, edge and global states that update each other.

Source: Chen et al. 2019, https://doi.org/10.1021/acs.chemmater.9b01294.
"""

from typing import Annotated, ClassVar, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Head, Model
from gbench.nn.heads import Pool, Readout, ReadoutKind, Set2Set
from gbench.nn.mlp import MLP
from gbench.nn.norms import norm_layer
from gbench.nn.ops import EdgeOps, Framework, edge_ops
from gbench.nn.options import AtomOptions, ConnectionOptions, DistanceOptions
from gbench.nn.segments import gather, segment_mean
from gbench.nn.stack import ACTIVATIONS, Activation
from gbench.quotient import Sight

Size = Annotated[int, Field(ge=1)]
LEAST_WEIGHT = 1e-30


class MEGNetConfig(AtomOptions, DistanceOptions, ConnectionOptions):
    """Settings of :class:`MEGNet`; the defaults are the paper's, but for ``properties``.

    ``residual`` and ``initial_residual`` are those of nodes, edges and global states, the ``norm`` is that of nodes and
    edges, and the ``envelope`` weighs bonds in all means and pools. ``blocks`` and ``state`` are what other networks
    call layers and hidden.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {"identity", "property_names", "basis_kind", "envelope", "residual", "norm", "initial_residual", "readout"}
    )
    blocks: Size = 3
    width: Size = 64
    """First two layers of each update."""
    state: Size = 32
    """Third layer of each update: the width of node, edge and global states between blocks."""
    embedding: Size = 16
    """Width of the element embedding."""
    basis: Annotated[int, Field(ge=2)] = 100
    basis_stop: Annotated[float, Field(gt=0)] = 5.0
    """Å"""
    basis_width: Annotated[float, Field(gt=0)] | None = 0.5
    """Å; of Gaussians: their spacing where it is None."""
    readout: ReadoutKind = "set2set"
    """Over the atoms of a crystal, and over its bonds."""
    set2set_steps: Size = 3
    activation: Activation = "shifted-softplus"
    """The paper's; ``silu`` takes less than half the time."""
    framework: Framework = "pyg"
    """What the operations along edges are done with."""

    @model_validator(mode="after")
    def _a_maximum_knows_no_weights(self) -> Self:
        if self.readout == "max" and self.envelope != "none":
            raise ValueError("readout 'max' over bonds cannot heed an envelope; choose another of either")
        return self


class States(NamedTuple):
    """What a block updates."""

    nodes: Tensor
    """(atoms, width)"""
    edges: Tensor
    """(edges, width)"""
    globals: Tensor
    """(graphs, width)"""


def dense_layers(inputs: int, config: MEGNetConfig) -> MLP:
    """Two dense layers to the width of the states, each followed by the activation."""
    return MLP([inputs, config.width, config.state], ACTIVATIONS[config.activation], final=True)


def pool(config: MEGNetConfig) -> Pool | Set2Set:
    """Of nodes or of edges, (items, state) -> (graphs, state), or twice the width for ``set2set``."""
    if config.readout == "set2set":
        return Set2Set(config.state, config.set2set_steps)
    return Pool(config.readout, config.state)


class SplitUpdate(nn.Module):
    """An MLP of a concatenation, the first layer split by input so that each part is multiplied where it lives.

    ``W [a, b, c] = W_a a + W_b b + W_c c``: node and global parts are multiplied once per node or graph, then gathered
    to the edges. Three layers of widths (width, width, state), each followed by the activation.
    """

    def __init__(self, parts: int, config: MEGNetConfig) -> None:
        super().__init__()
        state, width = config.state, config.width
        activation = ACTIVATIONS[config.activation]
        self.first = nn.Linear(state, width)
        self.others = nn.ModuleList(nn.Linear(state, width, bias=False) for _ in range(parts - 1))
        self.activation = activation()
        self.rest = MLP([width, width, state], activation, final=True)

    def forward(self, z: Tensor) -> Tensor:
        """The remaining layers, on the sum of the parts: (items, width) -> (items, state)."""
        out: Tensor = self.rest(self.activation(z))
        return out


class Block(nn.Module):
    r"""One MEGNet block, equations 1-6 of the paper.

    .. math::
        e_k' &= \phi_e(v_{s_k} \oplus v_{r_k} \oplus e_k \oplus u) \\
        v_i' &= \phi_v(\bar e_i' \oplus v_i \oplus u), \quad \bar e_i' = \mathrm{mean}_{k: r_k = i} e_k' \\
        u' &= \phi_u(\bar e' \oplus \bar v' \oplus u), \quad \text{means over the bonds and atoms of the crystal}

    Dense layers precede the updates in every block but the first; the block's input is added to its output.
    """

    def __init__(self, config: MEGNetConfig, *, dense: bool) -> None:
        super().__init__()

        def before() -> nn.Module:
            return dense_layers(config.state, config) if dense else nn.Identity()

        self.dense_nodes, self.dense_edges, self.dense_globals = before(), before(), before()
        self.update_edges = SplitUpdate(4, config)
        self.update_nodes = SplitUpdate(3, config)
        self.update_globals = SplitUpdate(3, config)
        self.norm_nodes, self.norm_edges = (norm_layer(config.norm, config.state) for _ in range(2))
        self.added = config.added

    def forward(self, states: States, batch: Batch, ops: EdgeOps) -> States:
        """States of the same shapes."""
        v, e, u = self.dense_nodes(states.nodes), self.dense_edges(states.edges), self.dense_globals(states.globals)
        e = self._edges(v, e, u, batch, ops)
        v = self._nodes(v, e, u, batch, ops)
        u = self._globals(v, e, u, batch, ops)
        of_atoms, of_edges = _copies(batch)
        return States(
            self.added(v, states.nodes, self.norm_nodes, of_atoms),
            self.added(e, states.edges, self.norm_edges, of_edges),
            # a batch may hold one crystal alone, whose state has none to be normalised with
            self.added(u, states.globals, nn.Identity()),
        )

    def _edges(self, v: Tensor, e: Tensor, u: Tensor, batch: Batch, ops: EdgeOps) -> Tensor:
        sender, receiver, state = self.update_edges.others
        z = self.update_edges.first(e)
        z += ops.at_source(sender(v))
        # the global state of the receiver's crystal rides along with the receiver
        z += ops.at_target(receiver(v) + gather(state(u), batch.graph_of_atom))
        out: Tensor = self.update_edges(z)
        return out

    def _nodes(self, v: Tensor, e: Tensor, u: Tensor, batch: Batch, ops: EdgeOps) -> Tensor:
        incoming, state = self.update_nodes.others
        z = self.update_nodes.first(v)
        z = z + incoming(ops.mean(e)) + gather(state(u), batch.graph_of_atom)
        out: Tensor = self.update_nodes(z)
        return out

    def _globals(self, v: Tensor, e: Tensor, u: Tensor, batch: Batch, ops: EdgeOps) -> Tensor:
        bonds, atoms = self.update_globals.others
        z = self.update_globals.first(u)
        z = z + bonds(segment_mean(e, batch.graph_of_edge, batch.n_graphs, ops.weight_in_crystal))
        z = z + atoms(segment_mean(v, batch.graph_of_atom, batch.n_graphs, _copies(batch)[0]))
        out: Tensor = self.update_globals(z)
        return out


class MEGNet(Model):
    """Node, edge and global states; set2set over nodes and edges."""

    Config = MEGNetConfig
    sees: ClassVar[Sight | None] = "distances"

    def __init__(self, config: MEGNetConfig, head: Head) -> None:
        super().__init__(config, head)
        self.config, self.level = config, head.level
        state = config.state
        self.embedding = config.encoder(config.embedding)
        self.basis = config.radial_basis()
        self.encode_nodes = dense_layers(config.embedding, config)
        self.encode_edges = dense_layers(config.basis, config)
        # the paper starts the global state of a crystal at zero
        self.encode_globals = dense_layers(2, config)
        self.blocks = nn.ModuleList(Block(config, dense=number > 0) for number in range(config.blocks))
        activation = ACTIVATIONS[config.activation]
        if head.level == "graph":
            self.pool_nodes, self.pool_edges = pool(config), pool(config)
            pooled = 2 * state if config.readout == "set2set" else state
            self.head = MLP([2 * pooled + state, state, state // 2, head.outputs], activation, final=False)
        else:
            self.readout = Readout([state, state, state // 2], activation, head)

    @property
    def hops(self) -> int:
        """Blocks. The global state reaches every atom of the cell besides."""
        return self.config.blocks

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Node states: encoded elements, then after each block, (atoms, state)."""
        return [states.nodes for states in self._states(batch, self.ops(batch))]

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        ops = self.ops(batch)
        last = self._states(batch, ops)[-1]
        out: Tensor = self._graph(last, ops) if self.level == "graph" else self.readout(last.nodes, batch)
        return out

    def ops(self, batch: Batch) -> EdgeOps:
        """What is done along edges, weighed by the envelope."""
        weight = self.config.edge_weight(batch)
        # attention takes logarithms of weights
        return edge_ops(batch, self.config.framework, None if weight is None else weight.clamp(min=LEAST_WEIGHT))

    def _graph(self, last: States, ops: EdgeOps) -> Tensor:
        batch = ops.batch
        nodes = self.pool_nodes(last.nodes, batch.graph_of_atom, batch.n_graphs, _copies(batch)[0])
        edges = self.pool_edges(last.edges, batch.graph_of_edge, batch.n_graphs, ops.weight_in_crystal)
        out: Tensor = self.head(torch.cat([nodes, edges, last.globals], dim=1))
        return out

    def _states(self, batch: Batch, ops: EdgeOps) -> list[States]:
        zero = batch.vector.new_zeros((batch.n_graphs, 2))
        states = [
            States(
                self.encode_nodes(self.embedding(batch.numbers)),
                batch.radial(lambda distance: self.encode_edges(self.basis(distance))),
                self.encode_globals(zero),
            )
        ]
        for block in self.blocks:
            after, with_first = block(states[-1], batch, ops), self.config.with_first
            states.append(States(*(with_first(x, first) for x, first in zip(after, states[0], strict=True))))
        return states


def _copies(batch: Batch) -> tuple[Tensor | None, Tensor | None]:
    """How many atoms and how many edges of the crystal each atom and edge stands for."""
    return (None, None) if batch.copies is None else (batch.copies.atoms, batch.copies.all_edges)
