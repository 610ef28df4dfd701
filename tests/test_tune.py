"""A search looks at validation rows alone, and outlives the process that began it."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gbench.building import network_class
from gbench.cards import Defaults, ModelCard
from gbench.choices import Choices, parse_overrides, resolve
from gbench.dataset import Dataset, load
from gbench.errors import GbenchError, SpecError, UnknownNameError
from gbench.frozen import get_split
from gbench.prepare import make_task
from gbench.registry import model_card, model_names
from gbench.train import Interrupted
from gbench.tuning import development as data
from gbench.tuning.development import development
from gbench.tuning.space import Range, Values, built_in, check, parse, parse_space
from gbench.tuning.study import Pruner, Study, Tuning, card_lines
from gbench.tuning.trial import Step, Watch, search

pytestmark = pytest.mark.xdist_group("tune")

MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]
TINY: dict[str, Any] = {"training.epochs": 3, "training.batch_size": 200, "model.hidden": 8, "model.layers": 1}
SPACE = ["training.learning_rate=log:1e-3:1e-2", "model.readout=mean,max"]
FLAGS = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
TUNE = ["tune", "--model", "cgcnn", "--split", "formula", *FLAGS, "--space", SPACE[0], "--space", SPACE[1]]


def tuning(space: list[str] = SPACE, folds: tuple[int, ...] = (0,), pruner: Pruner = "none", epochs: int = 3) -> Tuning:
    choices = Choices(model="cgcnn", split="formula", overrides={**TINY, "training.epochs": epochs})
    return Tuning.of(choices, folds, parse_space(space, choices), "tpe", pruner)


def values(study: Study) -> list[float | None]:
    return [trial.value for trial in study.trials]


def gbench(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*MAIN, *arguments], env=environment, **pipes, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A search of four trials that nothing disturbed."""
    study = Study(tuning(), tmp_path_factory.mktemp("whole") / "study")
    search(study, 4)
    return study


