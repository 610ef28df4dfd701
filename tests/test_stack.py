"""The settings that message-passing networks share do what they say."""

import pytest
import torch
from gbench.baselines.cgcnn.model import CGCNN, CGCNNConfig
from laws import CHANGES, batch_of
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.errors import SpecError, UnknownNameError
from gbench.model import Head
from gbench.nn.basis import BesselBasis, envelope
from gbench.nn.stack import Edges, Stack, StackConfig


class Tripling(Stack[StackConfig]):
    """A stack whose layer gives three times its input."""

    @staticmethod
    def layer(config: StackConfig) -> nn.Module:
        class Triple(nn.Module):
            def forward(self, h: Tensor, edges: Edges) -> Tensor:
                return 3 * h

        return Triple()


@pytest.fixture(scope="module")
def crystals(prototypes: Dataset) -> Crystals:
    return prototypes.crystals.take([0, 200, 300, 450, 600, 800])


@pytest.fixture(scope="module")
def batch(crystals: Crystals) -> Batch:
    return batch_of("cgcnn", crystals)


def states(batch: Batch, **settings: object) -> list[Tensor]:
    config = StackConfig.model_validate({"hidden": 4, "layers": 2, "activation": "none", **settings})
    return Tripling(config, Head()).double().embeddings(batch)


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        ({"residual": False}, (3.0, 9.0)),
        ({"residual": True}, (4.0, 16.0)),
        ({"residual": False, "initial_residual": 0.5}, (2.0, 3.5)),
        ({"residual": True, "initial_residual": 0.25}, (3.25, 10.0)),
    ],
)
def test_residuals_are_added_as_written(batch: Batch, settings: dict[str, object], factors: tuple[float, ...]) -> None:
    first, *others = states(batch, **settings)
    for state, factor in zip(others, factors, strict=True):
        torch.testing.assert_close(state, factor * first, atol=1e-10, rtol=0)


@pytest.mark.parametrize("readout", ["mean", "sum", "max", "attention", "set2set"])
def test_readouts_pool_over_the_atoms_of_a_crystal(batch: Batch, crystals: Crystals, readout: str) -> None:
    model = CGCNN(CGCNNConfig.model_validate({"readout": readout}), Head()).double().eval()
    with torch.no_grad():
        out, h = model(batch), model.embeddings(batch)[-1]
        pooled = model.readout.pool(h, batch.graph_of_atom, batch.n_graphs)
        for graph in range(batch.n_graphs):
            own = h[batch.graph_of_atom == graph]
            expected = {
                "mean": own.mean(0),
                "sum": own.sum(0),
                "max": own.max(0).values,
                "attention": (torch.softmax(model.readout.pool.score(own), 0) * own).sum(0)
                if readout == "attention"
                else None,
            }.get(readout)
            if expected is not None:
                torch.testing.assert_close(pooled[graph], expected, atol=1e-10, rtol=0)
        again = model(batch_of("cgcnn", CHANGES["supercell"](crystals)))
    # a sum grows with the cell; all others see the crystal, not the cell
    assert ((again - out).abs().max() < 1e-8) == (readout != "sum")


@pytest.mark.parametrize("kind", ["cosine", "polynomial"])
def test_envelopes_fall_smoothly_to_zero(kind: str) -> None:
    distance = torch.tensor([0.0, 2.5, 4.9999, 5.0, 7.0], dtype=torch.float64, requires_grad=True)
    weight = envelope(kind, distance, 5.0)  # type: ignore[arg-type]
    assert weight is not None
    (slope,) = torch.autograd.grad(weight.sum(), distance)
    assert weight[0] == 1 and 0 < weight[1] < 1 and weight[2] < 1e-6 and (weight[3:].abs() < 1e-12).all()
    assert (slope[[0, 2, 3, 4]].abs() < 1e-3).all() and slope[1] < 0


def test_bessel_functions_vanish_at_the_cut_off_and_are_orthonormal() -> None:
    basis = BesselBasis(5.0, 6)
    radius = torch.linspace(1e-4, 5.0, 20001, dtype=torch.float64)
    values = basis.double()(radius)
    assert values[-1].abs().max() < 1e-5
    overlap = torch.trapezoid(values[:, :, None] * values[:, None, :] * (radius**2)[:, None, None], radius, dim=0)
    torch.testing.assert_close(overlap, torch.eye(6, dtype=torch.float64), atol=1e-4, rtol=0)


def test_atoms_can_start_from_chosen_properties(batch: Batch) -> None:
    config = {"identity": False, "property_names": ["group", "period"]}
    model = CGCNN(CGCNNConfig.model_validate(config), Head())
    assert model.embedding.embedding is None
    assert model.embedding.from_properties is not None and model.embedding.from_properties.in_features == 2
    with pytest.raises(SpecError, match="atoms would all look alike"):
        CGCNN(CGCNNConfig(identity=False, properties=False), Head())
    with pytest.raises(UnknownNameError, match="no element property 'grup'; did you mean 'group'"):
        CGCNN(CGCNNConfig(property_names=("grup",)), Head())
