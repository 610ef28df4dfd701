"""MEGNet's block is equations 1-6 of its paper, written here edge by edge."""

import pytest
import torch
from gbench.baselines.megnet.model import Block, MEGNet, MEGNetConfig, SplitUpdate, States
from torch import Tensor

from gbench.batch import Batch, GraphTensors
from gbench.dataset import Dataset
from gbench.model import Head
from gbench.nn.ops import edge_ops
from gbench.spec import GraphSpec

CONFIG = MEGNetConfig(width=12, state=6)


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    tensors = GraphTensors(prototypes.graphs(GraphSpec(on_short="grow")), dtype=torch.float64)
    return tensors.batch(torch.tensor([1, 300, 700]))


def phi(update: SplitUpdate, parts: list[Tensor]) -> Tensor:
    """The update of a concatenation, multiplied whole."""
    layers = [update.first, *update.others]
    weight = torch.cat([layer.weight for layer in layers], dim=1)
    z = weight @ torch.cat(parts) + update.first.bias
    out: Tensor = update.rest(update.activation(z))
    return out


@pytest.mark.parametrize("dense", [False, True])
def test_a_block_follows_the_paper(batch: Batch, dense: bool) -> None:
    torch.manual_seed(0)
    block = Block(CONFIG, dense=dense).double()
    generator = torch.Generator().manual_seed(1)

    def random(rows: int) -> Tensor:
        return torch.randn(rows, CONFIG.state, generator=generator, dtype=torch.float64)

    states = States(random(batch.n_atoms), random(len(batch.src)), random(batch.n_graphs))
    v, e, u = (
        block.dense_nodes(states.nodes),
        block.dense_edges(states.edges),
        block.dense_globals(states.globals),
    )
    graph = batch.graph_of_atom.tolist()
    pairs = list(zip(batch.src.tolist(), batch.dst.tolist(), strict=True))
    e_new = torch.stack([phi(block.update_edges, [e[k], v[s], v[r], u[graph[r]]]) for k, (s, r) in enumerate(pairs)])
    incoming = [torch.stack([e_new[k] for k, (_, r) in enumerate(pairs) if r == i]).mean(0) for i in range(len(v))]
    v_new = torch.stack([phi(block.update_nodes, [v[i], incoming[i], u[graph[i]]]) for i in range(len(v))])
    u_new = []
    for g in range(batch.n_graphs):
        bonds = torch.stack([e_new[k] for k, (_, r) in enumerate(pairs) if graph[r] == g]).mean(0)
        atoms = v_new[batch.graph_of_atom == g].mean(0)
        u_new.append(phi(block.update_globals, [u[g], bonds, atoms]))
    out = block(states, batch, edge_ops(batch, "pyg"))
    torch.testing.assert_close(out.nodes, states.nodes + v_new, atol=1e-10, rtol=0)
    torch.testing.assert_close(out.edges, states.edges + e_new, atol=1e-10, rtol=0)
    torch.testing.assert_close(out.globals, states.globals + torch.stack(u_new), atol=1e-10, rtol=0)


def test_the_global_state_carries_what_lies_beyond_the_cutoff(batch: Batch) -> None:
    """Swap an element of one crystal: every atom of that crystal hears of it after one block, others never."""
    torch.manual_seed(0)
    model = MEGNet(MEGNetConfig(blocks=2), Head("node")).double().eval()
    before = model(batch)
    numbers = batch.numbers.clone()
    numbers[0] = 92
    import dataclasses

    after = model(dataclasses.replace(batch, numbers=numbers))
    changed = (after - before).abs()[:, 0] > 1e-9
    assert torch.equal(changed, batch.graph_of_atom == 0)


def test_the_readout_is_set2set_over_nodes_and_edges_and_the_state(batch: Batch) -> None:
    torch.manual_seed(0)
    model = MEGNet(MEGNetConfig(), Head()).double().eval()
    last = model._states(batch, model.ops(batch))[-1]
    per_graph = []
    for g in range(batch.n_graphs):
        nodes, edges = last.nodes[batch.graph_of_atom == g], last.edges[batch.graph_of_edge == g]
        pooled = [pool(x, torch.zeros(len(x), dtype=torch.long), 1) for pool, x in
                  ((model.pool_nodes, nodes), (model.pool_edges, edges))]  # fmt: skip
        per_graph.append(model.head(torch.cat([*pooled, last.globals[g : g + 1]], dim=1)))
    torch.testing.assert_close(model(batch), torch.cat(per_graph), atol=1e-10, rtol=0)