class TestTestRowsAreNotThere:
    def test_what_a_trial_is_given_holds_no_test_crystal(self, prototypes: Dataset) -> None:
        spec = tuning().base[0]
        split = get_split(prototypes, spec.split)
        prepared = development(spec)
        ids = np.array(prepared.dataset.crystals.ids)
        held = np.array(prototypes.crystals.ids)
        assert set(ids) == set(held[split.train]) | set(held[split.val])
        assert list(ids[prepared.split.train]) == list(held[split.train])
        assert list(ids[prepared.split.val]) == list(held[split.val])
        task = make_task(prepared, network_class(spec))
        assert len(task.split.test) == 0
        assert len(task.labels) == len(task.tensors.atom_offsets.host) - 1 == len(split.train) + len(split.val)

    def test_other_test_crystals_and_labels_change_nothing(
        self, whole: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def poisoned(name: str) -> Dataset:
            dataset = load(name)
            split, crystals = get_split(dataset, tuning().base[0].split), dataset.crystals
            atoms = np.isin(crystals.crystal_of_atom, split.test)
            numbers, positions, labels = (
                crystals.numbers.copy(),
                crystals.positions.copy(),
                crystals.labels("e_form").copy(),
            )
            numbers[atoms] = 79
            positions[atoms] *= 1.5
            labels[split.test] = 1e9
            changed = dataclasses.replace(
                crystals,
                numbers=numbers,
                positions=positions,
                graph_targets={**crystals.graph_targets, "e_form": labels},
            )
            return Dataset(dataset.card, changed)

        monkeypatch.setattr(data, "load", poisoned)
        study = Study(tuning(), tmp_path / "study")
        search(study, 4)
        assert values(study) == values(whole)
        assert [trial.params for trial in study.trials] == [trial.params for trial in whole.trials]

    def test_labels_of_validation_do_matter(
        self, whole: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def poisoned(name: str) -> Dataset:
            dataset = load(name)
            split, labels = get_split(dataset, tuning().base[0].split), dataset.labels("e_form").copy()
            labels[split.val] += 10
            targets = {**dataset.crystals.graph_targets, "e_form": labels}
            return Dataset(dataset.card, dataclasses.replace(dataset.crystals, graph_targets=targets))

        monkeypatch.setattr(data, "load", poisoned)
        study = Study(tuning(), tmp_path / "study")
        search(study, 1)
        assert values(study)[0] != values(whole)[0]


class TestGoingOn:
    def test_the_first_trial_has_the_settings_of_the_card(self, whole: Study) -> None:
        first = whole.tuning.settings(whole.trials[0].params)
        assert first == {"training.learning_rate": 0.005, "model.readout": "mean"}

    def test_a_search_that_is_done_does_nothing(self, whole: Study) -> None:
        again = Study(whole.tuning, whole.folder)
        heard: list[object] = []
        search(again, 4, Watch(ended=heard.append))
        assert heard == []
        assert [path.suffix for path in whole.folder.iterdir() if path.suffix == ".pt"] == []

    def test_a_search_that_was_stopped_goes_on_from_its_checkpoint(self, whole: Study, tmp_path: Path) -> None:
        study, steps = Study(tuning(), tmp_path / "study"), list[Step]()
        with pytest.raises(Interrupted):
            search(study, 4, Watch(step=steps.append, stop=lambda: len(steps) == 5))
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "RUNNING"]
        assert [path.name for path in study.folder.glob("*.pt")] == ["trial-1-fold-0.pt"]
        later = Study(tuning(), study.folder)
        search(later, 4)
        assert values(later) == values(whole)
        assert [trial.user_attrs["starts"] for trial in later.trials] == [1, 2, 1, 1]

    def test_folds_that_are_done_are_not_done_again(self, tmp_path: Path) -> None:
        two = tuning(folds=(0, 1))
        whole, study, steps = Study(two, tmp_path / "whole"), Study(two, tmp_path / "study"), list[Step]()
        search(whole, 1)
        with pytest.raises(Interrupted):
            search(study, 1, Watch(step=steps.append, stop=lambda: len(steps) == 4))
        search(study, 1, Watch(step=steps.append))
        assert [(step.fold, step.epoch.epoch) for step in steps[4:]] == [(1, 1), (1, 2), (1, 3)]
        assert values(study) == values(whole)
        assert study.trials[0].value == pytest.approx(np.mean(study.trials[0].user_attrs["scores"]))

    def test_killed_and_started_again_it_ends_as_if_nothing_had_been(self, whole: Study, tmp_path: Path) -> None:
        killed = gbench(*TUNE, "--trials", "4", "--pruner", "none", "--results", str(tmp_path))
        assert killed.stdout is not None
        assert any(line.startswith("trial 1") for line in killed.stdout)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        again = gbench(*TUNE, "--trials", "4", "--pruner", "none", "--results", str(tmp_path), "--json")
        out, err = again.communicate()
        assert again.returncode == 0, err
        assert [trial["value"] for trial in json.loads(out)["trials"]] == values(whole)

    def test_several_processes_share_the_trials(self, tmp_path: Path) -> None:
        both = [gbench(*TUNE, "--trials", "6", "--results", str(tmp_path)) for _ in range(2)]
        for one in both:
            assert one.communicate()[1] == ""
            assert one.returncode == 0
        (folder,) = (tmp_path / "tune").iterdir()
        study = Study(tuning(pruner="median"), folder)
        assert len(study.trials) == 6
        assert {trial.user_attrs["starts"] for trial in study.trials} == {1}, "none was done twice"
        assert len({str(trial.params) for trial in study.trials}) == 6

    def test_a_trial_that_kills_its_process_is_given_up(self, tmp_path: Path) -> None:
        study = Study(tuning(), tmp_path / "study")
        for _ in range(3):
            claimed = study.claim(1)
            assert claimed is not None
            claimed.lock.release()
        search(study, 1)
        assert "its process was killed 3 times" in study.trials[0].user_attrs["why"]
        assert study.complete == []

    def test_another_search_is_not_mixed_in(self, whole: Study) -> None:
        with pytest.raises(SpecError, match="holds a search with other settings.*choose another --name"):
            Study(tuning(["model.readout=mean,max"]), whole.folder)


def test_a_trial_that_fails_says_why_and_the_search_goes_on(tmp_path: Path) -> None:
    study = Study(tuning(["training.learning_rate=1e-3,1e30"]), tmp_path / "study")
    search(study, 6)
    failed = [trial for trial in study.trials if "why" in trial.user_attrs]
    assert failed
    assert all("the loss is" in trial.user_attrs["why"] for trial in failed)
    assert {study.tuning.settings(trial.params)["training.learning_rate"] for trial in study.complete} == {1e-3}


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_that_look_bad_are_ended_early(pruner: Pruner, tmp_path: Path) -> None:
    study = Study(tuning(["training.learning_rate=5e-3,1e-9"], pruner=pruner, epochs=6), tmp_path / "study")
    search(study, 14)
    ended = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    assert ended
    assert all(len(trial.intermediate_values) < 6 for trial in ended)
    assert study.complete[0].params == {"training.learning_rate": "0.005"}


class TestSpace:
    @pytest.mark.parametrize(
        ("written", "what"),
        [
            ("log:1e-4:1e-2", Range("log", 1e-4, 1e-2)),
            ("float:0:0.5", Range("float", 0, 0.5)),
            ("int:2:5", Range("int", 2, 5)),
            ("mean, max", Values(("mean", "max"))),
            ("32,64", Values(("32", "64"))),
            ("1e-3,0.1", Values(("0.001", "0.1"))),
            ("[64, 64],[32]", Values(("[64, 64]", "[32]"))),
            (["none", "layer"], Values(("none", "layer"))),
        ],
    )
    def test_what_is_written_is_read(self, written: Any, what: object) -> None:
        read = parse("model.x", written)
        assert read == what
        assert parse("model.x", str(read)) == read

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (["model.layers=int:5:2"], "give the lower end and then the higher one"),
            (["training.learning_rate=log:0:1"], "the lower end, which is above 0"),
            (["training.learning_rate=log:1"], "write log:1e-4:1e-2"),
            (["model.layers="], "write log:1e-4:1e-2"),
            (["model.lairs=1,2"], "did you mean 'layers'"),
            (["model.readout=mean,maximum"], r"--space model.readout=mean, maximum: .*Input should be 'mean'"),
            (["training.epochs=3,4"], "training.epochs is set and searched at once"),
            (["split.seed=1,2"], "it decides which rows are validation"),
            (["absent.yaml"], "absent.yaml: cannot be read"),
        ],
    )
    def test_what_cannot_be_searched_is_refused_at_once(self, given: list[str], said: str) -> None:
        with pytest.raises(GbenchError, match=said):
            parse_space(given, Choices(model="cgcnn", overrides={"training.epochs": 3}))

    def test_a_file_and_single_settings_add_up(self, tmp_path: Path) -> None:
        (tmp_path / "space.yaml").write_text("training.learning_rate: log:1e-4:1e-2\nmodel.readout: [mean, max]\n")
        given = [str(tmp_path / "space.yaml"), "model.readout=set2set,mean"]
        space = parse_space(given, Choices(model="cgcnn"))
        assert {key: str(what) for key, what in space.items()} == {
            "training.learning_rate": "log:0.0001:0.01",
            "model.readout": "set2set, mean",
        }

    def test_what_is_set_is_not_searched(self) -> None:
        space = parse_space([], Choices(model="cgcnn", overrides={"model.layers": 3}))
        assert "model.layers" not in space
        assert "model.hidden" in space

    def test_every_network_has_a_built_in_space_around_its_card(self) -> None:
        for name in model_names():
            if model_card(name).framework in ("numpy", "scikit-learn"):
                continue
            choices = Choices(model=name)
            space = built_in(resolve(choices))
            check(space, choices)
            assert {"training.learning_rate", "training.weight_decay", "training.ema"} <= space.keys(), name
            assert Tuning.of(choices, (0,), space, "tpe", "none").card_settings() is not None, name

    def test_sites_have_no_readout_to_search(self) -> None:
        assert "model.readout" not in built_in(resolve(Choices(model="cgcnn", dataset="vacancy_formation")))

    def test_numbers_can_be_read(self) -> None:
        assert Range("log", 1e-4, 1e-2).setting(0.00123456789) == 0.00123
        assert Range("int", 1, 5).setting(3) == 3


