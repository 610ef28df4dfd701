"""A spec is complete, validated and has one name."""

import pytest

from gbench.choices import Choices, parse_overrides, resolve
from gbench.errors import GbenchError
from gbench.registry import dataset_card, dataset_names, model_card
from gbench.spec import GraphSpec, RunSpec


def test_defaults_come_from_the_cards() -> None:
    spec = resolve(Choices(model="megnet"))
    assert (spec.dataset, spec.version, spec.target, spec.split.scheme) == ("pbe_prototypes", "1", "e_form", "cluster")
    assert spec.config["blocks"] == 3
    assert spec.training is not None


def test_the_run_id_depends_on_content_not_on_how_it_was_said() -> None:
    said = resolve(Choices(model="cgcnn", overrides={"model.layers": 3, "split.n_clusters": 10}))
    assert said.run_id == resolve(Choices(model="cgcnn")).run_id
    assert resolve(Choices(model="cgcnn", seed=1)).run_id != said.run_id


def test_a_spec_survives_json() -> None:
    spec = resolve(Choices(model="cgcnn", split="formula", fold=2))
    again = RunSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.run_id == spec.run_id


def test_overrides_are_yaml() -> None:
    assert parse_overrides(["training.epochs=50", "training.patience=null", "model.norm=none"]) == {
        "training.epochs": 50,
        "training.patience": None,
        "model.norm": "none",
    }


CASES = [
    ({"model": "megnt"}, r"no model 'megnt'; did you mean 'megnet'.*\? `gbench models list` shows all \d+"),
    ({"dataset": "phonons"}, r"no dataset 'phonons'; did you mean 'matbench_phonons'\?"),
    ({"target": "eform"}, r"no target of pbe_prototypes 'eform'; did you mean 'e_form'\?"),
    ({"split": "clusters"}, r"no split 'clusters'; did you mean 'cluster' or 'structure-cluster'\?"),
    ({"overrides": {"training.epoch": 3}}, r"no training setting 'epoch'; did you mean 'epochs'\?"),
    ({"overrides": {"trainin.epochs": 3}}, r"no settings section 'trainin'; did you mean 'training'\?"),
    ({"overrides": {"training.epochs": 0}}, r"training settings: epochs: .*greater than or equal to 1, got 0"),
    ({"overrides": {"training.epochs": "many"}}, r"training settings: epochs: .*valid integer"),
    ({"overrides": {"graph.kind": "knn"}}, r"graph settings: .*kind 'knn' needs neighbors"),
    ({"overrides": {"graph.neighbors": 5}}, r"neighbors belongs to kind 'knn'"),
    ({"overrides": {"model.hidden": -1}}, r"model settings: hidden: "),
    ({"model": "dummy", "overrides": {"training.epochs": 3}}, r"model 'dummy' has no training settings"),
    ({"model": "mlp", "target": "hirshfeld"}, r"model 'mlp' predicts at level graph, but .*hirshfeld is a node target"),
]


@pytest.mark.parametrize(("choices", "message"), CASES, ids=[message[:40] for _, message in CASES])
def test_wrong_choices_are_named_with_the_fix(choices: dict[str, object], message: str) -> None:
    with pytest.raises(GbenchError, match=message):
        resolve(Choices.model_validate({"model": "cgcnn", **choices}))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, GraphSpec(kind="knn", neighbors=12, cutoff=8.0, on_short="grow")),
        ({"graph.neighbors": 8}, GraphSpec(kind="knn", neighbors=8, cutoff=8.0, on_short="grow")),
        # neither the k nor the 8 Å of the nearest neighbours
        ({"graph.kind": "radius"}, GraphSpec(kind="radius", cutoff=5.0, on_short="grow")),
        ({"graph.kind": "voronoi"}, GraphSpec(kind="voronoi", cutoff=5.0, on_short="grow")),
        ({"graph.kind": "radius", "graph.cutoff": 6.0}, GraphSpec(kind="radius", cutoff=6.0, on_short="grow")),
    ],
)
def test_another_kind_of_graph_leaves_what_was_tuned_for_the_first(
    overrides: dict[str, object], expected: GraphSpec
) -> None:
    assert resolve(Choices(model="cgcnn", dataset="matbench_phonons", overrides=overrides)).graph == expected


@pytest.mark.parametrize("model", ["cgcnn", "megnet", "alignn", "dimenetpp", "cogn", "mlp", "cnn", "gru"])
@pytest.mark.parametrize("dataset", dataset_names())
def test_defaults_suit_the_size_of_every_dataset(model: str, dataset: str) -> None:
    card = dataset_card(dataset)
    if card.targets[card.default_target].level not in model_card(model).levels:
        pytest.skip(f"{model} has no head for {card.default_target}")
    training = resolve(Choices(model=model, dataset=dataset)).training
    assert training is not None
    crystals = 0.7 * card.crystals
    assert crystals // training.batch_size * training.epochs >= 500
    assert crystals * training.epochs <= 2_000_000


@pytest.mark.parametrize("text", ["training.epochs", "epochs=5", "training.epochs={"])
def test_settings_that_cannot_be_read_say_so(text: str) -> None:
    with pytest.raises(GbenchError, match="--set"):
        parse_overrides([text])
