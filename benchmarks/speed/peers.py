"""The networks of other libraries, with the settings of our cards, on our batches.

Each has its own layers. What is around them (elements, radial basis, readout) is ours where the library leaves it to
its user, so that a ratio is one of layers.
"""

import importlib
import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from e3nn.nn.models.v2106.gate_points_message_passing import MessagePassing
from gbench.baselines.nequip.model import NequIP
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import DimeNetPlusPlus, GATv2Conv, GCNConv, NNConv, SAGEConv, SchNet, global_mean_pool

from benchmarks.speed import cgcnn_epoch
from gbench.batch import Batch, import_dgl
from gbench.choices import Choices, resolve
from gbench.elements import symbols
from gbench.model import Head, Model
from gbench.nn.stack import Edges, Stack
from gbench.registry import model_class
from gbench.triplets import line_graph


def ours(card: str, **changes: Any) -> Model:
    """The network of a card, with its settings but for ``changes``."""
    kind = model_class(card)
    if not issubclass(kind, Model):
        raise TypeError(f"{card} is not a network")
    return kind(kind.Config.model_validate(resolve(Choices(model=card)).config | changes), Head())


class PyGStack(nn.Module):
    """A network of ours with PyG's layers in place of its own."""

    def __init__(self, card: str, layer: Callable[[Any], nn.Module]) -> None:
        super().__init__()
        network = ours(card)
        if not isinstance(network, Stack):
            raise TypeError(f"{card} is not a stack of layers")
        network.layers = nn.ModuleList(layer(network.config) for _ in network.layers)
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        out: Tensor = self.network(batch)
        return out


def per_edge(edges: Edges) -> Tensor:
    """(edges, basis)"""
    return edges.radial(lambda basis: basis)


class GCNLayer(nn.Module):
    """PyG's ``GCNConv`` with a learned weight per edge, as in our layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.edge, self.convolution = nn.Linear(config.basis, 1), GCNConv(config.hidden, config.hidden)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        weight = F.softplus(self.edge(per_edge(edges)))[:, 0]
        out: Tensor = self.convolution(h, edges.ops.batch.edge_index, weight)
        return out


class SAGELayer(nn.Module):
    """PyG's ``SAGEConv``. It sees no distance: it does less than our layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.convolution = SAGEConv(config.hidden, config.hidden)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        out: Tensor = self.convolution(h, edges.ops.batch.edge_index)
        return out


class GATLayer(nn.Module):
    """PyG's ``GATv2Conv``. Distances enter the attention alone: it does less than our layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.hidden // config.heads
        self.convolution = GATv2Conv(config.hidden, width, config.heads, edge_dim=config.basis, fill_value=0.0)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        out: Tensor = self.convolution(h, edges.ops.batch.edge_index, per_edge(edges))
        return out


class MPNNLayer(nn.Module):
    """PyG's ``NNConv``, which makes a matrix per edge, and torch's recurrent unit."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        hidden, features = config.hidden, config.edge_features
        network = nn.Sequential(nn.Linear(config.basis, features), nn.SiLU(), nn.Linear(features, hidden**2))
        self.convolution = NNConv(hidden, hidden, network, config.aggregation, root_weight=False, bias=False)
        self.update = nn.GRUCell(hidden, hidden)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        message = self.convolution(h, edges.ops.batch.edge_index, per_edge(edges))
        out: Tensor = self.update(message, h)
        return out


class PyGSchNet(nn.Module):
    """PyG's ``SchNet`` on our edges."""

    def __init__(self) -> None:
        super().__init__()
        config = resolve(Choices(model="schnet")).config
        self.batch: Batch | None = None
        self.network = SchNet(
            config["hidden"], config["filters"], config["layers"], config["basis"], config["basis_stop"],
            interaction_graph=self._edges, readout="mean",
        )  # fmt: skip

    def _edges(self, *_: Tensor) -> tuple[Tensor, Tensor]:
        if self.batch is None:
            raise RuntimeError("no batch")
        return self.batch.edge_index, self.batch.distance

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        self.batch = batch
        out: Tensor = self.network(batch.numbers, batch.positions, batch.graph_of_atom)
        return out


class PyGDimeNetPP(nn.Module):
    """PyG's bases and blocks of DimeNet++ on our angles: its own search knows no periodic images."""

    def __init__(self) -> None:
        super().__init__()
        c = resolve(Choices(model="dimenetpp")).config
        self.parts = DimeNetPlusPlus(
            c["hidden"], 1, c["layers"], c["interaction"], c["basis_embedding"], c["output"], c["angular"], c["basis"],
            c["basis_stop"], num_before_skip=c["before_skip"], num_after_skip=c["after_skip"],
            num_output_layers=c["output_layers"], output_initializer="glorot_orthogonal",
        )  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        parts, corners = self.parts, line_graph(batch)
        angle = torch.acos(corners.cosine.clamp(-1, 1))
        radial, spherical = parts.rbf(batch.distance), parts.sbf(batch.distance, angle, corners.first)
        m = parts.emb(batch.numbers, radial, batch.dst, batch.src)
        first, *others = parts.output_blocks
        atoms = first(m, radial, batch.dst, batch.n_atoms)
        for interaction, output in zip(parts.interaction_blocks, others, strict=True):
            m = interaction(m, radial, spherical, corners.first, corners.second)
            atoms = atoms + output(m, radial, batch.dst, batch.n_atoms)
        out: Tensor = global_mean_pool(atoms, batch.graph_of_atom, batch.n_graphs)
        return out


