"""MEGNet: node, edge and global states that update each other.

Source: Chen et al. 2019, https://doi.org/10.1021/acs.chemmater.9b01294.
"""

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.model import Head, Model
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import GaussianBasis
from gbench.nn.heads import Readout, Set2Set
from gbench.nn.mlp import MLP, ShiftedSoftplus
from gbench.nn.ops import EdgeOps, Framework, edge_ops
from gbench.nn.segments import gather, segment_mean
from gbench.quotient import Sight

Size = Annotated[int, Field(ge=1)]


class MEGNetConfig(Frozen):
    """Settings of :class:`MEGNet`; the defaults are the paper's, but for ``properties``."""

    blocks: Size = 3
    width: Size = 64
    """First two layers of each update."""
    state: Size = 32
    """Third layer of each update: the width of node, edge and global states between blocks."""
    embedding: Size = 16
    """Width of the element embedding."""
    properties: bool = True
    """Whether atoms start from element properties besides a learned embedding."""
    basis: Annotated[int, Field(ge=2)] = 100
    """Gaussians from 0 to ``basis_stop``."""
    basis_stop: Annotated[float, Field(gt=0)] = 5.0
    """Å"""
    basis_width: Annotated[float, Field(gt=0)] = 0.5
    """Å"""
    set2set_steps: Size = 3
    activation: Literal["shifted-softplus", "silu"] = "shifted-softplus"
    """The paper's, or one that takes less than half the time."""
    framework: Framework = "pyg"
    """What the operations along edges are done with."""


ACTIVATIONS: dict[str, type[nn.Module]] = {"shifted-softplus": ShiftedSoftplus, "silu": nn.SiLU}


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

    def forward(self, states: States, batch: Batch, ops: EdgeOps) -> States:
        """States of the same shapes."""
        v, e, u = self.dense_nodes(states.nodes), self.dense_edges(states.edges), self.dense_globals(states.globals)
        e = self._edges(v, e, u, batch, ops)
        v = self._nodes(v, e, u, batch, ops)
        u = self._globals(v, e, u, batch)
        return States(states.nodes + v, states.edges + e, states.globals + u)

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

    def _globals(self, v: Tensor, e: Tensor, u: Tensor, batch: Batch) -> Tensor:
        bonds, atoms = self.update_globals.others
        z = self.update_globals.first(u)
        of_atoms, of_edges = _copies(batch)
        z = z + bonds(segment_mean(e, batch.graph_of_edge, batch.n_graphs, of_edges))
        z = z + atoms(segment_mean(v, batch.graph_of_atom, batch.n_graphs, of_atoms))
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
        self.embedding = AtomEncoder(config.embedding, with_properties=config.properties)
        self.basis = GaussianBasis(config.basis_stop, config.basis, width=config.basis_width)
        self.encode_nodes = dense_layers(config.embedding, config)
        self.encode_edges = dense_layers(config.basis, config)
        # the paper starts the global state of a crystal at zero
        self.encode_globals = dense_layers(2, config)
        self.blocks = nn.ModuleList(Block(config, dense=number > 0) for number in range(config.blocks))
        activation = ACTIVATIONS[config.activation]
        if head.level == "graph":
            self.pool_nodes = Set2Set(state, config.set2set_steps)
            self.pool_edges = Set2Set(state, config.set2set_steps)
            self.head = MLP([5 * state, state, state // 2, head.outputs], activation, final=False)
        else:
            self.readout = Readout([state, state, state // 2], activation, head)

    @property
    def hops(self) -> int:
        """Blocks. The global state reaches every atom of the cell besides."""
        return self.config.blocks

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Node states: encoded elements, then after each block, (atoms, state)."""
        return [states.nodes for states in self._states(batch)]

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        last = self._states(batch)[-1]
        out: Tensor = self._graph(last, batch) if self.level == "graph" else self.readout(last.nodes, batch)
        return out

    def _graph(self, last: States, batch: Batch) -> Tensor:
        of_atoms, of_edges = _copies(batch)
        nodes = self.pool_nodes(last.nodes, batch.graph_of_atom, batch.n_graphs, of_atoms)
        edges = self.pool_edges(last.edges, batch.graph_of_edge, batch.n_graphs, of_edges)
        out: Tensor = self.head(torch.cat([nodes, edges, last.globals], dim=1))
        return out

    def _states(self, batch: Batch) -> list[States]:
        zero = batch.vector.new_zeros((batch.n_graphs, 2))
        states = [
            States(
                self.encode_nodes(self.embedding(batch.numbers)),
                batch.radial(lambda distance: self.encode_edges(self.basis(distance))),
                self.encode_globals(zero),
            )
        ]
        ops = edge_ops(batch, self.config.framework)
        for block in self.blocks:
            states.append(block(states[-1], batch, ops))
        return states


def _copies(batch: Batch) -> tuple[Tensor | None, Tensor | None]:
    """How many atoms and how many edges of the crystal each atom and edge stands for."""
    return (None, None) if batch.copies is None else (batch.copies.atoms, batch.copies.all_edges)
