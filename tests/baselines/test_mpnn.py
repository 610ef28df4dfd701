"""MPNN is its paper's, with a matrix per edge, whatever the order of multiplication."""

from typing import Literal

import pytest
import torch
from gbench.baselines.mpnn.model import MPNN, MPNNConfig, Step
from layers import BASIS, HIDDEN, LayerInput, assert_equal, copy
from torch import Tensor, nn
from torch_geometric.nn import NNConv

from gbench.model import Head

FEATURES = 5


@pytest.mark.parametrize("aggregation", ["mean", "sum"])
def test_it_equals_pygs_matrix_per_edge_and_recurrent_unit(
    given: LayerInput, aggregation: Literal["mean", "sum"]
) -> None:
    config = MPNNConfig(hidden=HIDDEN, basis=BASIS, edge_features=FEATURES, aggregation=aggregation)
    step = Step(config).double()
    last = nn.Linear(FEATURES, HIDDEN * HIDDEN)
    network = nn.Sequential(*step.features, last)
    peer = NNConv(HIDDEN, HIDDEN, network, aggr=aggregation, root_weight=False, bias=False).double()
    # ours: (out, feature, in), A_0 last; the peer's: (in, out, feature)
    matrices = step.matrices.weight.view(HIDDEN, FEATURES + 1, HIDDEN).permute(2, 0, 1).flatten(0, 1)
    copy({last.weight: matrices[:, :FEATURES], last.bias: matrices[:, FEATURES]})
    recurrent = nn.GRU(HIDDEN, HIDDEN).double()
    copy({getattr(recurrent, f"{name}_l0"): value for name, value in step.update.named_parameters()})

    def theirs(h: Tensor) -> Tensor:
        message = peer(h, given.batch.edge_index, given.edges.basis)
        out: Tensor = recurrent(message[None], h[None])[0][0]
        return out

    assert_equal(step, given, theirs)


def test_steps_share_their_weights_unless_told_otherwise(given: LayerInput) -> None:
    one, three, own = (
        MPNN(MPNNConfig.model_validate(settings), Head()).double()
        for settings in ({"layers": 1}, {"layers": 3}, {"layers": 3, "shared": False})
    )
    assert one.n_parameters == three.n_parameters < own.n_parameters
    three.load_state_dict(one.state_dict())
    states = three.embeddings(given.batch)
    assert len(states) == 4
    torch.testing.assert_close(states[1], one.embeddings(given.batch)[1])
