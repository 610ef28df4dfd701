"""Sweeps through submitit, with its executor for one machine in Slurm's place."""

import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from sweeping import DIES, RAISES, WAITS, began, odd_model, results_in, sweep, wait_until, write_suite

from gbench.errors import SweepError
from gbench.sweep.on_slurm import LOGS, Element, OnSlurm
from gbench.sweep.sweep import Stop

submitit = pytest.importorskip("submitit", reason="submitit is not installed (pip install -e '.[slurm]')")
LOCAL = {"cluster": "local"}


def slurm(tmp_path: Path, **changes: object) -> OnSlurm:
    return OnSlurm(tmp_path / "r", 2, parameters={**LOCAL, **changes})


def test_a_job_array_leaves_the_results_and_the_failures(tmp_path: Path) -> None:
    models = ["dummy", odd_model(tmp_path, "dies", DIES), odd_model(tmp_path, "raises", RAISES)]
    outcomes = sweep(slurm(tmp_path), tmp_path / "r", write_suite(tmp_path, vary={"model": models}))
    assert {outcome.kind for outcome in outcomes} == {"done", "lost", "failed"}
    found = results_in(tmp_path / "r")
    assert {model: result.status for model, result in found.items()} == {
        "dummy": "ok", "dies": "error", "raises": "error",
    }  # fmt: skip
    assert found["dies"].error is not None
    assert f"{LOGS}/" in found["dies"].error.message
    # a second sweep reads what the first one left
    (tmp_path / "spare").touch()
    again = sweep(slurm(tmp_path), tmp_path / "r", write_suite(tmp_path, vary={"model": models[:2]}))
    assert [outcome.kind for outcome in again] == ["done", "done"]


def test_a_stopped_sweep_cancels_its_jobs(tmp_path: Path) -> None:
    model, stop = odd_model(tmp_path, "waits", WAITS), Stop()

    def ask() -> None:
        wait_until(lambda: began(tmp_path))
        stop.asked = True

    thread = Thread(target=ask)
    thread.start()
    assert sweep(slurm(tmp_path), tmp_path / "r", write_suite(tmp_path, base={"model": model}), stop=stop) == []
    thread.join()
    (tmp_path / "spare").touch()


def test_a_job_that_must_make_room_is_queued_again() -> None:
    queued = Element(2).checkpoint("a job")
    assert (queued.function, queued.args) == (Element(2), ("a job",))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", str(tmp_path))
    yield tmp_path


def test_where_there_is_no_slurm_it_says_so(nowhere: Path) -> None:
    with pytest.raises(SweepError, match="there is no Slurm here"):
        sweep(OnSlurm(nowhere / "r"), nowhere / "r", write_suite(nowhere, base={"model": "dummy"}))


def test_parameters_that_submitit_does_not_know_are_named(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, base={"model": "dummy"})
    with pytest.raises(SweepError, match="--slurm: submitit does not take these parameters: .*tiemout_min"):
        sweep(slurm(tmp_path, tiemout_min=3), tmp_path / "r", suite)


def test_without_submitit_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SweepError, match=r"pip install 'gbench\[slurm\]'"):
        sweep(slurm(tmp_path), tmp_path / "r", write_suite(tmp_path, base={"model": "dummy"}))
