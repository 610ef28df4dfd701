"""coGN's block is what its paper says, written here edge by edge."""

import pytest
import torch
from gbench.baselines.cogn.model import COGN, COGNConfig, DeepMessages
from laws import batch_of
from torch import nn
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.choices import Choices, resolve
from gbench.dataset import Dataset
from gbench.model import Head
from gbench.nn.ops import edge_ops
from gbench.nn.stack import Edges

CONFIG = COGNConfig(hidden=6, basis=5, depth=3, layers=2)


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    return batch_of("cogn", prototypes.crystals.take([1, 300, 700]))


def test_a_block_adds_up_deep_messages_of_edge_sender_and_receiver(batch: Batch) -> None:
    torch.manual_seed(0)
    block = DeepMessages(CONFIG).double()
    generator = torch.Generator().manual_seed(1)
    h = torch.randn(batch.n_atoms, 6, generator=generator, dtype=torch.float64)
    e = torch.randn(len(batch.src), 5, generator=generator, dtype=torch.float64)
    weight = torch.cat([block.edge.weight, block.sender.weight, block.receiver.weight], dim=1)
    sums = torch.zeros_like(h)
    for number, (j, i) in enumerate(zip(batch.src.tolist(), batch.dst.tolist(), strict=True)):
        message = F.silu(weight @ torch.cat([e[number], h[j], h[i]]) + block.receiver.bias)
        for layer in block.rest:
            message = layer(message)
        sums[i] = sums[i] + message
    expected = torch.stack([F.silu(block.node[0](total)) for total in sums])
    torch.testing.assert_close(block(h, Edges(e, edge_ops(batch, "pyg"))), expected, atol=1e-10, rtol=0)


def test_a_message_passes_as_many_layers_as_depth_says() -> None:
    block = DeepMessages(CONFIG)
    linear = [layer for layer in block.rest if isinstance(layer, nn.Linear)]
    assert 1 + len(linear) == CONFIG.depth
    # an activation after each, the last as well
    assert isinstance(block.rest[-1], nn.SiLU)
    only = DeepMessages(CONFIG.model_copy(update={"depth": 1}))
    assert len(only.rest) == 0


def test_states_add_up_over_blocks_that_all_see_the_distances(batch: Batch) -> None:
    torch.manual_seed(0)
    model = COGN(CONFIG, Head()).double()
    states = model.embeddings(batch)
    edges = Edges(model.basis(batch.distance), edge_ops(batch, "pyg"))
    for before, after, layer in zip(states, states[1:], model.layers, strict=False):
        torch.testing.assert_close(after, before + layer(before, edges), atol=1e-10, rtol=0)
    assert len(states) == 1 + len(model.layers)


def test_the_card_takes_the_24_nearest_in_whole_shells() -> None:
    spec = resolve(Choices(model="cogn")).graph
    assert spec is not None
    assert (spec.kind, spec.neighbors, spec.shells) == ("knn", 24, "whole")