def with_tuned(card: ModelCard, lines: str) -> ModelCard:
    tuned = {name: Defaults.model_validate(what) for name, what in yaml.safe_load(lines).items()}
    return card.model_copy(update={"tuned": {**card.tuned, **tuned}})


def test_the_card_lines_make_the_best_settings_the_recommended_ones(
    whole: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"training.learning_rate": 0.0123, "model.readout": "max"}
    card = with_tuned(model_card("cgcnn"), card_lines(whole.tuning, best))
    monkeypatch.setattr("gbench.choices.model_card", lambda _: card)
    assert resolve(Choices(model="cgcnn", split="formula")) == whole.tuning.spec(0, best)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    results = tmp_path_factory.mktemp("results")
    done = gbench(*TUNE, "--fold", "0,2", "--trials", "3", "--results", str(results))
    out, err = done.communicate()
    assert (done.returncode, err) == (0, "")
    return out, results


class TestCommand:
    def test_it_says_what_it_searches_and_finds(self, printed: tuple[str, Path]) -> None:
        for fact in (
            "cgcnn on pbe_prototypes@1 / e_form (eV/atom)",
            "formula folds 0, 2, mean of their validation parts; test rows are left out of the data",
            "training.learning_rate   log:0.001:0.01",
            "\ntrial 0 ",
            "best so far",
            "lowest validation MAE in eV/atom, the best 3 of 3 trials",
            "the card's own settings (trial 0)",
            "fold 2",
            "  pbe_prototypes: {",
        ):
            assert fact in printed[0]

    def test_the_command_it_ends_with_runs_the_best_settings(self, printed: tuple[str, Path]) -> None:
        (line,) = [line for line in printed[0].splitlines() if line.startswith("run it")]
        words = shlex.split(line.removeprefix("run it"))
        assert words[words.index("--fold") + 1] == "all"
        given = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        (folder,) = (printed[1] / "tune").iterdir()
        study = Study(tuning(folds=(0, 2), pruner="median"), folder)
        best = study.tuning.settings(study.complete[0].params)
        assert resolve(Choices(model="cgcnn", split="formula", overrides=parse_overrides(given))) == study.tuning.spec(
            0, best
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--model", "trees"], "is no network that is trained by the loop"),
            (["--model", "cgcnn", "--sampler", "tpee"], "did you mean 'tpe'"),
            (["--model", "cgcnn", "--fold", "1,1"], "give numbers from 0, each once"),
            (["--model", "cgcnn", "--name", "../up"], "give one without a separator"),
            (["--model", "cgcn"], "did you mean 'cgcnn'"),
        ],
    )
    def test_mistakes_end_in_a_sentence(
        self, arguments: list[str], said: str, tmp_path: Path, cli: Callable[[list[str]], None]
    ) -> None:
        with pytest.raises((SpecError, UnknownNameError), match=said):
            cli(["tune", *arguments, "--results", str(tmp_path)])
        assert list(tmp_path.iterdir()) == []

    def test_a_search_that_takes_too_long_is_stopped(
        self, tmp_path: Path, cli: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cli([*TUNE, "--timeout", "0", "--results", str(tmp_path)])
        heard = capsys.readouterr()
        assert "the same command goes on" in heard.err
        assert "no trial of" in heard.out


@pytest.fixture
def cli() -> Callable[[list[str]], None]:
    """The command in this process; a mistake is raised."""
    from gbench.cli.app import app

    def run(arguments: list[str]) -> None:
        app(arguments, prog_name="gbench", standalone_mode=False)

    return run
