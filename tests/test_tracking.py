"""MLflow holds what the result files hold; losing it loses nothing."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import gbench
from gbench.result import Result, read_history, write_result
from gbench.tracking import TrackingError, track, tracked, tracking_uri, untracked

pytestmark = [
    # what MLflow and SQLAlchemy leave to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.xdist_group("mlflow"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    results = tmp_path_factory.mktemp("results")
    return results, gbench.run("cgcnn", overrides={"training.epochs": 3, "model.hidden": 8}, results=results)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real ``mlflow server`` with a SQLite store."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/db", "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_up(uri, process, folder / "log")
            yield uri
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)


def _wait_until_up(uri: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def check(uri: str, run_id: str, result: Result, results: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
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
    names = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert names == {"result.json", "predictions.parquet", "history.json"}
    local = client.download_artifacts(run_id, "result.json")
    assert json.loads(Path(local).read_text())["run_id"] == result.run_id


def test_a_sqlite_file_is_the_default(made: tuple[Path, Result]) -> None:
    results, result = made
    where = track(results / result.run_id)
    assert where.uri == tracking_uri(results) == f"sqlite:///{results}/mlflow.db"
    check(where.uri, where.run_id, result, results)
    assert track(results / result.run_id) == where


def test_a_real_server_gets_the_same(made: tuple[Path, Result], server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results, result = made
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    where = track(results / result.run_id)
    assert where.uri == server
    check(server, where.run_id, result, results)


def test_a_run_that_was_made_anew_is_sent_anew(tmp_path: Path) -> None:
    result = gbench.run("dummy", results=tmp_path)
    folder = tmp_path / result.run_id
    write_result(folder, result.model_copy(update={"status": "error", "metrics": {}, "created": "2020-01-01"}))
    failed = track(folder)
    write_result(folder, result)
    assert untracked(tmp_path) == [folder]
    assert track(folder).run_id != failed.run_id


def test_targets_learned_together_are_runs_of_their_own_experiments(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    overrides = {"training.epochs": 1, "model.hidden": 8}
    for target, other in (("e_form", "gap"), ("gap", "e_form")):
        result = gbench.run("cgcnn", target=target, beside=[other], overrides=overrides, results=tmp_path)
        where = track(tmp_path / result.run_id)
        client = MlflowClient(tracking_uri=where.uri)
        run = client.get_run(where.run_id)
        assert client.get_experiment(run.info.experiment_id).name == f"gbench/pbe_prototypes/{target}"
        assert run.data.metrics["test_mae"] == pytest.approx(result.metrics["mae"].value)
        assert run.data.metrics["val_mae"] == pytest.approx(result.validation["mae"], rel=1e-3)
        assert run.data.params["beside"] == f"['{other}']"


def test_a_damaged_note_of_tracking_counts_as_none(tmp_path: Path) -> None:
    result = gbench.run("dummy", results=tmp_path)
    for text in ("{", "[]", '{"uri": "x"}'):
        (tmp_path / result.run_id / "mlflow.json").write_text(text)
        assert tracked(tmp_path / result.run_id) is None


def test_a_server_that_is_down_costs_nothing_but_a_sentence(
    made: tuple[Path, Result], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, _ = made
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead)
    other = gbench.run("dummy", results=results)
    with pytest.raises(TrackingError, match=r"does not answer .*the result is safe in .*`gbench track sync --results"):
        track(results / other.run_id)
    assert tracked(results / other.run_id) is None
    assert results / other.run_id in untracked(results)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for folder in untracked(results):
        track(folder)
    assert untracked(results) == []
