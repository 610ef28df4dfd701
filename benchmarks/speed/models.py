"""What an epoch of every network costs, training and predicting, beside the networks of other libraries.

    OMP_WAIT_POLICY=passive python -m benchmarks.speed.models [MODEL ...] [--rounds N] [--whole] [--dgl] [--device D]

2,400 five-atom perovskites (``GBENCH_MIRROR`` with cdvae/perov_5_val.csv: real ones), 12 neighbours within 8 Å, batches
of 128, float32, the settings of each card. Networks take turns epoch by epoch, with one thread and with two. Memory is
what the first epoch of training adds at most to a process of its own that holds the graphs (on Linux).

Networks that look at distances alone are given atoms that are alike once, as in a run; ``--whole`` gives them every
atom, as peers are given, so that layers are compared on the same numbers. ``--dgl`` runs those that can on DGL too.
Peers that are not installed are left out, and named: `pip install --no-deps alignn pydantic-settings` for ALIGNN's.

With ``--device cuda`` everything is on the GPU before the clock starts, memory is what an epoch adds there at most, and
peers that need DGL are left out: its wheels here know the processor alone. ``gpu.sh`` writes that table to a file.
"""

import argparse
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.speed import cgcnn_epoch as common
from benchmarks.speed.measure import Cost, growth_mb, in_turn, print_table, process, ratio, typical
from benchmarks.speed.peers import PEERS, ours
from gbench.batch import GraphTensors
from gbench.crystals import Crystals
from gbench.devices import choose_device, device_name
from gbench.errors import GbenchError
from gbench.graphs import build_graphs
from gbench.model import Model
from gbench.registry import model_card, model_class, model_names

THREADS = (1, 2)


class Timed(NamedTuple):
    """One network's epochs."""

    train: list[Cost]
    predict: list[Cost]


class Graphs(NamedTuple):
    """What networks are given."""

    whole: GraphTensors
    distances: GraphTensors
    """Atoms that distances do not tell apart, once."""
    angles: GraphTensors
    """Atoms and edges that distances and angles do not tell apart, once."""

    def to(self, device: torch.device) -> "Graphs":
        """The same on a device."""
        return Graphs(*(tensors.to(device) for tensors in self))

    @classmethod
    def of(cls, crystals: Crystals, *, whole: bool) -> "Graphs":
        """``whole``: every atom, for every network."""
        graphs = build_graphs(crystals, common.GRAPH)
        every_atom = GraphTensors(graphs)
        if whole:
            return cls(every_atom, every_atom, every_atom)
        return cls(every_atom, GraphTensors(graphs, merge="distances"), GraphTensors(graphs, merge="angles"))

    def given_to(self, model: nn.Module) -> GraphTensors:
        """What a network is given in a run."""
        sees = model.sees if isinstance(model, Model) else None
        return self.whole if sees is None else {"distances": self.distances, "angles": self.angles}[sees]


def network(name: str) -> nn.Module:
    """A card's network ("gcn", or "gcn on DGL"), or a peer."""
    if name in PEERS:
        return PEERS[name].build()
    card, _, framework = name.partition(" on ")
    return ours(card, **({"framework": "dgl"} if framework else {}))


def predicting(model: nn.Module, graphs: GraphTensors) -> Callable[[], None]:
    """A function that predicts every crystal."""

    def epoch() -> None:
        model.eval()
        with torch.no_grad():
            for rows in torch.arange(len(graphs)).split(common.BATCH):
                model(graphs.batch(rows))
        model.train()

    return epoch


def timed(names: list[str], graphs: Graphs, rounds: int) -> dict[str, Timed]:
    """Costs of epochs."""
    models = {name: network(name) for name in names}
    labels = torch.randn(common.CRYSTALS)
    given = {name: graphs.given_to(model) for name, model in models.items()}
    train = in_turn({n: common.Training(model, given[n], labels).epoch for n, model in models.items()}, rounds)
    predict = in_turn({n: predicting(model, given[n]) for n, model in models.items()}, rounds)
    return {name: Timed(train[name], predict[name]) for name in names}


