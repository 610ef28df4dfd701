"""MLflow holds what the result files hold; losing it loses nothing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from numpy.testing import assert_allclose
from tracking_server import TrackingServer

import gbench
from gbench.building import network_class
from gbench.choices import Choices, resolve
from gbench.cli.app import app
from gbench.errors import DataError
from gbench.observer import Observer
from gbench.prepare import make_task, prepare
from gbench.result import Result, read_history, read_predictions, write_result
from gbench.runner import run_spec
from gbench.sampling import read_samples
from gbench.saved import load_fitted
from gbench.spec import RunSpec
from gbench.tracking import (
    SuiteTracking,
    TrackingError,
    best_models,
    register_best,
    sync,
    track,
    tracked,
    tracking_uri,
)
from gbench.train import predict

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from selenium.webdriver import Chrome

pytestmark = [
    # what MLflow and SQLAlchemy leave to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.xdist_group("mlflow"),
]

OVERRIDES = {"training.epochs": 3, "model.hidden": 8}


def network(seed: int = 0) -> RunSpec:
    return resolve(Choices(model="cgcnn", split="formula", seed=seed, overrides=OVERRIDES))


def floor(fold: int = 0) -> RunSpec:
    return resolve(Choices(model="dummy", split="formula", fold=fold))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    results = tmp_path_factory.mktemp("results")
    return results, run_spec(network(), results)


def client_of(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(client: "MlflowClient", experiment: str) -> "list[Run]":
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def model_of(client: "MlflowClient", run: "Run") -> "LoggedModel":
    assert run.outputs is not None
    (output,) = run.outputs.model_outputs
    return client.get_logged_model(output.model_id)


def check(uri: str, run_id: str, result: Result, results: Path) -> None:
    """That the server holds all that the folder of a result does, and no pickle."""
    client = client_of(uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_mae"] == pytest.approx(result.metrics["mae"].value)
    assert run.data.params["model"] == "cgcnn"
    assert run.data.params["training.epochs"] == "3"
    assert result.dataset is not None
    assert result.split is not None
    assert run.data.tags["dataset.sha256"] == result.dataset.sha256
    assert run.data.tags["split.sha256"] == result.split.sha256
    history = client.get_metric_history(run_id, "val_mae")
    expected = [epoch["val_mae"] for epoch in read_history(results / result.run_id)]
    assert [point.value for point in sorted(history, key=lambda point: point.step)] == pytest.approx(expected)
    assert {artifact.path for artifact in client.list_artifacts(run_id)} == {
        "result.json",
        "predictions.parquet",
        "history.json",
    }
    local = client.download_artifacts(run_id, "result.json")
    assert json.loads(Path(local).read_text())["run_id"] == result.run_id
    check_lineage(client, run, result, results)


def check_lineage(client: "MlflowClient", run: "Run", result: Result, results: Path) -> None:
    """That data and model of a run can be told from the server alone, and what the machine did."""
    assert result.dataset is not None
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "pbe_prototypes@1"
    assert result.dataset.sha256.startswith(data.dataset.digest)
    source = json.loads(data.dataset.source)
    assert source["content_sha256"] == result.dataset.sha256
    assert source["sources"], "the files it is made from"
    model = model_of(client, run)
    assert (model.name, str(model.status), model.source_run_id) == ("cgcnn", "READY", run.info.run_id)
    (score,) = [metric for metric in model.metrics or () if metric.key == "test_mae"]
    assert score.value == pytest.approx(result.metrics["mae"].value)
    assert score.dataset_digest == data.dataset.digest
    samples = read_samples(results / result.run_id)
    sent = client.get_metric_history(run.info.run_id, "system/process_memory_megabytes")
    assert [point.value for point in sent] == samples["process_memory_megabytes"]
    assert [point.timestamp for point in sent] == [int(time * 1000) for time in samples["time"]]


def check_model(folder: Path, spec: RunSpec, results: Path) -> None:
    """That the files of a model predict what the run predicted."""
    assert {path.name for path in folder.iterdir()} == {"spec.json", "weights.safetensors"}
    prepared = prepare(spec, Observer())
    predictions = predict(load_fitted(folder), make_task(prepared, network_class(spec)), prepared.split.test, 64)
    written = read_predictions(results / spec.run_id).query("part == 'test'")["prediction"]
    assert_allclose(predictions, written, rtol=1e-5)


def test_a_sqlite_file_is_the_default(made: tuple[Path, Result]) -> None:
    results, result = made
    where = track(results / result.run_id)
    assert where.uri == tracking_uri(results) == f"sqlite:///{results}/mlflow.db"
    check(where.uri, where.run_id, result, results)
    assert track(results / result.run_id) == where


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    made = TrackingServer(tmp_path / "server")
    made.folder.mkdir()
    made.start()
    yield made
    made.kill()


def test_a_real_server_that_goes_away_and_comes_back(
    server: TrackingServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    browser: "Chrome",
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    results, specs = tmp_path / "results", [network(), network(seed=1), floor()]
    suite = SuiteTracking("tiny", results)
    suite.begun(spec.run_id for spec in specs)
    first = run_spec(specs[0], results)
    suite.finished(first.run_id)
    client = client_of(server.uri)
    states = {run.info.run_name: run.info.status for run in runs_of(client, "gbench/suites/tiny")}
    assert states == {"tiny": "RUNNING", "cgcnn formula 0 seed 0": "FINISHED"}

    server.kill()
    for spec in specs[1:]:
        run_spec(spec, results)
        suite.finished(spec.run_id)
    said = suite.ended()
    assert said.startswith(f"not tracked: MLflow at {server.uri} does not answer")
    assert said.endswith(
        f"the result is safe in {results}; upload it later with `gbench track sync --results {results}`"
    )
    alone = run_spec(floor(fold=1), results)
    with pytest.raises(TrackingError, match="does not answer.*the result is safe in .*`gbench track sync --results"):
        track(results / alone.run_id)
    assert tracked(results / alone.run_id) is None

    server.start()
    app(["track", "sync", "--results", str(results)], standalone_mode=False)
    assert capsys.readouterr().out.startswith(f"3 runs sent, 1 were there   {server.uri}")
    app(["track", "sync", "--results", str(results)], standalone_mode=False)
    assert capsys.readouterr().out.startswith("0 runs sent, 4 were there")

    runs = {run.data.tags.get("gbench.run_id", "parent"): run for run in runs_of(client, "gbench/suites/tiny")}
    assert runs.keys() == {"parent", *(spec.run_id for spec in specs)}
    parent = runs.pop("parent")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["runs"] == 3
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert len(runs_of(client, "gbench/pbe_prototypes/e_form")) == 1, "that which belongs to no suite"
    check(server.uri, runs[first.run_id].info.run_id, first, results)

    best, other = register_best(results), register_best(results)
    assert [(one.best.name, one.version) for one in best] == [("gbench.pbe_prototypes.e_form.formula", "1")]
    assert other == best
    version = client.get_model_version_by_alias("gbench.pbe_prototypes.e_form.formula", "best")
    chosen = next(spec for spec in specs if spec.run_id == best[0].best.result.run_id)
    assert version.run_id == runs[chosen.run_id].info.run_id
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", server.uri)
    check_model(download("models:/gbench.pbe_prototypes.e_form.formula@best", server.uri, tmp_path), chosen, results)

    shown = runs[first.run_id]
    open_run(browser, server.uri, shown, shown.data.metrics["test_mae"])


def download(model: str, uri: str, into: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=model, dst_path=str(into / "model"), tracking_uri=uri))


def open_run(browser: "Chrome", uri: str, run: "Run", score: float) -> None:
    """That MLflow's own page of a run shows its name and a score."""
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(f"{uri}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
    wanted = ("cgcnn formula 0 seed 0", "test_mae", str(score)[:6], "pbe_prototypes@1")

    def all_there(driver: "Chrome") -> bool:
        text = driver.find_element("css selector", "body").text
        return all(word in text for word in wanted)

    WebDriverWait(browser, 60).until(all_there, f"the page lacks one of {wanted}")


class TestSync:
    def test_a_database_that_was_lost_is_filled_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        suite = SuiteTracking("tiny", tmp_path)
        specs = [floor(), floor(fold=1)]
        suite.begun(spec.run_id for spec in specs)
        for spec in [*specs, floor(fold=2)]:
            run_spec(spec, tmp_path)
        assert suite.ended().startswith("suite tiny, 2 runs   mlflow ui --backend-store-uri sqlite:///")
        assert sync(tmp_path).sent == 1
        (tmp_path / "mlflow.db").unlink()
        # the same file, by a name under which this process has no connection
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:////{tmp_path}/mlflow.db")
        assert sync(tmp_path).sent == 3
        assert sync(tmp_path).sent == 0
        client = client_of(tracking_uri(tmp_path))
        assert len(runs_of(client, "gbench/suites/tiny")) == 3
        assert len(runs_of(client, "gbench/pbe_prototypes/e_form")) == 1

    def test_a_suite_says_what_failed_and_what_is_missing(self, tmp_path: Path) -> None:
        suite = SuiteTracking("tiny", tmp_path)
        specs = [floor(), floor(fold=1), floor(fold=2)]
        suite.begun(spec.run_id for spec in specs)
        for spec, status in zip(specs[:2], ("ok", "error"), strict=True):
            result = run_spec(spec, tmp_path)
            write_result(tmp_path / spec.run_id, result.model_copy(update={"status": status}))
            suite.finished(spec.run_id)
        suite.ended()
        client = client_of(tracking_uri(tmp_path))
        (parent,) = [run for run in runs_of(client, "gbench/suites/tiny") if run.info.run_name == "tiny"]
        assert parent.info.status == "KILLED"
        values = {key: parent.data.metrics[key] for key in ("runs", "failed", "missing")}
        assert values == {"runs": 3, "failed": 1, "missing": 1}
        run_spec(specs[2], tmp_path)
        assert sync(tmp_path).sent == 1
        assert client.get_run(parent.info.run_id).info.status == "FAILED"

    def test_what_a_killed_process_sent_by_halves_is_sent_whole(self, tmp_path: Path) -> None:
        spec = floor()
        run_spec(spec, tmp_path)
        where = track(tmp_path / spec.run_id)
        client = client_of(where.uri)
        client.update_run(where.run_id, status="RUNNING")
        assert sync(tmp_path).sent == 1
        (run,) = runs_of(client, "gbench/pbe_prototypes/e_form")
        assert run.info.run_id != where.run_id
        assert run.info.status == "FINISHED"

    def test_a_damaged_result_keeps_no_other_from_the_server(self, tmp_path: Path) -> None:
        for fold in (0, 1):
            run_spec(floor(fold=fold), tmp_path)
        (tmp_path / floor().run_id / "result.json").write_text("{")
        with pytest.raises(DataError, match="result.json.*; all other results are on sqlite"):
            sync(tmp_path)
        assert len(runs_of(client_of(tracking_uri(tmp_path)), "gbench/pbe_prototypes/e_form")) == 1

    def test_an_experiment_that_somebody_deleted_is_not_made_behind_their_back(self, tmp_path: Path) -> None:
        run_spec(floor(), tmp_path)
        client = client_of(track(tmp_path / floor().run_id).uri)
        experiment = client.get_experiment_by_name("gbench/pbe_prototypes/e_form")
        assert experiment is not None
        client.delete_experiment(experiment.experiment_id)
        with pytest.raises(TrackingError, match="was deleted.*bring it back with `mlflow experiments restore"):
            sync(tmp_path)


def test_a_run_that_was_made_anew_is_sent_anew(tmp_path: Path) -> None:
    result = gbench.run("dummy", split="formula", results=tmp_path)
    folder = tmp_path / result.run_id
    write_result(folder, result.model_copy(update={"status": "error", "metrics": {}, "created": "2020-01-01"}))
    failed = track(folder)
    write_result(folder, result)
    assert tracked(folder) is None
    assert track(folder).run_id != failed.run_id


def test_targets_learned_together_are_runs_of_their_own_experiments(tmp_path: Path) -> None:
    for target, other in (("e_form", "gap"), ("gap", "e_form")):
        overrides = {**OVERRIDES, "training.epochs": 1}
        result = gbench.run(
            "cgcnn", split="formula", target=target, beside=[other], overrides=overrides, results=tmp_path
        )
        where = track(tmp_path / result.run_id)
        client = client_of(where.uri)
        run = client.get_run(where.run_id)
        assert client.get_experiment(run.info.experiment_id).name == f"gbench/pbe_prototypes/{target}"
        assert run.data.metrics["test_mae"] == pytest.approx(result.metrics["mae"].value)
        assert run.data.metrics["val_mae"] == pytest.approx(result.validation["mae"], rel=1e-3)
        assert run.data.params["beside"] == f"['{other}']"
        place = model_of(client, run).artifact_location
        check_model(Path(place.removeprefix("file://")), result.spec, tmp_path)


def test_a_damaged_note_of_tracking_counts_as_none(tmp_path: Path) -> None:
    result = gbench.run("dummy", split="formula", results=tmp_path)
    for text in ("{", "[]", '{"uri": "x"}'):
        (tmp_path / result.run_id / "mlflow.json").write_text(text)
        assert tracked(tmp_path / result.run_id) is None


def test_a_server_that_never_was_costs_nothing_but_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{probe.getsockname()[1]}")
    with pytest.raises(TrackingError, match="does not answer"):
        sync(tmp_path)


class TestBest:
    """Of results that differ in what is said of them."""

    @pytest.fixture
    def result(self, made: tuple[Path, Result]) -> Result:
        return made[1]

    @staticmethod
    def like(result: Result, mae: float, seed: int = 0, fold: int = 0, **config: object) -> Result:
        spec = result.spec
        changed = {"seed": seed, "config": {**spec.config, **config}}
        split = spec.split.model_copy(update={"fold": fold})
        new = RunSpec.model_validate(spec.model_copy(update={**changed, "split": split}).model_dump(mode="json"))
        # the test score says the opposite
        metric = result.metrics["mae"].model_copy(update={"value": 1 / mae})
        return result.model_copy(
            update={"spec": new, "run_id": new.run_id, "validation": {"mae": mae}, "metrics": {"mae": metric}}
        )

    def test_validation_decides(self, result: Result) -> None:
        good, bad = self.like(result, 0.1, hidden=16), self.like(result, 0.2, hidden=32)
        (best,) = best_models([bad, good])
        assert best.result == good
        assert best.name == "gbench.pbe_prototypes.e_form.formula"

    def test_settings_count_by_the_mean_over_their_runs(self, result: Result) -> None:
        lucky = [self.like(result, mae, seed=seed, hidden=16) for seed, mae in enumerate((0.1, 0.9))]
        steady = [self.like(result, mae, seed=seed, hidden=32) for seed, mae in enumerate((0.4, 0.3))]
        (best,) = best_models([*lucky, *steady])
        assert best.result == steady[1]
        assert best.mean == pytest.approx(0.35)
        assert best.runs == 2

    def test_an_easy_fold_alone_wins_nothing(self, result: Result) -> None:
        both = [self.like(result, mae, fold=fold, hidden=16) for fold, mae in enumerate((0.2, 0.6))]
        easy = self.like(result, 0.15, hidden=32)
        (best,) = best_models([*both, easy])
        assert best.result == both[0]

    def test_of_classes_the_larger_is_better(self, result: Result) -> None:
        scored = [
            self.like(result, 0.5, hidden=hidden).model_copy(update={"validation": {"mae": 0.1, "roc_auc": auc}})
            for hidden, auc in ((16, 0.7), (32, 0.9))
        ]
        (best,) = best_models(scored)
        assert best.result == scored[1]
        assert best.mean == pytest.approx(0.9)

    def test_other_parameters_of_a_split_are_another_task(self, result: Result) -> None:
        plain = self.like(result, 0.1)
        split = plain.spec.split.model_copy(update={"n_folds": 10})
        other = plain.model_copy(update={"spec": plain.spec.model_copy(update={"split": split})})
        names = [best.name for best in best_models([plain, other])]
        assert names[0] == "gbench.pbe_prototypes.e_form.formula"
        assert names[1].startswith("gbench.pbe_prototypes.e_form.formula-")

    def test_runs_that_failed_are_out(self, result: Result) -> None:
        assert best_models([result.model_copy(update={"status": "error"})]) == []


class TestSaved:
    def test_weights_come_back(self, made: tuple[Path, Result]) -> None:
        results, result = made
        fitted = load_fitted(results / result.run_id)
        prepared = prepare(result.spec, Observer())
        task = make_task(prepared, network_class(result.spec))
        predictions = predict(fitted, task, prepared.split.test, 64)
        written = read_predictions(results / result.run_id).query("part == 'test'")["prediction"]
        assert_allclose(predictions, written, rtol=1e-5)

    @pytest.mark.parametrize(
        ("file", "content", "said"),
        [
            ("weights.safetensors", b"pickle", "not the weights of cgcnn as spec.json describes it"),
            ("weights.safetensors", None, "not the weights of cgcnn"),
            ("spec.json", None, "a saved model is spec.json and weights.safetensors"),
        ],
    )
    def test_damaged_files_are_refused(
        self, made: tuple[Path, Result], file: str, content: bytes | None, said: str, tmp_path: Path
    ) -> None:
        results, result = made
        for name in ("spec.json", "weights.safetensors"):
            (tmp_path / name).write_bytes((results / result.run_id / name).read_bytes())
        (tmp_path / file).unlink()
        if content is not None:
            (tmp_path / file).write_bytes(content)
        with pytest.raises(DataError, match=said):
            load_fitted(tmp_path)

    def test_weights_of_other_settings_are_refused(self, made: tuple[Path, Result], tmp_path: Path) -> None:
        results, result = made
        (tmp_path / "weights.safetensors").write_bytes((results / result.run_id / "weights.safetensors").read_bytes())
        other = result.spec.model_copy(update={"config": {**result.spec.config, "hidden": 9}})
        (tmp_path / "spec.json").write_text(other.model_dump_json())
        with pytest.raises(DataError, match="not the weights of cgcnn"):
            load_fitted(tmp_path)
