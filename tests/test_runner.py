"""A run leaves a whole Result, once, whatever happens."""

import json
import multiprocessing
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest

import gbench
from gbench.choices import Choices, resolve
from gbench.dataset import Dataset
from gbench.elements import reduced_formulas
from gbench.errors import DataError, GraphError, SplitError, StorageError
from gbench.metrics import regression_metrics
from gbench.model import Head, Inputs
from gbench.observer import Observer
from gbench.prepare import Prepared, labelled
from gbench.registry import model_class
from gbench.result import Result, read_history, read_predictions, read_result, write_result
from gbench.runner import LOCK_FILE, run_spec
from gbench.splitting import Split

TINY = {"training.epochs": 4, "model.hidden": 8}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def result(results: Path) -> Result:
    return gbench.run("cgcnn", split="formula", overrides=TINY, results=results)


def test_a_result_is_complete(result: Result, results: Path, prototypes: Dataset) -> None:
    folder = results / result.run_id
    assert read_result(folder) == result
    assert result.status == "ok"
    assert result.spec.run_id == result.run_id == folder.name
    assert result.dataset is not None
    assert result.dataset.sha256 == prototypes.sha256
    assert result.dataset.unit == "eV/atom"
    assert result.split is not None
    assert result.split.train + result.split.val + result.split.test == 828
    assert result.split.frozen
    assert result.graph is not None
    assert result.cost is not None
    assert result.cost.epochs == len(read_history(folder)) == 4
    assert result.cost.parameters > 0
    assert result.environment.libraries["torch"]
    written = {path.name for path in folder.iterdir()} - {LOCK_FILE}
    trained = {"predictions.parquet", "history.json", "system.json", "weights.safetensors"}
    assert written == {"result.json", "spec.json"} | trained


