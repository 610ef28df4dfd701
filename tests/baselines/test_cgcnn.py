"""CGCNN is what its paper says, whatever the order of multiplication."""

import pytest
import torch
from gbench.baselines.cgcnn.model import CGCNN, CGCNNConfig, GatedConvolution
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import CGConv

from gbench.batch import Batch, GraphTensors
from gbench.dataset import Dataset
from gbench.model import Head
from gbench.nn.ops import edge_ops
from gbench.nn.stack import Edges
from gbench.spec import GraphSpec

HIDDEN, BASIS = 8, 12


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    tensors = GraphTensors(prototypes.graphs(GraphSpec(on_short="grow")), dtype=torch.float64)
    return tensors.batch(torch.arange(0, 828, 100))


@pytest.fixture(scope="module")
def states(batch: Batch) -> tuple[Tensor, Edges]:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(batch.n_atoms, HIDDEN, generator=generator, dtype=torch.float64)
    e = torch.randn(len(batch.src), BASIS, generator=generator, dtype=torch.float64)
    return h, Edges(e, edge_ops(batch, "pyg"))


def concatenated_weight(convolution: GatedConvolution) -> Tensor:
    """(2 hidden, 2 hidden + basis) weight of z = v_i + v_j + u, side by side."""
    return torch.cat([convolution.centre.weight, convolution.neighbor.weight, convolution.edge.weight], dim=1)


def test_split_weights_equal_the_concatenated_form(batch: Batch, states: tuple[Tensor, Edges]) -> None:
    h, edges = states
    convolution = GatedConvolution(HIDDEN, BASIS, "none").double()
    z = (
        torch.cat([h[batch.dst], h[batch.src], edges.basis], dim=1) @ concatenated_weight(convolution).T
        + convolution.centre.bias
    )
    gate, core = z.chunk(2, dim=1)
    update = torch.zeros_like(h).index_add(0, batch.dst, torch.sigmoid(gate) * F.softplus(core))
    torch.testing.assert_close(convolution(h, edges), update, atol=1e-10, rtol=0)


def test_gradients_equal_those_of_the_concatenated_form(batch: Batch, states: tuple[Tensor, Edges]) -> None:
    h, edges = states
    convolution = GatedConvolution(HIDDEN, BASIS, "none").double()
    weight = concatenated_weight(convolution).detach().requires_grad_()
    z = torch.cat([h[batch.dst], h[batch.src], edges.basis], dim=1) @ weight.T + convolution.centre.bias.detach()
    gate, core = z.chunk(2, dim=1)
    torch.zeros_like(h).index_add(0, batch.dst, torch.sigmoid(gate) * F.softplus(core)).square().sum().backward()
    convolution(h, edges).square().sum().backward()
    gradients = [layer.weight.grad for layer in (convolution.centre, convolution.neighbor, convolution.edge)]
    ours = torch.cat([gradient for gradient in gradients if gradient is not None], dim=1)
    torch.testing.assert_close(ours, weight.grad, atol=1e-10, rtol=1e-10)


def test_the_sum_of_messages_equals_pygs(batch: Batch, states: tuple[Tensor, Edges]) -> None:
    h, edges = states
    convolution = GatedConvolution(HIDDEN, BASIS, "none").double()
    peer = CGConv(HIDDEN, dim=BASIS, batch_norm=False).double()
    weight = concatenated_weight(convolution).detach()
    with torch.no_grad():
        for linear, part in ((peer.lin_f, slice(None, HIDDEN)), (peer.lin_s, slice(HIDDEN, None))):
            linear.weight.copy_(weight[part])
            linear.bias.copy_(convolution.centre.bias[part])
    torch.testing.assert_close(convolution(h, edges), peer(h, batch.edge_index, edges.basis) - h, atol=1e-10, rtol=0)


def test_batch_norm_stands_where_the_authors_put_it(batch: Batch, states: tuple[Tensor, Edges]) -> None:
    h, edges = states
    convolution = GatedConvolution(HIDDEN, BASIS, "batch").double()
    z = (
        torch.cat([h[batch.dst], h[batch.src], edges.basis], dim=1) @ concatenated_weight(convolution).T
        + convolution.centre.bias
    )
    gate, core = F.batch_norm(z, None, None, training=True).chunk(2, dim=1)
    update = torch.zeros_like(h).index_add(0, batch.dst, torch.sigmoid(gate) * F.softplus(core))
    torch.testing.assert_close(convolution(h, edges), update, atol=1e-10, rtol=0)
    model = CGCNN(CGCNNConfig(), Head())
    assert all(isinstance(norm, torch.nn.BatchNorm1d) for norm in model.norms)


def test_the_readout_is_the_mean_over_atoms(batch: Batch) -> None:
    model = CGCNN(CGCNNConfig(), Head()).double().eval()
    last = model.embeddings(batch)[-1]
    mean = torch.stack([last[batch.graph_of_atom == graph].mean(0) for graph in range(batch.n_graphs)])
    torch.testing.assert_close(model(batch), model.readout.mlp(mean), atol=1e-10, rtol=0)
