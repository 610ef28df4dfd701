"""What an epoch of every network costs, training and predicting, and PyG's own layers beside CGCNN and SchNet.

    python -m benchmarks.speed.models [MODEL ...] [--rounds N] [--dgl]

2,400 five-atom perovskites (``GBENCH_MIRROR`` with cdvae/perov_5_val.csv: real ones), 12 neighbours within 8 Å, batches
of 128, float32, the settings of each card. Networks take turns epoch by epoch, with one thread and with two. Memory is
the peak of a process of its own that trains one epoch, over that of one that only builds the graphs, of generated
perovskites in both: reading CIFs would take more. ``--dgl`` runs those that can on DGL too.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.nn import SchNet as PyGSchNet

from benchmarks.speed import cgcnn_epoch as common
from benchmarks.speed.measure import Cost, in_turn, print_table, process, ratio, typical
from gbench.batch import Batch, GraphTensors
from gbench.choices import Choices, resolve
from gbench.graphs import build_graphs
from gbench.model import Head, Model
from gbench.registry import model_card, model_class, model_names

THREADS = (1, 2)
PEERS = {"PyG CGConv": "cgcnn", "PyG SchNet": "schnet"}


class Timed(NamedTuple):
    """One network's epochs."""

    train: list[Cost]
    predict: list[Cost]


class SchNetPeer(nn.Module):
    """PyG's SchNet with our card's settings, on our edges."""

    def __init__(self) -> None:
        super().__init__()
        config = resolve(Choices(model="schnet")).config
        self.batch: Batch | None = None
        self.network = PyGSchNet(
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


def network(name: str) -> nn.Module:
    """A card's network ("gcn", or "gcn on DGL"), or a peer."""
    if name == "PyG CGConv":
        return common.Peer("gates")
    if name == "PyG SchNet":
        return SchNetPeer()
    model, _, framework = name.partition(" on ")
    kind = model_class(model)
    if not issubclass(kind, Model):
        raise TypeError(f"{model} is not a network")
    config = resolve(Choices(model=model)).config
    return kind(kind.Config.model_validate({**config, **({"framework": "dgl"} if framework else {})}), Head())


def tensors() -> tuple[GraphTensors, str]:
    """The graphs, and where their crystals come from."""
    crystals, source = common.perovskites()
    return GraphTensors(build_graphs(crystals, common.GRAPH)), source


def predicting(model: nn.Module, graphs: GraphTensors) -> Callable[[], None]:
    """A function that predicts every crystal."""

    def epoch() -> None:
        model.eval()
        with torch.no_grad():
            for rows in torch.arange(common.CRYSTALS).split(common.BATCH):
                model(graphs.batch(rows))
        model.train()

    return epoch


def timed(names: list[str], graphs: GraphTensors, rounds: int) -> dict[str, Timed]:
    """Costs of epochs."""
    models = {name: network(name) for name in names}
    labels = torch.randn(common.CRYSTALS)
    train = in_turn({n: common.Training(model, graphs, labels).epoch for n, model in models.items()}, rounds)
    predict = in_turn({n: predicting(model, graphs) for n, model in models.items()}, rounds)
    return {name: Timed(train[name], predict[name]) for name in names}


def peak_mb(name: str) -> float:
    """Peak memory of a process that trains one epoch; without a name, of one that builds the graphs."""
    return process([sys.executable, "-m", "benchmarks.speed.models", "--alone", name], OMP_NUM_THREADS="1")[0].peak_mb


def alone(name: str) -> None:
    """One epoch, for its memory; none without a name."""
    graphs = GraphTensors(build_graphs(common.generated(), common.GRAPH))
    if name:
        common.Training(network(name), graphs, torch.randn(common.CRYSTALS)).epoch()


def rows(found: dict[str, Timed], memory: dict[str, float]) -> list[list[str]]:
    """The table's cells."""
    cells = []
    for name, costs in found.items():
        ours = found.get(PEERS.get(name, ""))
        cells.append([name])
        for part, own in zip(costs, ours or (None, None), strict=True):
            seconds = typical(part)
            cells[-1] += [f"{seconds.wall:.2f}", f"{seconds.cpu:.2f}", f"{common.CRYSTALS / seconds.wall:,.0f}"]
            cells[-1].append(f"{ratio(part, own):.2f}" if own else "")
        cells[-1].append(f"{memory[name]:.0f}")
    return cells


def main() -> None:
    """Time what the command names, or all networks and their peers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dgl", action="store_true")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    given = parser.parse_args()
    # every CIF of the data says that its coordinates were rounded
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    if given.alone is not None:
        torch.set_num_threads(1)
        alone(given.alone)
        return
    names = given.models or [name for name in model_names() if issubclass(model_class(name), Model)]
    names += [f"{name} on DGL" for name in names if given.dgl and model_card(name).dgl]
    names += [peer for peer, name in PEERS.items() if name in names]
    graphs, source = tensors()
    bare = peak_mb("")
    memory = {name: peak_mb(name) - bare for name in names}
    columns = [f"{kind} {unit}" for kind in ("train", "predict") for unit in ("s", "CPU s", "crystals/s", "x ours")]
    for threads in THREADS:
        torch.set_num_threads(threads)
        title = f"One epoch, {threads} thread{'s' * (threads > 1)}; {source}, {len(graphs.vector)} edges"
        print_table(title, ["network", *columns, "peak MB"], rows(timed(names, graphs, given.rounds), memory))


if __name__ == "__main__":
    main()