def test_the_json_file_holds_no_nan_and_the_promised_form(result: Result, results: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    raw = json.loads((results / result.run_id / "result.json").read_text(), parse_constant=refuse)
    assert raw["schema_version"] == 1
    assert set(raw["metrics"]["mae"]) == {"value", "unit", "low", "high", "better"}


def test_scores_follow_from_the_predictions(result: Result, results: Path, prototypes: Dataset) -> None:
    frame = read_predictions(results / result.run_id)
    assert set(frame["part"]) == {"val", "test"}
    test = frame[frame["part"] == "test"]
    rows = [prototypes.row_of_id[name] for name in test["id"]]
    label = prototypes.labels("e_form")[rows]
    groups = np.unique(np.array(reduced_formulas(prototypes.crystals))[rows], return_inverse=True)[1]
    assert regression_metrics(label, test["prediction"].to_numpy(), "eV/atom", groups) == result.metrics


def test_validation_scores_follow_from_the_validation_part(result: Result, results: Path, prototypes: Dataset) -> None:
    frame = read_predictions(results / result.run_id).query("part == 'val'")
    label = prototypes.labels("e_form")[[prototypes.row_of_id[name] for name in frame["id"]]]
    assert result.validation["mae"] == pytest.approx(np.abs(frame["prediction"] - label).mean())


def test_estimators_are_not_shown_labels(prototypes: Dataset) -> None:
    inputs = Inputs.of(prototypes.crystals, prototypes.graphs())
    assert inputs.graphs is not None
    for crystals in (inputs.crystals, inputs.graphs.crystals):
        assert not crystals.graph_targets
        assert not crystals.node_targets


def test_a_finished_run_is_read_not_repeated(result: Result, results: Path) -> None:
    path = results / result.run_id / "result.json"
    before = path.stat().st_mtime_ns
    assert gbench.run("cgcnn", split="formula", overrides=TINY, results=results) == result
    assert path.stat().st_mtime_ns == before


def test_running_again_elsewhere_gives_the_same_predictions(result: Result, results: Path, tmp_path: Path) -> None:
    gbench.run("cgcnn", split="formula", overrides=TINY, results=tmp_path)
    ours, theirs = (read_predictions(place / result.run_id) for place in (results, tmp_path))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_the_committed_weights_give_the_predictions(result: Result, results: Path, prototypes: Dataset) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    from gbench.batch import GraphTensors

    kind = model_class("cgcnn")
    model = kind(kind.Config.model_validate(result.spec.config), Head())  # type: ignore[call-arg]
    model.load_state_dict(load_file(results / result.run_id / "weights.safetensors"))  # type: ignore[attr-defined]
    frame = read_predictions(results / result.run_id).query("part == 'test'")
    rows = torch.tensor([prototypes.row_of_id[name] for name in frame["id"]])
    with torch.no_grad():
        out = model.eval()(GraphTensors(prototypes.graphs(result.spec.graph)).batch(rows))[:, 0]  # type: ignore[attr-defined]
    with safe_open(results / result.run_id / "weights.safetensors", "pt") as file:
        scale = json.loads(file.metadata()["scale"])
    np.testing.assert_allclose(out.double() * scale["deviation"] + scale["mean"], frame["prediction"], atol=1e-5)


@pytest.mark.parametrize("model", ["dummy", "knn", "trees"])
def test_estimators_run_too(model: str, results: Path) -> None:
    made = gbench.run(model, split="formula", results=results)
    assert made.status == "ok"
    assert made.metrics["mae"].low < made.metrics["mae"].value < made.metrics["mae"].high


@pytest.mark.parametrize("model", ["cgcnn", "megnet", "dummy"])
def test_node_targets_are_predicted_per_site(model: str, results: Path, prototypes: Dataset) -> None:
    overrides = {} if model == "dummy" else {"training.epochs": 3}
    made = gbench.run(model, target="hirshfeld", split="formula", results=results, overrides=overrides)
    frame = read_predictions(results / made.run_id)
    test = frame[frame["part"] == "test"]
    assert made.split is not None
    assert len(set(test["id"])) == made.split.test
    assert len(test) == sum(prototypes.crystals.n_atoms[prototypes.row_of_id[name]] for name in set(test["id"]))
    assert (test["site"] >= 0).all()
    assert made.metrics["mae"].unit == "e"


def test_phonons_run_on_an_official_fold(phonons: Dataset, results: Path) -> None:
    overrides = {"training.epochs": 1, "model.hidden": 8}
    made = gbench.run("cgcnn", dataset="matbench_phonons", split="official", results=results, overrides=overrides)
    assert made.split is not None
    assert made.split.test == 253
    assert made.metrics["mae"].unit == "1/cm"


def test_rows_without_label_are_left_out(prototypes: Dataset) -> None:
    split = Split(np.arange(0, 600), np.arange(600, 700), np.arange(700, 828))
    kept = labelled(split, np.arange(0, 828, 2), "e_form")
    assert (len(kept.train), len(kept.val), len(kept.test)) == (300, 50, 64)
    with pytest.raises(DataError, match="no row of the test part has a label for 'e_form'"):
        labelled(split, np.arange(0, 700), "e_form")


class TestFailure:
    def test_a_failed_run_writes_a_result_and_raises(self, tmp_path: Path) -> None:
        overrides = {**TINY, "graph.cutoff": 1.0, "graph.on_short": "error"}
        with pytest.raises(GraphError, match="has no neighbour within 1.0 Å"):
            gbench.run("cgcnn", overrides=overrides, results=tmp_path)
        (folder,) = tmp_path.glob("*/")
        failed = read_result(folder)
        assert failed.status == "error"
        assert failed.error is not None
        assert failed.error.kind == "GraphError"
        assert failed.metrics == {}

    def test_a_bug_keeps_its_traceback(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Prepared, "items", property(lambda self: 1 / 0))
        with pytest.raises(ZeroDivisionError):
            gbench.run("dummy", results=tmp_path)
        (folder,) = tmp_path.glob("*/")
        failed = read_result(folder)
        assert failed.error is not None
        assert "1 / 0" in failed.error.traceback

    def test_a_failed_run_is_tried_again(self, tmp_path: Path) -> None:
        spec = resolve(Choices(model="dummy"))
        ok = run_spec(spec, tmp_path)
        write_result(tmp_path / spec.run_id, ok.model_copy(update={"status": "error", "metrics": {}}))
        assert run_spec(spec, tmp_path).status == "ok"

    def test_another_dataset_version_is_refused(self, tmp_path: Path) -> None:
        spec = resolve(Choices(model="dummy")).model_copy(update={"version": "0"})
        with pytest.raises(DataError, match="the spec names pbe_prototypes@0, this gbench holds version 1"):
            run_spec(spec, tmp_path)

    def test_a_results_folder_that_is_a_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StorageError, match="file/.*: cannot write .*--results"):
            gbench.run("dummy", results=tmp_path / "file")

    def test_a_run_at_work_elsewhere_is_left_alone(self, tmp_path: Path) -> None:
        spec = resolve(Choices(model="dummy"))
        (tmp_path / spec.run_id).mkdir()
        with (
            filelock.FileLock(tmp_path / spec.run_id / LOCK_FILE),
            pytest.raises(StorageError, match="another process"),
        ):
            run_spec(spec, tmp_path)

    def test_what_a_killed_process_left_half_written_is_removed(self, tmp_path: Path) -> None:
        spec = resolve(Choices(model="dummy"))
        (tmp_path / spec.run_id).mkdir()
        (tmp_path / spec.run_id / ".result.json.abc123").write_text('{"half')
        run_spec(spec, tmp_path)
        assert [p.name for p in (tmp_path / spec.run_id).glob(".*")] == [LOCK_FILE]

    def test_a_damaged_result_is_named(self, result: Result, results: Path, tmp_path: Path) -> None:
        shutil.copytree(results / result.run_id, tmp_path / result.run_id)
        path = tmp_path / result.run_id / "result.json"
        path.write_text(path.read_text()[:300])
        with pytest.raises(DataError, match=r"result.json: .*delete the folder and run again"):
            run_spec(result.spec, tmp_path)

    def test_a_full_disk_loses_nothing(self, tmp_path: Path, prototypes: Dataset) -> None:
        """Files may not grow beyond 20 kB in a child process: the weights do not fit."""
        prototypes.graphs(resolve(Choices(model="cgcnn")).graph)
        process = subprocess.run(
            [sys.executable, "-c", "from gbench.cli import main; main()", "run", "--model", "cgcnn", "--no-floors",
             "--no-tracking", "--set", "training.epochs=2", "--results", str(tmp_path / "r")],
            capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        )  # fmt: skip
        assert process.returncode == 2, process.stderr
        assert "cannot write (File too large)" in process.stderr.replace("\n", " ")
        assert "Traceback" not in process.stderr
        (folder,) = (tmp_path / "r").glob("*/")
        assert not (folder / "result.json").exists()
        assert not (folder / "weights.safetensors").exists()


