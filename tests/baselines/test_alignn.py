"""ALIGNN's convolution is equations 2-4 of its paper, on either graph, and its layers stand in the paper's order."""

import pytest
import torch
from gbench.baselines.alignn.model import ALIGNN, ALIGNNConfig, ALIGNNLayer, States
from torch import Tensor, nn
from torch.nn import functional as F

from gbench.batch import Batch, GraphTensors
from gbench.dataset import Dataset
from gbench.model import Head
from gbench.nn.gated import EPSILON, EdgeGatedConvolution, Links
from gbench.nn.norms import NormKind
from gbench.spec import GraphSpec
from gbench.triplets import line_graph

WIDTH = 6


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    tensors = GraphTensors(prototypes.graphs(GraphSpec(kind="knn", neighbors=4, cutoff=8.0)), dtype=torch.float64)
    return tensors.batch(torch.tensor([1, 300, 700]))


def both_graphs(batch: Batch) -> dict[str, Links]:
    corners = line_graph(batch)
    return {
        "crystal graph": Links(batch.src, batch.dst, batch.n_atoms),
        "line graph": Links(corners.first, corners.second, corners.n_edges),
    }


def random(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolution(norm: NormKind = "none") -> EdgeGatedConvolution:
    torch.manual_seed(0)
    return EdgeGatedConvolution(WIDTH, norm, nn.SiLU).double()


def gates_of_the_paper(layer: EdgeGatedConvolution, h: Tensor, e: Tensor, links: Links) -> Tensor:
    """z = W_gate (h_i + h_j + e_ij), side by side: equation 6."""
    weight = torch.cat([layer.at_target.weight, layer.at_source.weight, layer.at_link.weight], dim=1)
    return torch.cat([h[links.target], h[links.source], e], dim=1) @ weight.T + layer.at_target.bias


@pytest.mark.parametrize("graph", ["crystal graph", "line graph"])
def test_a_convolution_is_the_papers_item_by_item(batch: Batch, graph: str) -> None:
    links, layer = both_graphs(batch)[graph], convolution()
    h, e = random(links.size, 1), random(len(links.source), 2)
    h_new, e_new = layer(h, e, links)
    z = gates_of_the_paper(layer, h, e, links)
    updated: dict[int, list[Tensor]] = {item: [] for item in range(links.size)}
    values: dict[int, list[Tensor]] = {item: [] for item in range(links.size)}
    for number, (j, i) in enumerate(zip(links.source.tolist(), links.target.tolist(), strict=True)):
        own = e[number] + F.silu(z[number])
        torch.testing.assert_close(e_new[number], own, atol=1e-10, rtol=0)
        updated[i].append(torch.sigmoid(own))
        values[i].append(layer.neighbor.weight @ h[j])
    for i in range(links.size):
        total = sum(updated[i], torch.zeros(WIDTH, dtype=torch.float64)) + EPSILON
        message = sum(
            (gate / total * value for gate, value in zip(updated[i], values[i], strict=True)),
            torch.zeros(WIDTH, dtype=torch.float64),
        )
        expected = h[i] + F.silu(layer.own.weight @ h[i] + layer.own.bias + message)
        torch.testing.assert_close(h_new[i], expected, atol=1e-10, rtol=0)


def test_norms_stand_before_the_activations(batch: Batch) -> None:
    links, layer = both_graphs(batch)["crystal graph"], convolution("batch")
    h, e = random(links.size, 1), random(len(links.source), 2)
    h_new, e_new = layer(h, e, links)
    own = e + F.silu(F.batch_norm(gates_of_the_paper(layer, h, e, links), None, None, training=True))
    torch.testing.assert_close(e_new, own, atol=1e-10, rtol=0)
    gate = torch.sigmoid(own)
    adjacency = torch.zeros(links.size, len(links.source), dtype=torch.float64)
    adjacency[links.target, torch.arange(len(links.source))] = 1
    shares = gate / (adjacency.T @ (adjacency @ gate) + EPSILON)
    update = layer.own(h) + adjacency @ (shares * layer.neighbor(h)[links.source])
    expected = h + F.silu(F.batch_norm(update, None, None, training=True))
    torch.testing.assert_close(h_new, expected, atol=1e-9, rtol=0)


def test_a_link_of_weight_zero_might_as_well_be_absent(batch: Batch) -> None:
    links, layer = both_graphs(batch)["line graph"], convolution()
    h, e = random(links.size, 1), random(len(links.source), 2)
    kept = torch.rand(len(links.source), generator=torch.Generator().manual_seed(3)) < 0.7
    weighted, _ = layer(h, e, links._replace(weight=kept.double()))
    without, _ = layer(h, e[kept], Links(links.source[kept], links.target[kept], links.size))
    torch.testing.assert_close(weighted, without, atol=1e-10, rtol=0)


def test_a_layer_convolves_the_line_graph_and_then_the_crystal_graph(batch: Batch) -> None:
    torch.manual_seed(0)
    layer = ALIGNNLayer(ALIGNNConfig(hidden=WIDTH, norm="none")).double()
    graphs = both_graphs(batch)
    links, corners = graphs["crystal graph"], graphs["line graph"]
    h, e, t = random(batch.n_atoms, 1), random(len(batch.src), 2), random(len(corners.source), 3)
    m, t_new = layer.on_line_graph(e, t, corners)
    h_new, e_new = layer.on_graph(h, m, links)
    out = layer(States(h, e, t), links, corners)
    for found, expected in zip(out, (h_new, e_new, t_new), strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_angles_start_as_gaussians_of_their_cosines(batch: Batch) -> None:
    model = ALIGNN(ALIGNNConfig(angle_basis=5), Head()).double()
    values = model.angle_basis(torch.tensor([-1.0, 0.25], dtype=torch.float64))
    expected = [[-((x - c) ** 2) / 0.25 for c in (-1.0, -0.5, 0.0, 0.5, 1.0)] for x in (-1.0, 0.25)]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64).exp(), atol=1e-10, rtol=0)
