"""GraphSAGE is its paper's where the gate is open."""

import pytest
import torch
from gbench.baselines.graphsage.model import GatedMean
from layers import BASIS, HIDDEN, LayerInput, assert_equal, copy
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import SAGEConv


@pytest.mark.parametrize("unit_length", [False, True])
def test_with_an_open_gate_it_equals_pygs(given: LayerInput, unit_length: bool) -> None:
    layer = GatedMean(HIDDEN, BASIS, unit_length=unit_length).double()
    peer = SAGEConv(HIDDEN, HIDDEN, normalize=unit_length).double()
    copy(
        {
            layer.gate.weight: torch.zeros(HIDDEN, BASIS),
            peer.lin_r.weight: layer.own.weight,
            peer.lin_l.weight: layer.neighbors.weight,
            peer.lin_l.bias: layer.own.bias,
        }
    )
    assert_equal(layer, given, lambda h: peer(h, given.batch.edge_index))


def test_with_an_open_gate_it_equals_dgls(given: LayerInput) -> None:
    pytest.importorskip("dgl")
    from dgl.nn.pytorch import SAGEConv as DGLSAGEConv

    layer = GatedMean(HIDDEN, BASIS, unit_length=False).double()
    peer = DGLSAGEConv(HIDDEN, HIDDEN, "mean").double()
    copy(
        {
            layer.gate.weight: torch.zeros(HIDDEN, BASIS),
            peer.fc_self.weight: layer.own.weight,
            peer.fc_neigh.weight: layer.neighbors.weight,
            peer.fc_self.bias: layer.own.bias,
        }
    )
    assert_equal(layer, given, lambda h: peer(given.batch.dgl(), h))


def test_the_gate_multiplies_each_feature_of_a_neighbour(given: LayerInput) -> None:
    layer = GatedMean(HIDDEN, BASIS, unit_length=False).double()

    def by_hand(h: Tensor) -> Tensor:
        gated = (1 + given.edges.basis @ layer.gate.weight.T) * h[given.batch.src]
        mean = torch.stack([gated[own].mean(0) for own in given.incoming()])
        return F.linear(
            torch.cat([h, mean], 1), torch.cat([layer.own.weight, layer.neighbors.weight], 1), layer.own.bias
        )

    assert_equal(layer, given, by_hand)
