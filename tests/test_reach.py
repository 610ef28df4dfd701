"""What a card says of reach and size is so: the receptive field is layers times cut-off, heads have their outputs."""

import numpy as np
import pytest
import torch
from laws import NETWORKS
from structures import one
from torch import Tensor, nn

from gbench.batch import Batch, GraphTensors
from gbench.cards import Level
from gbench.graphs import build_graphs
from gbench.laws import batch_of, crystals_with_pairs, prototypes
from gbench.laws.subjects import build
from gbench.model import Head, Model
from gbench.registry import model_card, model_class
from gbench.spec import GraphSpec

MESSAGE_PASSING = [name for name in NETWORKS if model_class(name).uses_graph]
ATOMS = 12


def chain() -> Batch:
    """Atoms in a bent line, each of which has the one before and the one after as neighbours."""
    places = np.arange(ATOMS)
    positions = places[:, None] * [1.8, 0, 0] + (places % 2)[:, None] * [0, 0.8, 0.1]
    graphs = build_graphs(one([6] * ATOMS, positions, None), GraphSpec(cutoff=2.5))
    assert len(graphs.src) == 2 * (ATOMS - 1)
    return GraphTensors(graphs, dtype=torch.float64).batch(torch.tensor([0]))


@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_an_atom_hears_of_elements_as_many_hops_away_as_the_model_says(name: str) -> None:
    model, seen = build(name, Head("node")).eval(), list[Tensor]()
    assert isinstance(model.embedding, nn.Module)

    def keep(_module: nn.Module, _given: object, out: Tensor) -> None:
        seen.append(out)

    model.embedding.register_forward_hook(keep)
    predicted = model(chain())
    assert heard_of(predicted, seen[0]) == list(range(reach(name, model) + 1))


@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_an_atom_hears_of_places_no_further_away(name: str) -> None:
    model, batch = build(name, Head("node")).eval(), chain()
    positions = batch.positions.clone().requires_grad_()
    heard = heard_of(model(batch.with_positions(positions)), positions)
    # of the first angles one side is an edge further away, and so are the edges that a neighbour's degree counts
    beyond = 1 if name in ("alignn", "gcn") else 0
    assert heard == list(range(reach(name, model) + beyond + 1))


def reach(name: str, model: Model) -> int:
    """In hops. The global state of MEGNet tells every atom of the crystal, as its card says."""
    return ATOMS - 1 if name == "megnet" else model.hops


def heard_of(predicted: Tensor, given: Tensor) -> list[int]:
    """Atoms whose prediction depends on what was given of the first atom."""
    influences = [torch.autograd.grad(predicted[atom, 0], given, retain_graph=True)[0] for atom in range(ATOMS)]
    return [atom for atom, influence in enumerate(influences) if influence[0].any()]


@pytest.mark.parametrize("level", ["graph", "node", "edge"])
@pytest.mark.parametrize("name", NETWORKS)
def test_heads_give_as_many_numbers_as_they_have_outputs(name: str, level: Level) -> None:
    if level not in model_card(name).levels:
        pytest.skip(f"{name} has no {level} head")
    crystals = crystals_with_pairs(prototypes())
    out = build(name, Head(level, outputs=3))(batch_of(name, crystals))
    items = {"graph": len(crystals), "node": len(crystals.numbers), "edge": len(crystals.pairs)}[level]
    assert out.shape == (items, 3)
    assert (out[:, 0] - out[:, 1]).abs().max() > 1e-6
