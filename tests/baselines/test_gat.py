"""GAT's attention is that of GATv2."""

from typing import Literal

import pytest
import torch
from gbench.baselines.gat.model import GATConfig, GraphAttention
from layers import BASIS, HIDDEN, LayerInput, assert_equal, copy
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import GATv2Conv

from gbench.choices import Choices, resolve
from gbench.errors import SpecError


def made(**settings: object) -> GraphAttention:
    config = {"hidden": HIDDEN, "basis": BASIS, "heads": 2, "edge_values": False, **settings}
    layer = GraphAttention(GATConfig.model_validate(config)).double()
    torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("merge", ["concat", "mean"])
@pytest.mark.parametrize("self_loop", [False, True])
def test_it_equals_pygs(given: LayerInput, self_loop: bool, merge: Literal["concat", "mean"]) -> None:
    layer = made(self_loop=self_loop, merge=merge)
    concat = merge == "concat"
    width = HIDDEN // 2 if concat else HIDDEN
    peer = GATv2Conv(HIDDEN, width, heads=2, concat=concat, edge_dim=BASIS, add_self_loops=False).double()
    assert peer.lin_edge is not None
    copy(
        {
            peer.lin_l.weight: layer.source.weight,
            peer.lin_l.bias: layer.source.bias,
            peer.lin_r.weight: layer.target.weight,
            peer.lin_r.bias: layer.target.bias,
            peer.lin_edge.weight: layer.edge.weight,
            peer.att: layer.scores[None],
            peer.bias: layer.bias,
        }
    )
    edge_index, basis = given.with_loops() if self_loop else (given.batch.edge_index, given.edges.basis)
    assert_equal(layer, given, lambda h: peer(h, edge_index, basis))


def test_edge_values_are_averaged_with_the_neighbours(given: LayerInput) -> None:
    layer = made(edge_values=True, self_loop=True)

    def by_hand(h: Tensor) -> Tensor:
        source, target, edge = layer.source(h), layer.target(h), layer.edge(given.edges.basis)
        out = []
        for atom, own in enumerate(given.incoming()):
            values = torch.cat([source[given.batch.src[own]] + edge[own], source[[atom]]])
            heads = []
            for head, part in enumerate((slice(0, HIDDEN // 2), slice(HIDDEN // 2, None))):
                score = F.leaky_relu(values[:, part] + target[atom, part], 0.2) @ layer.scores[head]
                heads.append(torch.softmax(score, 0) @ values[:, part])
            out.append(torch.cat(heads))
        return torch.stack(out) + layer.bias

    assert_equal(layer, given, by_hand)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SpecError, match="3 heads cannot share a width of 64; choose a divisor, or merge: mean"):
        resolve(Choices(model="gat", overrides={"model.heads": 3}))
    resolve(Choices(model="gat", overrides={"model.heads": 3, "model.merge": "mean"}))
