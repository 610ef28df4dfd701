"""Parameter counts, receptive fields and seconds are worked out, never written down."""

import json
from pathlib import Path
from statistics import median

import pytest
import torch
import yaml
from test_cli import gbench

from gbench.cards import ModelCard, read_card
from gbench.choices import Choices, resolve
from gbench.content import content
from gbench.errors import CardError, SpecError
from gbench.model import Model
from gbench.model_facts import ModelFacts, facts_of, published, training_times
from gbench.registry import model_card, model_class, model_names
from gbench.result import Result


@pytest.fixture(scope="module")
def phonons() -> list[Result]:
    """The published results of cgcnn on matbench_phonons."""
    found = [result for result in published("cgcnn") if result.spec.dataset == "matbench_phonons"]
    usual = resolve(Choices(model="cgcnn", dataset="matbench_phonons"))
    same = [result for result in found if (result.spec.graph, result.spec.training) == (usual.graph, usual.training)]
    assert same
    return same


@pytest.mark.parametrize("name", model_names())
def test_every_model_has_its_facts(name: str) -> None:
    facts, kind, spec = facts_of(name), model_class(name), resolve(Choices(model=name))
    assert (facts.parameters is not None) == issubclass(kind, Model)
    assert (facts.receptive_field is not None) == (issubclass(kind, Model) and kind.uses_graph)
    if facts.receptive_field is not None:
        assert spec.graph is not None
        assert facts.receptive_field.cutoff_angstrom == spec.graph.cutoff
        assert facts.receptive_field.angstrom == facts.receptive_field.hops * spec.graph.cutoff
    assert ModelFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize("name", model_names())
def test_parameters_are_those_of_the_published_runs(name: str) -> None:
    for time in facts_of(name).training:
        counted = facts_of(name, time.dataset).parameters or 0
        task = (time.dataset, time.target, time.split)
        ran = [r for r in published(name) if (r.spec.dataset, r.spec.target, r.spec.split.scheme) == task]
        assert counted in {result.cost.parameters for result in ran if result.cost}


def test_seconds_are_the_median_of_the_runs(phonons: list[Result]) -> None:
    (time,) = training_times("cgcnn", phonons)
    assert time.seconds == median(result.cost.train_seconds for result in phonons if result.cost)
    assert time.runs == len(phonons)
    assert str(time).startswith("matbench_phonons / last_phdos_peak, official split: ")
    assert time in facts_of("cgcnn", "matbench_phonons").training


def test_runs_with_other_settings_or_of_other_models_do_not_count(phonons: list[Result]) -> None:
    first = phonons[0]
    assert first.spec.training is not None
    shorter = first.spec.training.model_copy(update={"epochs": 1})
    changes: list[dict[str, object]] = [
        {"config": {**first.spec.config, "hidden": 8}},
        {"config": {"no_longer": "a setting"}},
        {"training": shorter},
        {"model": "megnet"},
        {"target": "no longer there"},
    ]
    others = [first.model_copy(update={"spec": first.spec.model_copy(update=change)}) for change in changes]
    assert training_times("cgcnn", others) == []
    assert training_times("cgcnn", [first.model_copy(update={"cost": None})]) == []


def test_runs_on_other_machines_are_kept_apart(phonons: list[Result]) -> None:
    first = phonons[0]
    assert first.cost is not None
    two = first.model_copy(update={"cost": first.cost.model_copy(update={"threads": 2, "train_seconds": 1.0})})
    assert [(time.threads, time.runs) for time in training_times("cgcnn", [*phonons, two])] == [
        (first.cost.threads, len(phonons)),
        (2, 1),
    ]


def test_settings_for_a_dataset_decide() -> None:
    usual, tuned = facts_of("cgcnn"), facts_of("cgcnn", "matbench_phonons")
    assert str(usual.receptive_field) == "3 x 5.0 Å"
    assert str(tuned.receptive_field) == "3 x 8.0 Å"
    assert tuned.graph == "knn 12 within 8.0 Å"
    assert facts_of("cgcnn", "vacancy_formation").target == "formation_energy"


def test_a_dataset_without_a_fitting_target_is_refused() -> None:
    with pytest.raises(SpecError, match="model 'cnn' predicts at level graph, but vacancy_formation/formation_energy"):
        facts_of("cnn", "vacancy_formation")


def test_looking_at_facts_draws_no_random_number() -> None:
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    facts_of("megnet")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("key", ["parameters", "receptive_field", "seconds", "budgets"])
def test_a_card_that_writes_them_down_is_refused(key: str, tmp_path: Path) -> None:
    card = yaml.safe_load((content("baselines") / "cgcnn" / "card.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "cgcnn" / "card.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({**card, key: 3}), encoding="utf-8")
    with pytest.raises(CardError, match=f"unknown key '{key}'"):
        read_card(ModelCard, path)


def test_every_card_names_its_paper_licence_and_levels() -> None:
    for name in model_names():
        card = model_card(name)
        # a mean and a stack of convolutions over voxels are nobody's
        assert card.paper is not None or name in ("dummy", "cnn")
        assert card.licence and card.levels and card.title and len(card.description) > 60


def test_the_command_shows_them() -> None:
    text = gbench("models", "show", "megnet", "--dataset", "matbench_phonons").stdout
    facts = facts_of("megnet", "matbench_phonons")
    assert f"{facts.parameters:,} on matbench_phonons / last_phdos_peak" in text
    assert "3 x 5.0 Å   (radius 5.0 Å)" in text
    assert all(str(time) in text for time in facts.training)
    assert "on matbench_phonons" in text and "on qm9" not in text
    shown = json.loads(gbench("models", "show", "megnet", "--dataset", "matbench_phonons", "--json").stdout)
    assert shown["facts"] == facts.model_dump(mode="json")
    assert shown["name"] == "megnet"
    done = gbench("models", "show", "megnet", "--dataset", "matbench_phonon")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no dataset 'matbench_phonon'; did you mean 'matbench_phonons'" in done.stderr
