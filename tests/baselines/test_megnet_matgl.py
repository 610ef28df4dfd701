"""MEGNet is matgl's: the same weights on the same graph give the same states and the same prediction, in float64.

Of what both leave open, these are matgl's choices, and settings of ours give each of them:

- elements have a learned embedding and no properties (``properties: false``);
- set2set takes two steps (``set2set_steps: 2``); the paper and our default, three;
- Gaussians are :math:`\\exp(-w (d - \\mu)^2)` with ``gauss_width`` :math:`w` = 0.5 1/Å², where the paper divides by the
  square of a width of 0.5 Å: theirs are 2.8 times as wide (``basis_width`` = :math:`\\sqrt 2` Å);
- Gaussians end 1 Å beyond the cut-off (``basis_stop``);
- an edge starts at the atom that gathers its messages, ours ends there: the two rows of ``edge_index`` change places.

Nothing else differs: shifted softplus, dense layers, order and means of the updates, skip connections and widths agree.
"""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from equivariance import irregular
from gbench.baselines.megnet.model import Block, MEGNet, MEGNetConfig, SplitUpdate
from layers import copy
from torch import Tensor, nn

from gbench.batch import Batch, GraphTensors
from gbench.dataset import Dataset
from gbench.elements import symbols
from gbench.graphs import build_graphs
from gbench.model import Head
from gbench.quotient import Sight
from gbench.spec import GraphSpec

CUTOFF, BASIS = 5.0, 30
ROWS = range(0, 828, 60)


class Pair(NamedTuple):
    """Both networks, with the same weights."""

    ours: MEGNet
    theirs: Any
    node_type: Tensor
    """(elements,) matgl's number of each atomic number; -1 where it has none."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pytest.MonkeyPatch.context() as patch:
        # matgl makes a folder for downloads in the home folder when it is imported
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        matgl = pytest.importorskip("matgl", reason="matgl is not installed (pip install -e '.[dev]')")
        models = pytest.importorskip("matgl.models")
    matgl.set_default_dtype("float", 64)
    try:
        torch.manual_seed(0)
        theirs = models.MEGNet(dim_edge_embedding=BASIS, cutoff=CUTOFF, niters_set2set=2)
        config = MEGNetConfig(
            properties=False, basis=BASIS, basis_stop=CUTOFF + 1, basis_width=math.sqrt(2), set2set_steps=2,
            activation="shifted-softplus",
        )  # fmt: skip
        ours = MEGNet(config, Head())
        node_type = torch.full((len(symbols()) + 1,), -1)
        for number, symbol in enumerate(theirs.element_types):
            node_type[symbols().index(symbol) + 1] = number
        copy(weights(ours, theirs, node_type))
        yield Pair(ours, theirs, node_type)
    finally:
        matgl.set_default_dtype("float", 32)


def weights(ours: MEGNet, theirs: Any, node_type: Tensor) -> dict[Tensor, Tensor]:
    """Each parameter of ours, and its value in matgl's."""
    table = ours.embedding.embedding
    assert table is not None
    known = node_type >= 0
    values = table.weight.detach().clone()
    values[known] = theirs.embedding.layer_node_embedding.weight.detach()[node_type[known]]
    pairs: dict[Tensor, Tensor] = {table.weight: values}
    for name in ("node", "edge", "state"):
        encoder = ours.get_submodule(f"encode_{'global' if name == 'state' else name}s")
        pairs |= linears(encoder, theirs.get_submodule(f"{name}_encoder"))
        if name != "state":
            pool, peer = ours.get_submodule(f"pool_{name}s.lstm"), theirs.get_submodule(f"{name}_s2s.lstm")
            pairs |= dict(zip(pool.parameters(), peer.parameters(), strict=True))
    pairs |= linears(ours.head, theirs.output_proj)
    for block, peer in zip(ours.blocks, theirs.blocks, strict=True):
        assert isinstance(block, Block)
        pairs |= weights_of_block(block, peer)
    # none is left as it was
    assert set(pairs) == set(ours.parameters())
    return pairs


def weights_of_block(block: Block, peer: Any) -> dict[Tensor, Tensor]:
    pairs: dict[Tensor, Tensor] = {
        **linears(block.dense_nodes, peer.node_func),
        **linears(block.dense_edges, peer.edge_func),
        **linears(block.dense_globals, peer.state_func),
    }
    # what matgl multiplies as one: centre, neighbour, edge, state; atom, edges, state; state, edges, atoms
    nodes, edges, state = block.update_nodes, block.update_edges, block.update_globals
    sender, receiver, of_edges = edges.others
    pairs |= split(edges, [receiver, sender, edges.first, of_edges], peer.conv.edge_func)
    pairs |= split(nodes, [nodes.first, *nodes.others], peer.conv.node_func)
    return pairs | split(state, [state.first, *state.others], peer.conv.state_func)