class Builders(Observer):
    """Hears how many graphs are built."""

    def __init__(self) -> None:
        self.expected = self.built = 0

    @contextmanager
    def building(self, crystals: int) -> Iterator[Callable[[int], object]]:
        self.expected = crystals
        yield self._add

    def _add(self, crystals: int) -> None:
        self.built += crystals


def test_whoever_watches_hears_of_every_graph_that_is_built(tmp_path: Path) -> None:
    spec = resolve(Choices(model="cgcnn", overrides={**TINY, "training.epochs": 1, "graph.cutoff": 3.21}))
    first, second = Builders(), Builders()
    run_spec(spec, tmp_path / "first", first)
    run_spec(spec, tmp_path / "second", second)
    assert first.expected == first.built == second.expected == 828
    assert second.built == 0


def _run_dummy(results: Path) -> str:
    try:
        return gbench.run("trees", split="random", results=results, allow_leak=True).status
    except StorageError as error:
        return str(error)


def test_two_processes_on_one_run_do_not_mix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        outcomes = pool.map(_run_dummy, [tmp_path, tmp_path])
    assert "ok" in outcomes
    assert all(outcome == "ok" or "another process is working on this run" in outcome for outcome in outcomes)


class TestLeak:
    def test_a_split_that_leaks_is_refused_before_training(self, results: Path) -> None:
        with pytest.raises(SplitError, match="random split of pbe_prototypes leaks: 9. % of test crystals have a near"):
            gbench.run("cgcnn", split="random", results=results)

    def test_the_mark_stays_with_the_result(self, results: Path) -> None:
        made = gbench.run("dummy", split="random", results=results, allow_leak=True)
        assert made.split is not None and made.split.leaks
        again = read_result(results / made.run_id)
        assert again.split is not None and (again.split.verdict, again.split.why) == ("leak", made.split.why)
        with pytest.raises(SplitError, match="--allow-leak, and the result carries the mark"):
            gbench.run("dummy", split="random", results=results)

    def test_other_splits_say_how_hard_they_are(self, results: Path) -> None:
        made = {name: gbench.run("dummy", split=name, results=results) for name in ("formula", "cluster")}
        verdicts = {name: result.split.verdict for name, result in made.items() if result.split}
        assert verdicts == {"formula": "interpolation", "cluster": "strong shift"}
