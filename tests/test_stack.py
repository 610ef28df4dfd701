"""The settings that message-passing networks share do what they say."""

import pytest
import torch
from gbench.baselines.cgcnn.model import CGCNN, CGCNNConfig
from laws import CHANGES, NETWORKS, batch_of
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.choices import Choices, resolve
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.errors import SpecError, UnknownNameError
from gbench.model import Head
from gbench.nn.basis import BesselBasis, envelope
from gbench.nn.stack import Edges, Stack, StackConfig
from gbench.registry import model_class


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
        pooled = model.readout.pool(h, batch)
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


def test_an_envelope_makes_predictions_continuous_at_the_cut_off(prototypes: Dataset) -> None:
    from gbench.batch import GraphTensors
    from gbench.graphs import build_graphs
    from gbench.spec import GraphSpec

    crystals = prototypes.crystals.take([600])
    shell = float(build_graphs(crystals, GraphSpec(cutoff=6.0)).distance.max())
    tensors = [
        GraphTensors(build_graphs(crystals, GraphSpec(cutoff=shell + step)), dtype=torch.float64).batch(
            torch.tensor([0])
        )
        for step in (-1e-6, 1e-6)
    ]
    assert len(tensors[0].src) < len(tensors[1].src)
    jumps = {}
    for kind in ("none", "polynomial"):
        config = CGCNNConfig.model_validate({"envelope": kind, "basis_stop": shell, "norm": "none"})
        torch.manual_seed(0)
        model = CGCNN(config, Head()).double().eval()
        with torch.no_grad():
            jumps[kind] = float((model(tensors[0]) - model(tensors[1])).abs())
    assert jumps["polynomial"] < 1e-9 < 1e-4 < jumps["none"]


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


STACKS = [name for name in NETWORKS if issubclass(model_class(name), Stack)]
OPTIONS: list[dict[str, object]] = [
    {"layers": 1},
    {"layers": 6},
    {"hidden": 24},
    {"residual": True, "norm": "layer"},
    {"residual": False, "norm": "batch"},
    {"residual": False, "norm": "none"},
    {"initial_residual": 0.3},
    {"activation": "relu"},
    {"readout": "sum"},
    {"readout": "max"},
    {"readout": "attention"},
    {"readout": "set2set"},
    {"head": 16},
    {"basis_kind": "bessel", "basis": 8, "basis_stop": 5.0},
    {"envelope": "cosine", "basis_stop": 5.0},
    {"envelope": "polynomial", "basis_stop": 5.0},
    {"identity": False},
    {"properties": False},
    {"property_names": ["electronegativity", "covalent_radius", "group", "period"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", STACKS)
def test_every_model_takes_every_option(name: str, options: dict[str, object], batch: Batch) -> None:
    kind = model_class(name)
    assert issubclass(kind, Stack)
    config = kind.Config.model_validate({**resolve(Choices(model=name)).config, **options})
    torch.manual_seed(0)
    model = kind(config, Head()).double()
    out = model(batch)
    assert out.shape == (batch.n_graphs, 1)
    assert torch.isfinite(out).all()
    assert len(model.embeddings(batch)) == model.hops + 1
    out.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
