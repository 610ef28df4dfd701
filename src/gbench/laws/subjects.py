"""What laws are held over: fresh models, given by name or folder, and the crystals they are shown."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gbench.batch import Batch, GraphTensors
from gbench.cards import Frozen, Level
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.graphs import Graphs, build_graphs, without_edges
from gbench.model import Estimator, Head, Model
from gbench.registry import model_card, model_class
from gbench.spec import GraphSpec

ROWS = (0, 200, 300, 450, 600, 800)
"""Of ``pbe_prototypes``: every prototype once."""


@cache
def prototypes() -> Dataset:
    """The embedded dataset, which needs no network."""
    return load("pbe_prototypes")


def shaken_prototypes() -> Crystals:
    """Every prototype once, moved off its symmetric sites so that nothing vanishes by symmetry."""
    chosen = prototypes().crystals.take(ROWS)
    noise = np.random.default_rng(0).normal(0, 0.05, chosen.positions.shape)
    return Crystals(chosen.ids, chosen.numbers, chosen.positions + noise, chosen.cell, chosen.pbc, chosen.ptr)


def crystals_with_pairs(dataset: Dataset, rows: Iterable[int] = ROWS) -> Crystals:
    """Crystals of a dataset, each with a pair of atoms, one of them across a cell boundary."""
    records = []
    for row in rows:
        crystals = dataset.crystals.take([row])
        records.append(
            {
                "id": str(row), "numbers": crystals.numbers, "positions": crystals.positions, "cell": crystals.cell[0],
                "pairs": [(0, 1), (1, 0)], "pair_image": [(0, 0, 0), (1, 0, -1)],
            }
        )  # fmt: skip
    return Crystals.build(records)


def is_network(model: str) -> bool:
    """Whether a model is a :class:`Model`, trained by the loop."""
    return issubclass(model_class(model), Model)


def config_of(model: str, /, **settings: object) -> Frozen:
    """The settings of a model's card, with some replaced."""
    return model_class(model).Config.model_validate({**model_card(model).defaults.config, **settings})


def build(model: str, head: Head, seed: int = 0, /, **settings: object) -> Model:
    """A freshly initialised network in float64, in training mode."""
    kind = model_class(model)
    if not issubclass(kind, Model):
        raise TypeError(f"{model} is no network")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config_of(model, **settings), head).double()


def network(model: str, level: Level = "graph", seed: int = 0) -> Model:
    """A freshly initialised network in float64, in evaluation mode, with the settings of its card."""
    made = build(model, Head(level), seed).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # running statistics of a fresh batch norm hide mistakes: give them values
        for name, buffer in made.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    return made


def estimator(model: str, level: Level = "graph") -> Estimator:
    """An estimator with the settings of its card, not fitted."""
    kind = model_class(model)
    if not issubclass(kind, Estimator):
        raise TypeError(f"{model} does not fit itself")
    return kind(config_of(model), Head(level), seed=0)


def graphs_of(model: str, crystals: Crystals) -> Graphs:
    """With the graph settings of the model's card; without edges for a model that uses none."""
    if not model_class(model).uses_graph:
        return without_edges(crystals)
    return build_graphs(crystals, GraphSpec.model_validate(model_card(model).defaults.graph))


def batch_of(model: str, crystals: Crystals) -> Batch:
    """All crystals in one float64 batch, with the graph settings of the model's card."""
    return GraphTensors(graphs_of(model, crystals), dtype=torch.float64).batch(torch.arange(len(crystals)))


def predict(model: str, crystals: Crystals, level: Level = "graph") -> Tensor:
    """(items, 1) of a fresh network."""
    with torch.no_grad():
        out: Tensor = network(model, level)(batch_of(model, crystals))
    return out


def claims(model: str, symmetry: str) -> bool:
    """Whether the model's card claims a symmetry."""
    return symmetry in model_card(model).symmetries
