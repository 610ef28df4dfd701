"""Ways to write one crystal down differently, and the tools the laws of models need."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from gbench.batch import Batch, GraphTensors
from gbench.cards import Level
from gbench.choices import Choices, resolve
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.graphs import build_graphs, without_edges
from gbench.model import Head, Model
from gbench.registry import model_card, model_class, model_names

Change = Callable[[Crystals], Crystals]

NETWORKS = [name for name in model_names() if issubclass(model_class(name), Model)]


def rewrite(crystals: Crystals, change: Callable[..., tuple[object, object, object]]) -> Crystals:
    """Each crystal rebuilt from ``change(numbers, positions, cell)``."""
    records = []
    for row in range(len(crystals)):
        atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
        numbers, positions, cell = change(crystals.numbers[atoms], crystals.positions[atoms], crystals.cell[row])
        records.append({"id": str(row), "numbers": numbers, "positions": positions, "cell": cell})
    return Crystals.build(records)


TURN = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
SKEW = np.array([[1, 1, 0], [0, 1, 0], [-1, 2, 1]])
REPEAT = np.diag([2, 1, 2])
REPEAT_SHIFTS = np.array([[a, 0, c] for a in range(2) for c in range(2)])
CHANGES: dict[str, Change] = {
    "permutation": lambda c: rewrite(c, lambda z, x, h: (z[::-1], x[::-1], h)),
    "rotation": lambda c: rewrite(c, lambda z, x, h: (z, x @ TURN, h @ TURN)),
    "translation": lambda c: rewrite(c, lambda z, x, h: (z, x + [0.7, -11.3, 2.9], h)),
    "mirror": lambda c: rewrite(c, lambda z, x, h: (z, x * [1, 1, -1], h * [1, 1, -1])),
    "cell": lambda c: rewrite(c, lambda z, x, h: (z, x, SKEW @ h)),
    "supercell": lambda c: rewrite(
        c, lambda z, x, h: (np.tile(z, 4), np.concatenate([x + s @ h for s in REPEAT_SHIFTS]), REPEAT @ h)
    ),
}


def network(name: str, level: Level = "graph", seed: int = 0) -> Model:
    """A freshly initialised network in float64, in evaluation mode, with the settings of its card."""
    kind = model_class(name)
    assert issubclass(kind, Model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(kind.Config.model_validate(resolve(Choices(model=name)).config), Head(level)).double().eval()
        # running statistics of a fresh batch norm hide mistakes: give them values
        for buffer_name, buffer in model.named_buffers():
            if buffer_name.endswith("running_mean"):
                buffer.normal_()
            elif buffer_name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    return model


def batch_of(name: str, crystals: Crystals) -> Batch:
    """All crystals in one float64 batch, with the graph settings of the model's card."""
    spec = resolve(Choices(model=name)).graph
    graphs = without_edges(crystals) if spec is None else build_graphs(crystals, spec)
    tensors = GraphTensors(graphs, dtype=torch.float64)
    return tensors.batch(torch.arange(len(crystals)))


def predict(name: str, crystals: Crystals, level: Level = "graph") -> Tensor:
    """(items, 1) of a fresh network."""
    with torch.no_grad():
        out: Tensor = network(name, level)(batch_of(name, crystals))
    return out


def claims(name: str, symmetry: str) -> bool:
    """Whether the model's card claims a symmetry."""
    return symmetry in model_card(name).symmetries


def crystals_with_pairs(prototypes: Dataset) -> Crystals:
    """Some prototypes, each with a pair of atoms, one of them across a cell boundary."""
    records = []
    for row in (0, 200, 300, 450, 600, 800):
        crystals = prototypes.crystals.take([row])
        records.append(
            {
                "id": str(row), "numbers": crystals.numbers, "positions": crystals.positions, "cell": crystals.cell[0],
                "pairs": [(0, 1), (1, 0)], "pair_image": [(0, 0, 0), (1, 0, -1)],
            }
        )  # fmt: skip
    return Crystals.build(records)