class E3nnNetwork(nn.Module):
    """e3nn's ``MessagePassing`` in place of NequIP's layers, between the same irreps."""

    def __init__(self) -> None:
        super().__init__()
        network = ours("nequip")
        if not isinstance(network, NequIP):
            raise TypeError("nequip is another model")
        config = network.config
        network.layers = nn.ModuleList()
        self.network = network
        self.messages = MessagePassing(
            network.irreps, f"{config.attributes}x0e", network.harmonics.irreps_out, [config.basis, *config.radial],
            config.neighbors,
        )  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        network, edges = self.network, self.network.edges(batch)
        h, attributes = network.embedding(batch.numbers), network.attributes(batch.numbers)
        h = self.messages(h, attributes, batch.src, batch.dst, edges.harmonics, edges.basis)
        out: Tensor = network.readout(h, batch)
        return out


class MatglMEGNet(nn.Module):
    """matgl's ``MEGNet``; tests/baselines/test_megnet_matgl.py says what its settings mean, and that ours is equal."""

    def __init__(self) -> None:
        super().__init__()
        c = resolve(Choices(model="megnet")).config
        width, state = c["width"], c["state"]
        self.network = importlib.import_module("matgl.models").MEGNet(
            dim_node_embedding=c["embedding"], dim_edge_embedding=c["basis"], nblocks=c["blocks"],
            hidden_layer_sizes_input=(width, state), hidden_layer_sizes_conv=(width, width, state),
            hidden_layer_sizes_output=(state, state // 2), niters_set2set=c["set2set_steps"],
            activation_type={"silu": "swish", "shifted-softplus": "softplus2"}[c["activation"]],
            element_types=symbols(), cutoff=c["basis_stop"] - 1, gauss_width=c["basis_width"] ** -2,
        )  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        cell = batch.cell.index_select(0, batch.graph_of_edge)
        graph = SimpleNamespace(
            node_type=batch.numbers - 1,
            pos=batch.positions,
            edge_index=batch.edge_index.flip(0),
            pbc_offshift=(batch.image.to(cell.dtype)[:, None] @ cell)[:, 0],
            batch=batch.graph_of_atom,
            num_graphs=batch.n_graphs,
        )
        out: Tensor = self.network(graph, cell.new_zeros((batch.n_graphs, 2)))
        return out.view(-1, 1)


class AuthorsALIGNN(nn.Module):
    """The authors' ``ALIGNN``, which runs on DGL, with our encoded elements. It norms by batch, our card by layer."""

    def __init__(self) -> None:
        super().__init__()
        network = ours("alignn")
        c = resolve(Choices(model="alignn")).config
        self.embedding: nn.Module = network.get_submodule("embedding")
        import_dgl()  # first, and told which backend to take
        module = importlib.import_module("alignn.models.alignn")
        self.network = module.ALIGNN(
            module.ALIGNNConfig(
                name="alignn", alignn_layers=c["layers"], gcn_layers=c["gcn_layers"], atom_input_features=c["hidden"],
                edge_input_features=c["basis"], triplet_input_features=c["angle_basis"],
                embedding_features=c["embedding"], hidden_features=c["hidden"],
            )
        )  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        graph, corners = batch.dgl(), line_graph(batch).dgl()
        graph.ndata["atom_features"], graph.edata["r"] = self.embedding(batch.numbers), batch.vector
        corners.edata["h"] = corners.edata["cosine"]
        out: Tensor = self.network((graph, corners, batch.cell))
        return out.view(-1, 1)


class Peer(NamedTuple):
    """A network of another library."""

    card: str
    """What it is compared with."""
    build: Callable[[], nn.Module]
    needs: tuple[str, ...] = ()
    """Modules that gbench itself does not need."""

    def missing(self) -> list[str]:
        """What of that is not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


PEERS = {
    "PyG GCNConv": Peer("gcn", lambda: PyGStack("gcn", GCNLayer)),
    "PyG SAGEConv": Peer("graphsage", lambda: PyGStack("graphsage", SAGELayer)),
    "PyG GATv2Conv": Peer("gat", lambda: PyGStack("gat", GATLayer)),
    "PyG NNConv": Peer("mpnn", lambda: PyGStack("mpnn", MPNNLayer)),
    "PyG CGConv": Peer("cgcnn", lambda: cgcnn_epoch.Peer("gates")),
    "PyG SchNet": Peer("schnet", PyGSchNet),
    "PyG DimeNet++": Peer("dimenetpp", PyGDimeNetPP),
    "matgl MEGNet": Peer("megnet", MatglMEGNet, ("matgl",)),
    "e3nn MessagePassing": Peer("nequip", E3nnNetwork),
    "ALIGNN": Peer("alignn", AuthorsALIGNN, ("alignn", "dgl", "pydantic_settings")),
}
