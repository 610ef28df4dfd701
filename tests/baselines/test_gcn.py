"""GCN is its paper's on a weighted graph."""

import math

import numpy as np
import pytest
import torch
from gbench.baselines.gcn.model import GraphConvolution
from laws import batch_of, network
from layers import BASIS, HIDDEN, LayerInput, assert_equal, copy
from structures import crystal
from torch.nn import functional as F
from torch_geometric.nn import GCNConv

from gbench.batch import import_dgl
from gbench.crystals import Crystals


@pytest.fixture
def layer() -> GraphConvolution:
    made = GraphConvolution(HIDDEN, BASIS).double()
    torch.nn.init.normal_(made.bias)
    return made


def test_with_learned_weights_it_equals_pygs_on_the_weighted_graph(layer: GraphConvolution, given: LayerInput) -> None:
    peer = GCNConv(HIDDEN, HIDDEN, add_self_loops=False).double()
    copy({peer.lin.weight: layer.linear.weight, peer.bias: layer.bias})
    edge_index, _ = given.with_loops()
    weight = F.softplus(layer.edge(given.edges.basis))[:, 0].detach() / math.log(2)
    weight = torch.cat([weight, weight.new_ones(given.batch.n_atoms)])
    assert_equal(layer, given, lambda h: peer(h, edge_index, weight))


def test_with_unit_weights_it_equals_pygs(layer: GraphConvolution, given: LayerInput) -> None:
    copy({layer.edge.weight: torch.zeros(1, BASIS), layer.edge.bias: torch.zeros(1)})
    peer = GCNConv(HIDDEN, HIDDEN, add_self_loops=False).double()
    copy({peer.lin.weight: layer.linear.weight, peer.bias: layer.bias})
    edge_index, _ = given.with_loops()
    assert_equal(layer, given, lambda h: peer(h, edge_index))


def test_with_unit_weights_it_equals_dgls(layer: GraphConvolution, given: LayerInput) -> None:
    pytest.importorskip("dgl")
    from dgl.nn.pytorch import GraphConv

    copy({layer.edge.weight: torch.zeros(1, BASIS), layer.edge.bias: torch.zeros(1)})
    peer = GraphConv(HIDDEN, HIDDEN, norm="both").double()
    copy({peer.weight: layer.linear.weight.T, peer.bias: layer.bias})
    graph = import_dgl().add_self_loop(given.batch.dgl())
    assert_equal(layer, given, lambda h: peer(graph, h))


def test_a_crystal_of_equivalent_atoms_looks_the_same_at_any_volume() -> None:
    cells = [np.eye(3) * length for length in (2.8, 3.4)]
    crystals = Crystals.build([crystal([84], [[0, 0, 0]], cell, str(row)) for row, cell in enumerate(cells)])
    first, second = network("gcn")(batch_of("gcn", crystals))
    torch.testing.assert_close(first, second, atol=1e-10, rtol=0)
