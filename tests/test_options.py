"""Every message-passing network takes every shared option, heeds it, and keeps its laws under it."""

import dataclasses

import pytest
import torch
from laws import CHANGES, NETWORKS, batch_of
from torch import Tensor

from gbench.batch import Batch, GraphTensors
from gbench.choices import Choices, resolve
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.errors import SpecError, UnknownNameError
from gbench.graphs import build_graphs
from gbench.laws.networks import frameworks_agree, merging_changes_nothing
from gbench.laws.subjects import build
from gbench.model import Head, Model
from gbench.nn.options import ConnectionOptions
from gbench.registry import model_card, model_class
from gbench.spec import GraphSpec

MESSAGE_PASSING = [name for name in NETWORKS if model_class(name).uses_graph]
BOTH_FRAMEWORKS = [name for name in MESSAGE_PASSING if model_card(name).dgl]
MERGING = [name for name in MESSAGE_PASSING if issubclass(kind := model_class(name), Model) and kind.sees]
OWN_NAMES = {"megnet": {"hidden": "state", "layers": "blocks"}}
LACKING = {
    # the paper's perceptron over the pools has widths of its own
    "megnet": {"head"},
    # an activation that may be chosen is not part of what turns with the crystal, or of the bases' scale
    "dimenetpp": {"activation"}, "nequip": {"activation"}, "painn": {"activation"},
}  # fmt: skip
CONNECTIONS: list[dict[str, object]] = [
    {"residual": True, "norm": "none"},
    {"residual": True, "norm": "layer"},
    {"residual": True, "norm": "batch"},
    {"residual": False, "norm": "none"},
    {"residual": False, "norm": "layer"},
    {"initial_residual": 0.3},
]
READOUTS: list[dict[str, object]] = [{"readout": kind} for kind in ("mean", "sum", "max", "attention", "set2set")]
OPTIONS: list[dict[str, object]] = [
    *CONNECTIONS,
    *READOUTS,
    {"layers": 1},
    {"layers": 6},
    {"hidden": 24},
    {"head": 16},
    {"activation": "relu"},
    {"basis_kind": "gaussian", "basis": 12},
    {"basis_kind": "gaussian", "basis_width": 0.3},
    {"basis_kind": "bessel", "basis": 8, "basis_stop": 5.0},
    {"envelope": "none"},
    {"envelope": "cosine", "basis_stop": 5.0},
    {"envelope": "polynomial", "basis_stop": 5.0},
    {"identity": False},
    {"properties": False},
    {"property_names": ["electronegativity", "covalent_radius", "group", "period"]},
]


def own(name: str, options: dict[str, object]) -> dict[str, object]:
    """The options under the names the model has for them; without those it lacks."""
    names = OWN_NAMES.get(name, {})
    return {names.get(key, key): value for key, value in options.items() if key not in LACKING.get(name, ())}


@pytest.fixture(scope="module")
def crystals(prototypes: Dataset) -> Crystals:
    return prototypes.crystals.take([0, 200, 300, 450, 600, 800])


@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_every_model_has_every_option(name: str) -> None:
    fields = model_class(name).Config.model_fields
    every = {key for options in OPTIONS for key in options}
    named = {OWN_NAMES.get(name, {}).get(key, key) for key in every}
    assert named - set(fields) == LACKING.get(name, set())
    assert issubclass(model_class(name).Config, ConnectionOptions)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_every_model_takes_every_option_and_heeds_it(name: str, options: dict[str, object], crystals: Crystals) -> None:
    settings, batch = own(name, options), batch_of(name, crystals)
    model, usual = build(name, Head(), **settings), build(name, Head())
    out = model(batch)
    assert out.shape == (batch.n_graphs, 1)
    assert len(model.embeddings(batch)) == model.hops + 1
    out.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
    chosen = model_class(name).Config.model_validate({**resolve(Choices(model=name)).config, **settings})
    if chosen.model_dump(mode="json") != resolve(Choices(model=name)).config:
        assert (out - usual(batch)).abs().max() > 1e-9


