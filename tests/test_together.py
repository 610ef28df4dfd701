"""Several targets in one network: one training, a result for each target, and targets alone as they were."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jointly import CGCNN, ORBITALS, choices, spec
from laws import NETWORKS, batch_of, crystals_with_pairs
from safetensors import safe_open
from safetensors.torch import load_file

import gbench
from gbench.batch import GraphTensors
from gbench.cards import Level
from gbench.choices import resolve_each
from gbench.dataset import Dataset, load
from gbench.errors import TrainingError
from gbench.laws.subjects import build
from gbench.model import Head, Model
from gbench.observer import Observer
from gbench.prepare import Prepared, labelled, make_task, prepare
from gbench.registry import model_card, model_class
from gbench.result import Result, read_history, read_predictions
from gbench.runner import CHECKPOINT_FILE, run_spec
from gbench.site.board import gather
from gbench.task import Task
from gbench.train import Epoch, Fit, Interrupted, fit, predict


def prepared(*targets: str) -> Prepared:
    return prepare(spec(*targets), Observer())


def train(task: Task, folder: Path, stop_after: int | None = None, ema: float = 0.0) -> tuple[Fit, list[Epoch]]:
    """Train on a task; with ``stop_after``, ask to stop after that many steps."""
    one, kind = spec("gap", **{"training.ema": ema}), model_class("cgcnn")
    assert issubclass(kind, Model)
    assert one.training is not None
    config = kind.Config.model_validate(one.config)
    seen: list[Epoch] = []
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps == stop_after

    head = Head(task.level, task.outputs)
    fitted = fit(lambda: kind(config, head), task, one.training, 0, folder / "checkpoint", seen.append, stop)
    return fitted, seen


def weights(fitted: Fit) -> dict[str, torch.Tensor]:
    return fitted.model.state_dict()


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("level", ["graph", "node", "edge"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_as_many_numbers_as_its_head_asks_for(name: str, level: Level, prototypes: Dataset) -> None:
    if level not in model_card(name).levels:
        pytest.skip(f"{name} has no {level} head")
    crystals = crystals_with_pairs(prototypes)
    items = {"graph": len(crystals), "node": len(crystals.numbers), "edge": len(crystals.pairs)}[level]
    out = build(name, Head(level, 3))(batch_of(name, crystals))
    assert out.shape == (items, 3)
    assert (out.std(dim=1) > 0).any()


class TestTraining:
    @pytest.mark.parametrize("steps", [1, 9, 13])
    def test_a_stopped_training_ends_as_if_it_never_stopped(self, tmp_path: Path, steps: int) -> None:
        task = make_task(prepared(*ORBITALS), CGCNN)
        whole, seen = train(task, tmp_path / "whole", ema=0.9)
        with pytest.raises(Interrupted):
            train(task, tmp_path / "part", steps, ema=0.9)
        resumed, again = train(task, tmp_path / "part", ema=0.9)
        assert same(weights(whole), weights(resumed))
        assert [dataclasses.replace(e, seconds=0) for e in again] == [dataclasses.replace(e, seconds=0) for e in seen]
        assert resumed.best_epoch == whole.best_epoch

    def test_the_unit_of_a_target_changes_nothing_but_its_own_numbers(self, tmp_path: Path) -> None:
        task = make_task(prepared(*ORBITALS), CGCNN)
        # a power of two changes no digit
        other = dataclasses.replace(task, labels=task.labels * torch.tensor([1.0, 1024.0, 1.0]))
        (ours, seen), (theirs, again) = (train(one, tmp_path / str(n)) for n, one in enumerate((task, other)))
        assert same(weights(ours), weights(theirs))
        assert [epoch.criterion for epoch in seen] == [epoch.criterion for epoch in again]
        for epoch, changed in zip(seen, again, strict=True):
            assert epoch.val_maes is not None
            assert changed.val_maes == (epoch.val_maes[0], 1024 * epoch.val_maes[1], epoch.val_maes[2])

    def test_the_criterion_is_the_mean_of_the_scaled_errors(self, tmp_path: Path) -> None:
        ready = prepared("gap", "u0", "mu")
        task = make_task(ready, CGCNN)
        fitted, seen = train(task, tmp_path)
        best = seen[fitted.best_epoch - 1]
        assert best.criterion == min(epoch.criterion for epoch in seen)
        scaled, maes = [], []
        for output, one in enumerate(ready.together):
            rows = one.split.val
            predicted = predict(fitted.of(output), task, rows, 256)
            counts = task.counts_of(output)
            factor = fitted.scales[output].factor(None if counts is None else counts[torch.as_tensor(rows)])
            error = np.abs(predicted - one.labels[rows])
            maes.append(error.mean())
            scaled.append((error / (factor.numpy()[:, 0] if isinstance(factor, torch.Tensor) else factor)).mean())
        assert [one.target for one in ready.together] == ["gap", "mu", "u0"]
        assert best.val_maes == pytest.approx(maes, rel=1e-3)
        assert best.criterion == pytest.approx(np.mean(scaled), rel=1e-3)

    def test_every_target_has_a_scale_of_its_own(self) -> None:
        ready = prepared("gap", "u0")
        gap, u0 = make_task(ready, CGCNN).scales()
        assert gap.mean == pytest.approx(ready.labels[ready.split.train].mean())
        assert not gap.references
        assert len(u0.references) > 0

    def test_a_row_counts_if_it_has_any_of_the_labels(self, tmp_path: Path) -> None:
        ready = prepared("gap", "homo")
        labels = {name: ready.dataset.labels(name).copy() for name in ready.dataset.card.targets}
        labels["gap"][::3], labels["homo"][1::3] = np.nan, np.nan
        graph = {name: labels[name] for name in ready.dataset.crystals.graph_targets}
        dataset = Dataset(ready.dataset.card, dataclasses.replace(ready.dataset.crystals, graph_targets=graph))
        parts = []
        for one in ready.together:
            known = np.flatnonzero(~np.isnan(dataset.labels(one.target)))
            split = labelled(one.split, known, one.target)
            parts.append(dataclasses.replace(one, dataset=dataset, split=split, beside=()))
        task = make_task(dataclasses.replace(parts[0], beside=(parts[1],)), CGCNN)
        np.testing.assert_array_equal(task.split.train, ready.split.train)
        for scale, one in zip(task.scales(), parts, strict=True):
            assert scale.mean == pytest.approx(one.labels[one.split.train].mean())
        test = torch.as_tensor(ready.split.test)
        assert torch.isnan(task.labels[test]).all()
        fitted, seen = train(task, tmp_path)
        assert all(np.isfinite(epoch.criterion) for epoch in seen)
        assert np.isfinite(predict(fitted.of(1), task, ready.split.test, 256)).all()

    def test_classes_are_learned_together_too(self, tmp_path: Path) -> None:
        task = make_task(prepared("gap", "homo"), CGCNN)
        classes = torch.where(torch.isnan(task.labels), task.labels, (task.labels > task.labels.nanmean(0)).double())
        fitted, seen = train(dataclasses.replace(task, labels=classes, classify=True), tmp_path)
        task = dataclasses.replace(task, labels=classes, classify=True)
        rows = task.split.val
        losses = []
        for output in range(2):
            probability = predict(fitted.of(output), task, rows, 256)
            assert ((probability > 0) & (probability < 1)).all()
            label = classes[torch.as_tensor(rows), output].numpy()
            losses.append(-np.log(np.where(label == 1, probability, 1 - probability)).mean())
        assert seen[fitted.best_epoch - 1].val_log_loss == pytest.approx(np.mean(losses), rel=1e-3)

    def test_sites_have_several_targets_too(self, tmp_path: Path) -> None:
        ready = prepared("charge")
        task = make_task(ready, CGCNN)
        other = torch.as_tensor(ready.dataset.crystals.numbers.astype(float))[:, None]
        task = dataclasses.replace(task, labels=torch.cat([task.labels, other], 1), counts=())
        fitted, _ = train(task, tmp_path)
        rows = ready.split.test
        predicted = predict(fitted.of(1), task, rows, 256)
        truth = ready.dataset.crystals.numbers[ready.items(rows)]
        assert np.abs(predicted - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()

    def test_a_model_that_gives_one_number_for_all_is_told(self, tmp_path: Path) -> None:
        task = make_task(prepared("gap", "homo"), CGCNN)
        one = spec("gap")
        kind = model_class("cgcnn")
        assert issubclass(kind, Model)
        assert one.training is not None
        config = kind.Config.model_validate(one.config)
        with pytest.raises(
            TrainingError, match=r"shape \(\d+, 1\), labels have \(\d+, 2\); it is to give head.outputs"
        ):
            fit(lambda: kind(config, Head()), task, one.training, 0, tmp_path / "c", lambda _: None)


class StopsAfter(Observer):
    """Asks the loop to stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def stop(self) -> bool:
        self.steps -= 1
        return self.steps == 0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def made(results: Path) -> dict[str, Result]:
    """One training of three targets; the first result is made, the others are read."""
    return {one.target: run_spec(one, results) for one in resolve_each(choices(*ORBITALS))}


