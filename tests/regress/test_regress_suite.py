"""A small suite, recorded and run again: unchanged, and with faults planted."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from benchmarks.regression_planted import PLANTED, SUITE, other_rounding
from gbench.errors import DataError, SpecError, TrainingError
from gbench.regress.reference import ERRORS_FILE, REFERENCE_FILE, read_reference
from gbench.regress.run import Report, record_suite, run_suite
from gbench.regress.suite import TrainingCase, read_suite
from gbench.regress.trainings import Trained, only_decayed

SMALL = {
    "alpha": 0.05,
    "trainings": [
        {
            "name": "charges",
            "model": "cgcnn",
            "target": "hirshfeld",
            "split": "random",
            "overrides": {"model.hidden": 16, "model.layers": 2, "training.epochs": 20},
            "seeds": 3,
        }
    ],
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    record_suite(path)
    return path


def failed(report: Report) -> set[str]:
    return {check.kind for check in report.failed}


def test_an_unchanged_rerun_is_equal_to_the_last_digit(suite: Path) -> None:
    report = run_suite(suite)
    assert report.ok
    assert [check.kind for check in report.checks] == ["graphs", "weights", "errors"]
    assert "+0.0%, p = 1" in report.checks[2].found


def test_another_machines_rounding_is_no_regression(suite: Path) -> None:
    with other_rounding(1):
        assert run_suite(suite).ok


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("no target scaling", {"errors"}),
        # a graph's hash knows nothing of what collation does: batches have one of their own, and errors rise
        ("shuffled edges", {"graphs", "errors"}),
        ("dropped self-images", {"graphs"}),
        ("frozen layer", {"weights"}),
    ],
)
def test_planted_faults_are_found(suite: Path, fault: str, found: set[str]) -> None:
    planted: Callable[[], AbstractContextManager[None]] = PLANTED[fault]
    with planted():
        report = run_suite(suite)
    assert found <= failed(report)
    assert all(check.why for check in report.failed)


def test_a_training_that_breaks_down_is_a_regression(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(case: TrainingCase) -> Trained:
        raise TrainingError("the loss is nan at step 7")

    monkeypatch.setattr("gbench.regress.run.train", diverge)
    (check,) = run_suite(suite).checks
    assert (check.kind, check.ok, check.why) == ("errors", False, "the loss is nan at step 7")


def test_weights_that_only_decay_have_not_moved() -> None:
    weights = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    assert only_decayed(weights, weights * 0.9)
    assert not only_decayed(weights, weights * 0.9 + 1e-3 * torch.ones(32))
    assert only_decayed(torch.zeros(3), torch.zeros(3))
    assert not only_decayed(torch.zeros(3), torch.full((3,), 1e-9))
    assert not only_decayed(torch.ones(1), torch.full((1,), 0.9))


def test_the_stored_reference_belongs_to_the_suite_in_the_repository() -> None:
    reference = read_reference(SUITE, read_suite(SUITE))
    for name, stored in reference.record.trainings.items():
        mae = reference.errors_of(name).groupby("seed")["error"].mean()
        assert mae.tolist() == pytest.approx(list(stored.mae), rel=1e-5)


def copy_of(suite: Path, folder: Path, **changes: object) -> Path:
    path = folder / suite.name
    path.write_text(yaml.safe_dump(SMALL | changes))
    place = path.with_suffix("")
    place.mkdir()
    for name in (REFERENCE_FILE, ERRORS_FILE):
        (place / name).write_bytes((suite.with_suffix("") / name).read_bytes())
    return path


class TestMistakes:
    def test_other_settings_than_the_references(self, suite: Path, tmp_path: Path) -> None:
        path = copy_of(suite, tmp_path, trainings=[SMALL["trainings"][0] | {"seeds": 2}])  # type: ignore[index]
        with pytest.raises(SpecError, match=r"other settings .* 'charges'; `gbench regress record .*small.yaml`"):
            run_suite(path)

    def test_a_training_that_was_never_recorded(self, suite: Path, tmp_path: Path) -> None:
        path = copy_of(suite, tmp_path, trainings=[SMALL["trainings"][0] | {"name": "new"}])  # type: ignore[index]
        with pytest.raises(SpecError, match="the reference lacks the training 'new'"):
            run_suite(path)

    def test_a_speed_that_was_never_recorded(self, suite: Path, tmp_path: Path) -> None:
        path = copy_of(suite, tmp_path, speed=[{"work": "collate", "slower_by": 0.1}])
        with pytest.raises(SpecError, match="the reference lacks the speed of 'collate'"):
            run_suite(path)

    def test_no_reference(self, tmp_path: Path) -> None:
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
        with pytest.raises(SpecError, match="no stored reference; `gbench regress record"):
            run_suite(tmp_path / "small.yaml")

    @pytest.mark.parametrize("name", [REFERENCE_FILE, ERRORS_FILE])
    def test_a_damaged_reference(self, suite: Path, tmp_path: Path, name: str) -> None:
        path = copy_of(suite, tmp_path)
        (path.with_suffix("") / name).write_text("{half")
        with pytest.raises(DataError, match=rf"{name}.*`gbench regress record"):
            run_suite(path)

    def test_a_test_part_that_is_another(self, suite: Path, tmp_path: Path) -> None:
        path = copy_of(suite, tmp_path)
        stored = path.with_suffix("") / ERRORS_FILE
        pd.read_parquet(stored).iloc[1:].to_parquet(stored)
        report = run_suite(path)
        assert "the test part is another" in report.failed[0].why

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("trainings: [", "not valid YAML"),
            ("- 1", "not a suite"),
            ("{}", "holds nothing to check"),
            ("speed: [{work: collate, slower_by: 1}, {work: collate, slower_by: 2}]", "'collate' is there twice"),
            ("speed: [{work: colate, slower_by: 1}]", "speed.0.work"),
            ("trianings: []", "did you mean 'trainings'"),
        ],
    )
    def test_a_suite_that_is_none(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(SpecError, match=message):
            read_suite(tmp_path / "s.yaml")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="cannot be read"):
            read_suite(tmp_path / "none.yaml")
