"""Results become published ones only if they hold."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import gbench
from gbench.cli.app import app
from gbench.dataset import Dataset
from gbench.errors import DataError
from gbench.result import read_result
from gbench.site.add import add_results, check_results
from gbench.site.runs import read_runs


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for fold in (0, 1):
        gbench.run("dummy", split="formula", fold=fold, results=folder)
    gbench.run("cgcnn", split="formula", overrides={"training.epochs": 1, "model.hidden": 8}, results=folder)
    return folder


def test_they_are_copied_without_weights_and_once(results: Path, tmp_path: Path) -> None:
    made = add_results(results, tmp_path)
    assert (len(made.added), made.there, made.refused) == (3, [], {})
    assert {run.run_id for run in read_runs([tmp_path])} == set(made.added)
    (network,) = (tmp_path / "pbe_prototypes" / "cgcnn").iterdir()
    assert {path.name for path in network.iterdir()} == {"result.json", "predictions.parquet", "history.json"}
    assert read_result(network) == read_result(results / network.name)
    again = add_results(results, tmp_path)
    assert (again.added, sorted(again.there)) == ([], sorted(made.added))


def test_a_score_that_is_not_that_of_the_predictions_is_refused(tmp_path: Path) -> None:
    made = gbench.run("dummy", split="formula", results=tmp_path / "r")
    path = tmp_path / "r" / made.run_id / "result.json"
    raw = json.loads(path.read_text())
    raw["metrics"]["mae"]["value"] /= 2
    path.write_text(json.dumps(raw))
    told = add_results(tmp_path / "r", tmp_path / "to")
    assert "but its predictions give" in told.refused[made.run_id]
    assert not (tmp_path / "to").exists()


def test_predictions_of_unknown_ids_are_refused(tmp_path: Path) -> None:
    made = gbench.run("dummy", split="formula", results=tmp_path / "r")
    path = tmp_path / "r" / made.run_id / "predictions.parquet"
    pd.read_parquet(path).assign(id="nowhere").to_parquet(path)
    told = add_results(tmp_path / "r", tmp_path / "to")
    assert "ids or sites that the dataset does not have" in told.refused[made.run_id]


def test_failed_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(gbench.errors.GraphError):
        gbench.run("cgcnn", results=tmp_path / "r", overrides={"graph.cutoff": 1.0, "graph.on_short": "error"})
    assert set(add_results(tmp_path / "r", tmp_path / "to").refused.values()) == {"the run failed"}


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no such folder"), ("", "holds no result")])
def test_a_folder_without_results_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        add_results(tmp_path / name)


def test_published_results_hold(phonons: Dataset) -> None:
    """Those of the repository, whichever they are, where the data are at hand."""
    found = check_results()
    assert found.results > 0
    assert found.problems == {}


def test_what_does_not_hold_is_named_and_fails(results: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["leaderboard", "check", str(results)]).output == "3 of 3 results hold\n"
    shutil.copytree(results, tmp_path / "r")
    path = sorted((tmp_path / "r").glob("*/result.json"))[0]
    raw = json.loads(path.read_text())
    raw["metrics"]["mae"]["value"] /= 2
    path.write_text(json.dumps(raw))
    told = CliRunner().invoke(app, ["leaderboard", "check", str(tmp_path / "r")])
    assert told.exit_code == 1
    assert "but its predictions give" in told.output
    assert "2 of 3 results hold" in told.output
    machine = CliRunner().invoke(app, ["leaderboard", "check", str(tmp_path / "r"), "--json"])
    assert list(json.loads(machine.output)["problems"]) == [path.parent.name]