class TestResult:
    def test_each_target_has_a_result_of_its_own(self, made: dict[str, Result], results: Path) -> None:
        molecules = load("qm9_mini")
        for target, result in made.items():
            frame = read_predictions(results / result.run_id).query("part == 'test'")
            labels = molecules.labels(target)[[molecules.row_of_id[name] for name in frame["id"]]]
            assert result.metrics["mae"].value == pytest.approx(np.abs(frame["prediction"] - labels).mean())
            assert result.metrics["mae"].low < result.metrics["mae"].value < result.metrics["mae"].high
            assert result.dataset is not None
            assert result.dataset.target == target
            history = read_history(results / result.run_id)
            assert result.best_epoch is not None
            best = history[result.best_epoch - 1]
            assert best["val_mae"] == pytest.approx(result.validation["mae"], rel=1e-3)
            assert best["val_together"] == min(epoch["val_together"] for epoch in history)

    def test_one_training_made_them_all(self, made: dict[str, Result], results: Path) -> None:
        files = [results / result.run_id / "weights.safetensors" for result in made.values()]
        first, *others = (load_file(file) for file in files)
        assert all(same(first, other) for other in others)
        assert len({json.dumps([e["train_loss"] for e in read_history(file.parent)]) for file in files}) == 1
        assert not list(results.glob(f"*/{CHECKPOINT_FILE}"))

    def test_the_weights_give_the_predictions_of_each(self, made: dict[str, Result], results: Path) -> None:
        molecules, kind = load("qm9_mini"), model_class("cgcnn")
        assert issubclass(kind, Model)
        for result in made.values():
            file = results / result.run_id / "weights.safetensors"
            model = kind(kind.Config.model_validate(result.spec.config), Head(outputs=3)).eval()
            model.load_state_dict(load_file(file))
            frame = read_predictions(file.parent).query("part == 'test'")
            rows = torch.tensor([molecules.row_of_id[name] for name in frame["id"]])
            with torch.no_grad():
                out = model(GraphTensors(molecules.graphs(result.spec.graph)).batch(rows))
            with safe_open(file, "pt") as opened:
                scale: dict[str, Any] = json.loads(opened.metadata()["scale"])
            values = out[:, scale["output"]].double() * scale["deviation"] + scale["mean"]
            np.testing.assert_allclose(values, frame["prediction"], atol=1e-4)

    def test_it_is_tested_on_the_rows_of_a_run_alone(self, made: dict[str, Result], results: Path) -> None:
        alone = gbench.run("dummy", dataset="qm9_mini", target="homo", results=results)
        assert alone.split is not None
        assert made["homo"].split == alone.split

    def test_a_lost_result_is_made_again_and_the_others_stay(
        self, made: dict[str, Result], results: Path, tmp_path: Path
    ) -> None:
        for one in made.values():
            if one.spec.target != "homo":
                (results / one.run_id).rename(tmp_path / one.run_id)
        before = (results / made["homo"].run_id / "result.json").read_bytes()
        again = run_spec(made["lumo"].spec, results)
        assert (results / made["homo"].run_id / "result.json").read_bytes() == before
        assert again.metrics == made["lumo"].metrics
        assert run_spec(made["gap"].spec, results).metrics == made["gap"].metrics

    def test_stopped_for_one_target_it_goes_on_for_another(
        self, made: dict[str, Result], results: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(Interrupted):
            run_spec(made["lumo"].spec, tmp_path, StopsAfter(11))
        (checkpoint,) = tmp_path.glob(f"*/{CHECKPOINT_FILE}")
        assert checkpoint.parent.name == made["gap"].run_id
        run_spec(made["homo"].spec, tmp_path)
        for result in made.values():
            for name in ("weights.safetensors", "predictions.parquet"):
                whole, part = (place / result.run_id / name for place in (results, tmp_path))
                assert whole.read_bytes() == part.read_bytes()

    def test_a_failure_is_written_for_each(self, tmp_path: Path) -> None:
        one = spec("gap", "homo", **{"training.learning_rate": 1e30, "training.clip_norm": None})
        with pytest.raises(TrainingError, match="the loss is"):
            run_spec(one, tmp_path)
        written = [json.loads(path.read_text()) for path in tmp_path.glob("*/result.json")]
        assert sorted(entry["spec"]["target"] for entry in written) == ["gap", "homo"]
        assert {entry["status"] for entry in written} == {"error"}

    def test_tables_of_the_leaderboard_say_what_was_learned_together(
        self, made: dict[str, Result], results: Path
    ) -> None:
        tables = {table.target: table for table in gather([results]).tables}
        for target, result in made.items():
            (row,) = [row for row in tables[target].rows if row.model == "cgcnn"]
            assert [run.run_id for run in row.runs] == [result.run_id]
            assert dict(row.settings)["learned with"] == ", ".join(result.spec.beside)