def on_device(names: list[str], graphs: Graphs, rounds: int, device: torch.device) -> list[list[str]]:
    """The table's cells on a GPU: wall times, for the processor only starts its work."""
    here, labels = graphs.to(device), torch.randn(common.CRYSTALS)
    models = {name: network(name).to(device) for name in names}
    given = {name: here.given_to(model) for name, model in models.items()}

    def ended(epoch: Callable[[], None]) -> Callable[[], None]:
        def until_the_end() -> None:
            epoch()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return until_the_end

    training = {name: ended(common.Training(model, given[name], labels).epoch) for name, model in models.items()}
    memory = {name: device_mb(epoch, device) for name, epoch in training.items()}
    train = in_turn(training, rounds)
    predict = in_turn({name: ended(predicting(model, given[name])) for name, model in models.items()}, rounds)
    cells = []
    for name in names:
        cells.append([name])
        for costs in (train, predict):
            seconds, own = typical(costs[name]).wall, costs.get(PEERS[name].card) if name in PEERS else None
            cells[-1] += [f"{seconds:.3f}", f"{common.CRYSTALS / seconds:,.0f}"]
            cells[-1].append(f"{seconds / typical(own).wall:.2f}" if own else "")
        cells[-1].append(f"{memory[name]:.0f}")
    return cells


def device_mb(epoch: Callable[[], None], device: torch.device) -> float:
    """MB that an epoch adds at most on a GPU; NaN on a processor."""
    if device.type != "cuda":
        return math.nan
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    epoch()
    return (torch.cuda.max_memory_allocated(device) - before) / 1e6


def gpu_facts(device: torch.device) -> str:
    """Name, driver and CUDA version."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", f"--id={device.index}"]
    driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    return f"{device_name(device)}, driver {driver}, CUDA {torch.version.cuda}"


def peak_mb(name: str, *options: str) -> float:
    """Memory that an epoch of training takes, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.models", "--alone", name, *options]
    return float(process(command, OMP_NUM_THREADS="1")[1].split()[-1])


def alone(name: str, *, whole: bool) -> None:
    """Print that of this process."""
    graphs, model = Graphs.of(common.generated(), whole=whole), network(name)
    given = graphs.given_to(model)
    print(growth_mb(common.Training(model, given, torch.randn(len(given))).epoch))


def rows(found: dict[str, Timed], memory: dict[str, float]) -> list[list[str]]:
    """The table's cells."""
    cells = []
    for name, costs in found.items():
        own = found.get(PEERS[name].card) if name in PEERS else None
        cells.append([name])
        for part, against in zip(costs, own or (None, None), strict=True):
            seconds = typical(part)
            cells[-1] += [f"{seconds.wall:.2f}", f"{seconds.cpu:.2f}", f"{common.CRYSTALS / seconds.wall:,.0f}"]
            cells[-1].append(f"{ratio(part, against):.2f}" if against else "")
        cells[-1].append(f"{memory[name]:.0f}")
    return cells


def chosen(models: list[str], *, dgl: bool, gpu: bool) -> list[str]:
    """The networks to time: of the cards named, or of all, and their peers."""
    names = models or [name for name in model_names() if issubclass(model_class(name), Model)]
    on_dgl = [f"{name} on DGL" for name in names if dgl and model_card(name).dgl]
    peers = []
    for title, peer in PEERS.items():
        if peer.card in names and (missing := peer.missing()):
            print(f"{title} is left out: {', '.join(missing)} not installed")
        elif peer.card in names and not (gpu and "dgl" in peer.needs):
            peers.append(title)
    return [*names, *on_dgl, *peers]


def main() -> None:
    """Time what the command names, or all networks and their peers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--dgl", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    given = parser.parse_args()
    try:
        device = choose_device(given.device)
    except GbenchError as error:
        parser.error(str(error))
    gpu = device.type == "cuda"
    if gpu and given.dgl:
        parser.error("--dgl: its wheels here know the processor alone; leave it out beside --device cuda")
    # every CIF of the data says that its coordinates were rounded
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    if given.alone is not None:
        torch.set_num_threads(1)
        alone(given.alone, whole=given.whole)
        return
    names = chosen(given.models, dgl=given.dgl, gpu=gpu)
    crystals, source = common.perovskites()
    graphs, options = Graphs.of(crystals, whole=given.whole), ["--whole"] * given.whole
    edges = f"{len(graphs.whole.vector)} edges, {len(graphs.distances.vector)} where alike atoms are held once"
    if gpu:
        columns = [f"{kind} {unit}" for kind in ("train", "predict") for unit in ("s", "crystals/s", "x ours")]
        title = f"One epoch on {gpu_facts(device)}; {source}, {edges}"
        print_table(title, ["network", *columns, "GPU MB"], on_device(names, graphs, given.rounds, device))
        return
    memory = {name: peak_mb(name, *options) for name in names}
    columns = [f"{kind} {unit}" for kind in ("train", "predict") for unit in ("s", "CPU s", "crystals/s", "x ours")]
    for threads in THREADS:
        torch.set_num_threads(threads)
        title = f"One epoch, {threads} thread{'s' * (threads > 1)}; {source}, {edges}"
        print_table(title, ["network", *columns, "MB"], rows(timed(names, graphs, given.rounds), memory))


if __name__ == "__main__":
    main()