@pytest.mark.parametrize("options", [*CONNECTIONS, *READOUTS], ids=str)
@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_options_leave_the_symmetries_alone(name: str, options: dict[str, object], crystals: Crystals) -> None:
    model = build(name, Head(), **own(name, options)).eval()
    with torch.no_grad():
        before = model(batch_of(name, crystals))
        for change in ("permutation", "rotation", "mirror", "cell", "supercell"):
            after: Tensor = model(batch_of(name, CHANGES[change](crystals)))
            grows = change == "supercell" and options.get("readout") == "sum"
            assert ((after - before).abs().max() < 1e-8) != grows, change


@pytest.mark.parametrize("options", [*READOUTS, {"envelope": "polynomial", "basis_stop": 5.0}], ids=str)
@pytest.mark.parametrize("name", BOTH_FRAMEWORKS)
def test_both_frameworks_agree_under_every_readout(name: str, options: dict[str, object]) -> None:
    pytest.importorskip("dgl")
    finding = frameworks_agree(name, "graph", **own(name, options))
    assert finding.holds, finding.sentence


@pytest.mark.parametrize("options", [*CONNECTIONS, *READOUTS, {"envelope": "cosine", "basis_stop": 5.0}], ids=str)
@pytest.mark.parametrize("name", MERGING)
def test_merging_what_looks_alike_changes_nothing_under_any_option(name: str, options: dict[str, object]) -> None:
    finding = merging_changes_nothing(name, "graph", **own(name, options))
    assert finding.holds, finding.sentence


@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_an_envelope_makes_predictions_continuous_at_the_cut_off(name: str, prototypes: Dataset) -> None:
    crystals = prototypes.crystals.take([600])
    shell = float(build_graphs(crystals, GraphSpec(cutoff=6.0)).distance.max())
    inside, beyond = (
        GraphTensors(build_graphs(crystals, GraphSpec(cutoff=shell + step)), dtype=torch.float64).batch(
            torch.tensor([0])
        )
        for step in (-1e-6, 1e-6)
    )
    assert len(inside.src) < len(beyond.src)
    jumps = {}
    for kind in ("none", "polynomial"):
        settings = {"envelope": kind, "basis_stop": shell, "basis_kind": "gaussian", "norm": "none"}
        model = build(name, Head(), **settings).eval()
        with torch.no_grad():
            jumps[kind] = float((model(inside) - model(beyond)).abs())
    assert jumps["polynomial"] < 1e-8
    assert jumps["none"] > 1e-6


@pytest.mark.parametrize("name", MESSAGE_PASSING)
def test_atoms_can_start_from_chosen_properties(name: str, crystals: Crystals) -> None:
    batch = batch_of(name, crystals)
    model = build(name, Head(), identity=False, property_names=["group"]).eval()
    # carbon and silicon are of one group, and so look alike
    numbers = torch.where(batch.numbers == batch.numbers[0], 6, batch.numbers)
    swapped = torch.where(batch.numbers == batch.numbers[0], 14, batch.numbers)
    batches: list[Batch] = [dataclasses.replace(batch, numbers=each) for each in (numbers, swapped)]
    with torch.no_grad():
        assert torch.equal(*(model(each) for each in batches))
    with pytest.raises(SpecError, match="atoms would all look alike"):
        build(name, Head(), identity=False, properties=False)
    with pytest.raises(UnknownNameError, match="no element property 'grup'; did you mean 'group'"):
        build(name, Head(), property_names=("grup",))


def test_options_that_came_later_are_written_only_where_they_are_chosen() -> None:
    usual, chosen = (
        resolve(Choices(model="megnet", overrides=overrides))
        for overrides in ({}, {"model.norm": "layer", "model.residual": True})
    )
    assert chosen.config == {**usual.config, "norm": "layer"}
    assert "norm" not in usual.config
    assert usual.run_id != chosen.run_id


def test_an_envelope_under_a_maximum_over_bonds_is_refused() -> None:
    with pytest.raises(SpecError, match="readout 'max' over bonds cannot heed an envelope"):
        resolve(Choices(model="megnet", overrides={"model.readout": "max", "model.envelope": "cosine"}))
