"""Seconds per training epoch of CGCNN, and of the same network built from PyG's ``CGConv``.

2,400 five-atom perovskites, 12 neighbours within 8 Å, 64 features, 3 layers, batches of 128, one thread. Both sides see
the same batches and the same loop. Structures are those of CDVAE's Perov-5 where ``$GBENCH_MIRROR`` holds them, else
generated: the time depends on the number of atoms and edges only.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from gbench.baselines.cgcnn.model import CGCNN, CGCNNConfig
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import CGConv, global_mean_pool
from torch_geometric.typing import OptTensor

from benchmarks.speed.measure import Cost, in_turn, print_table, ratio, typical
from gbench.batch import Batch, GraphTensors
from gbench.crystals import Crystals
from gbench.devices import send
from gbench.graphs import build_graphs
from gbench.model import Head
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import GaussianBasis
from gbench.nn.mlp import MLP
from gbench.spec import GraphSpec

CRYSTALS, BATCH, ROUNDS = 2400, 128, 9
HIDDEN, LAYERS, BASIS = 64, 3, 41
# exactly 12 neighbours, as in the authors' code: whole shells would hold more here, and more on one side of a tie
GRAPH = GraphSpec(kind="knn", neighbors=12, cutoff=8.0, shells="cut")


class NormedCGConv(CGConv):  # type: ignore[misc]  # PyG is not typed
    """``CGConv`` with batch normalisation of the gates too, where CGCNN's authors put it."""

    def __init__(self) -> None:
        super().__init__(HIDDEN, dim=BASIS, batch_norm=True)
        self.norm_f, self.norm_s = nn.BatchNorm1d(HIDDEN), nn.BatchNorm1d(HIDDEN)

    # PyG reads the signature and understands no X | None
    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: OptTensor) -> Tensor:
        """As in PyG, normalised."""
        parts = (x_i, x_j) if edge_attr is None else (x_i, x_j, edge_attr)
        z = torch.cat(parts, dim=-1)
        gated: Tensor = self.norm_f(self.lin_f(z)).sigmoid() * F.softplus(self.norm_s(self.lin_s(z)))
        return gated


class Peer(nn.Module):
    """CGCNN's network around PyG's convolutions; everything else is ours."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.embedding, self.basis = AtomEncoder(HIDDEN), GaussianBasis(8.0, BASIS)
        self.convolutions = nn.ModuleList(
            NormedCGConv() if norm == "gates" else CGConv(HIDDEN, dim=BASIS, batch_norm=norm == "update")
            for _ in range(LAYERS)
        )
        self.head = MLP([HIDDEN, 128, 1], nn.Softplus, final=False)

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, 1)"""
        h, edges = self.embedding(batch.numbers), self.basis(batch.distance)
        for convolution in self.convolutions:
            h = F.softplus(convolution(h, batch.edge_index, edges))
        out: Tensor = self.head(global_mean_pool(h, batch.graph_of_atom, batch.n_graphs))
        return out


class Training:
    """A network under training."""

    def __init__(self, network: nn.Module, tensors: GraphTensors, labels: Tensor) -> None:
        self.network, self.tensors, self.labels = network, tensors, labels.to(tensors.device)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        self.generator = torch.Generator().manual_seed(0)

    def epoch(self) -> None:
        """One pass over all crystals."""
        for rows in torch.randperm(len(self.tensors), generator=self.generator).split(BATCH):
            labels = self.labels[send(rows, self.tensors.device)]
            loss = F.l1_loss(self.network(self.tensors.batch(rows))[:, 0], labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def perovskites() -> tuple[Crystals, str]:
    """2,400 perovskites, and where they come from."""
    file = Path(os.environ.get("GBENCH_MIRROR", "")) / "cdvae" / "perov_5_val.csv"
    return (_from_cifs(file), "CDVAE Perov-5") if file.is_file() else (generated(), "generated perovskites")


def _from_cifs(file: Path) -> Crystals:
    from pymatgen.core import Structure

    table = pd.read_csv(file, nrows=CRYSTALS)
    with warnings.catch_warnings():
        # every file says that its coordinates were rounded
        warnings.simplefilter("ignore")
        return Crystals.from_pymatgen([Structure.from_str(text, fmt="cif") for text in table["cif"]])


def generated() -> Crystals:
    """2,400 cubic perovskites."""
    generator = np.random.default_rng(0)
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    records = []
    for row in range(CRYSTALS):
        a, b, x = generator.integers(1, 84, 3)
        edge = generator.uniform(3.6, 4.6)
        numbers, cell = [a, b, x, x, x], np.eye(3) * edge
        records.append({"id": str(row), "numbers": numbers, "positions": sites * edge, "cell": cell})
    return Crystals.build(records)


def main() -> None:
    """Time every variant."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    crystals, source = perovskites()
    tensors = GraphTensors(build_graphs(crystals, GRAPH))
    labels = torch.randn(CRYSTALS)
    networks: dict[str, nn.Module] = {
        "gbench, no norm": CGCNN(CGCNNConfig(hidden=HIDDEN, layers=LAYERS, basis=BASIS, norm="none"), Head()),
        "PyG, no norm": Peer("none"),
        "gbench, norm of gates and update": CGCNN(CGCNNConfig(hidden=HIDDEN, layers=LAYERS, basis=BASIS), Head()),
        "PyG, norm of gates and update": Peer("gates"),
        "PyG, norm of update (CGConv's own)": Peer("update"),
    }
    variants = {name: Training(network, tensors, labels).epoch for name, network in networks.items()}
    costs = in_turn(variants, ROUNDS)
    peer = {"PyG, no norm": "gbench, no norm"}

    def row(name: str, counted: list[Cost]) -> list[str]:
        ours = costs[peer.get(name, "gbench, norm of gates and update")]
        seconds = typical(counted)
        against = f"{ratio(counted, ours):.2f}" if name.startswith("PyG") else ""
        return [name, f"{seconds.wall:.3f}", f"{seconds.cpu:.3f}", against]

    print_table(
        f"CGCNN, seconds per training epoch (median of {ROUNDS}), one thread; {source}, {len(tensors.vector)} edges",
        ["network", "wall s", "CPU s", "x gbench"],
        [row(name, counted) for name, counted in costs.items()],
    )


if __name__ == "__main__":
    main()