def split(update: SplitUpdate, parts: list[nn.Module], peer: Any) -> dict[Tensor, Tensor]:
    """The first layer of matgl's update cut into our parts, in its order, and the layers after it."""
    first, *rest = linear_layers(peer)
    blocks = first.weight.split(update.first.in_features, dim=1)
    pairs: dict[Tensor, Tensor] = {
        part.get_parameter("weight"): block for part, block in zip(parts, blocks, strict=True)
    }
    pairs |= {update.first.bias: first.bias}
    for layer, other in zip(linear_layers(update.rest), rest, strict=True):
        pairs |= {layer.weight: other.weight, layer.bias: other.bias}
    return pairs


def linears(ours: nn.Module, theirs: nn.Module) -> dict[Tensor, Tensor]:
    pairs: dict[Tensor, Tensor] = {}
    for layer, other in zip(linear_layers(ours), linear_layers(theirs), strict=True):
        pairs |= {layer.weight: other.weight, layer.bias: other.bias}
    return pairs


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def batch_of(dataset: Dataset, *, merge: Sight | None = None) -> Batch:
    graphs = build_graphs(dataset.crystals.take(list(ROWS)), GraphSpec(cutoff=CUTOFF, on_short="grow"))
    return GraphTensors(graphs, torch.float64, merge=merge).batch(torch.arange(len(ROWS)))


def given_to_theirs(batch: Batch, node_type: Tensor) -> tuple[SimpleNamespace, Tensor]:
    """The batch as matgl's network takes it, an edge starting at its centre, and states of 0 as from its converter."""
    cell = batch.cell[batch.graph_of_edge]
    graph = SimpleNamespace(
        node_type=node_type[batch.numbers],
        pos=batch.positions,
        edge_index=batch.edge_index.flip(0),
        pbc_offshift=(batch.image.to(cell.dtype)[:, None] @ cell)[:, 0],
        batch=batch.graph_of_atom,
        num_graphs=batch.n_graphs,
    )
    return graph, cell.new_zeros((batch.n_graphs, 2))


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_states_after_each_block_are_matgls(pair: Pair, prototypes: Dataset) -> None:
    batch = batch_of(prototypes)
    pair.theirs(*given_to_theirs(batch, pair.node_type))
    for number, states in enumerate(pair.ours._states(batch, pair.ours.ops(batch))):
        found = pair.theirs.feature_dict[f"gc_{number}" if number else "embedding"]
        for ours, name in zip(states, ("node", "edge", "state"), strict=True):
            assert_equal(ours, found[f"{name}_feat"])


@pytest.mark.parametrize("merge", [None, "distances"], ids=["every atom", "one for all that are alike"])
def test_predictions_are_matgls(pair: Pair, prototypes: Dataset, merge: Sight | None) -> None:
    theirs = pair.theirs(*given_to_theirs(batch_of(prototypes), pair.node_type))
    # the outputs of untrained networks are alike: they must differ by far more than both may
    assert theirs.std() > 1e-3
    assert_equal(pair.ours(batch_of(prototypes, merge=merge))[:, 0], theirs)


def test_forces_are_matgls(pair: Pair, prototypes: Dataset) -> None:
    """The way back through both networks."""
    batch = irregular(prototypes)
    positions = batch.positions.clone().requires_grad_()
    moved = batch.with_positions(positions)
    outputs = pair.ours(moved)[:, 0], pair.theirs(*given_to_theirs(moved, pair.node_type))
    ours, theirs = (torch.autograd.grad(out.square().sum(), positions, retain_graph=True)[0] for out in outputs)
    assert ours.abs().max() > 1e-6
    assert_equal(ours, theirs)


def test_crystals_through_matgls_own_converter_come_out_the_same(pair: Pair, prototypes: Dataset) -> None:
    """Structure in, number out: neighbours and basis are theirs too."""
    batch = batch_of(prototypes)
    ours = pair.ours(batch)[:, 0]
    theirs = torch.stack([pair.theirs.predict_structure(prototypes.crystals.to_pymatgen(row)) for row in ROWS])
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=0)
