"""A sweep in MLflow: a parent run for the suite, below it a child for each run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sweeping import RAISES, KeptPool, odd_model, results_in, write_suite

from gbench.cli.app import app
from gbench.tracking.mirror import PARENT
from gbench.tracking.server import tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run


# MLflow's own
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.xdist_group("mlflow"),
]


@pytest.fixture(scope="module", autouse=True)
def _one_worker() -> Iterator[None]:
    pool = KeptPool(1, threads=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gbench.sweep.local.local", lambda *_: pool)
        yield
    pool.close()


def in_mlflow(results: Path) -> "tuple[Run, list[Run]]":
    """The parent run of the suite, and its children."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri(results))
    experiment = client.get_experiment_by_name("gbench/suites/suite")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if PARENT not in run.data.tags)
    children = [run for run in runs if run is not parent]
    assert {run.data.tags[PARENT] for run in children} <= {parent.info.run_id}
    return parent, children


def test_a_suite_is_a_parent_run_with_a_child_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raises = odd_model(tmp_path, "raises", RAISES)
    suite, results = write_suite(tmp_path, vary={"model": ["dummy", "knn", raises]}), tmp_path / "r"
    command = ["suite", "run", str(suite), "--results", str(results)]
    app([*command, "--only", "model=dummy"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "MLflow  suite suite, 1 runs" in told, told
    parent, children = in_mlflow(results)
    assert parent.info.status == "KILLED", "two runs are missing"
    assert [run.info.status for run in children] == ["FINISHED"]
    assert app(command, standalone_mode=False) == 1
    parent, children = in_mlflow(results)
    assert parent.info.status == "FAILED", "one run failed"
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED", "FINISHED"]
    scores = {round(run.data.metrics["test_mae"], 9) for run in children if run.info.status == "FINISHED"}
    found = results_in(results)
    assert scores == {round(found[model].metrics["mae"].value, 9) for model in ("dummy", "knn")}


def test_without_tracking_nothing_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite, results = write_suite(tmp_path, vary={"model": ["dummy"]}), tmp_path / "r"
    app(["suite", "run", str(suite), "--results", str(results), "--no-tracking"], standalone_mode=False)
    assert "MLflow" not in capsys.readouterr().out
    assert not (results / "mlflow.db").exists()


def test_a_server_that_is_away_fails_no_suite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    suite, results = write_suite(tmp_path, vary={"model": ["dummy"]}), tmp_path / "r"
    assert not app(["suite", "run", str(suite), "--results", str(results)], standalone_mode=False)
    told = capsys.readouterr().out
    assert "not tracked" in told
    assert "gbench track sync" in told
    assert results_in(results)["dummy"].status == "ok"
