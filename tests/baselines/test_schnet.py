"""SchNet is PyG's, block by block and as a whole."""

import math
from typing import Any

import pytest
import torch
from gbench.baselines.schnet.model import Interaction, SchNet, SchNetConfig
from layers import BASIS, HIDDEN, LayerInput, assert_equal, copy
from torch import Tensor, nn
from torch_geometric.nn import SchNet as PyGSchNet
from torch_geometric.nn.models.schnet import GaussianSmearing, InteractionBlock, ShiftedSoftplus

from gbench.model import Head
from gbench.nn.basis import GaussianBasis, envelope
from gbench.nn.ops import PyGOps
from gbench.nn.stack import Edges

CUTOFF = 5.0
PEER_READOUTS = {"mean": "mean", "sum": "add"}


def weights(ours: Interaction, theirs: InteractionBlock) -> dict[Tensor, Tensor]:
    """The parameters of the peer's block, and their values in ours."""
    names = {
        "mlp.0": "filters.0", "mlp.2": "filters.2", "conv.lin1": "first", "conv.lin2": "rest.0", "lin": "rest.2",
    }  # fmt: skip
    own = dict(ours.named_parameters())
    return {
        parameter: own[f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}"]
        for name, parameter in theirs.named_parameters()
        # the convolution holds the filters too, under a second name
        if not name.startswith("conv.nn")
    }


def exact(peer: nn.Module, gaussians: float | None = None) -> Any:
    """The peer in float64: its ln 2, and the factor in its Gaussians' exponent, have the digits of float32."""
    for module in peer.modules():
        if isinstance(module, GaussianSmearing) and gaussians is not None:
            module.coeff = gaussians
        if isinstance(module, ShiftedSoftplus):
            module.shift = math.log(2)
    return peer.double()


def test_an_interaction_equals_pygs(given: LayerInput) -> None:
    config = SchNetConfig(hidden=HIDDEN, filters=6, basis=BASIS)
    block = Interaction(config).double()
    peer = exact(InteractionBlock(HIDDEN, BASIS, 6, CUTOFF))
    copy(weights(block, peer))
    batch = given.batch
    weight = envelope("cosine", batch.distance, CUTOFF)
    assert weight is not None
    inside = Edges(given.edges.basis, PyGOps(batch), weight[:, None])
    assert_equal(
        block, given._replace(edges=inside), lambda h: peer(h, batch.edge_index, batch.distance, given.edges.basis)
    )


@pytest.mark.parametrize("readout", PEER_READOUTS)
def test_the_whole_network_equals_pygs(given: LayerInput, readout: str) -> None:
    config = {"hidden": HIDDEN, "filters": 6, "basis": BASIS, "head": HIDDEN // 2, "layers": 2, "readout": readout}
    ours = SchNet(SchNetConfig.model_validate(config), Head()).double()
    ours.basis = GaussianBasis(CUTOFF, BASIS, width=math.sqrt(2) * CUTOFF / (BASIS - 1)).double()
    batch = given.batch
    graph = (batch.edge_index, batch.distance)
    peer = exact(
        PyGSchNet(HIDDEN, 6, 2, BASIS, CUTOFF, lambda *_: graph, readout=PEER_READOUTS[readout]), ours.basis.scale
    )
    for block, theirs in zip(ours.layers, peer.interactions, strict=True):
        assert isinstance(block, Interaction)
        copy(weights(block, theirs))
    own, others = dict(ours.named_parameters()), dict(peer.named_parameters())
    if readout == "sum":
        # the paper's last bias counts once per atom, ours once per crystal
        copy({own["readout.mlp.0.bias"]: torch.zeros(1)})
    copy({others["embedding.weight"]: ours.embedding(torch.arange(100))})
    for name, source in (("lin1", "readout.atomwise.0"), ("lin2", "readout.mlp.0")):
        copy({others[f"{name}.{kind}"]: own[f"{source}.{kind}"] for kind in ("weight", "bias")})
    theirs = peer(batch.numbers, batch.positions, batch.graph_of_atom)
    torch.testing.assert_close(ours(batch), theirs, atol=1e-9, rtol=1e-9)
