"""Sweeps in processes on this machine, and what goes wrong there."""

import json
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import filelock
import pytest
from sweeping import (
    DIES,
    RAISES,
    SEGFAULT,
    WAITS,
    Heard,
    KeptPool,
    began,
    endless_model,
    kill,
    odd_model,
    results_in,
    start,
    sweep,
    wait_until,
    write_suite,
)  # fmt: skip

from gbench.choices import Choices, resolve
from gbench.cli.app import app
from gbench.errors import StorageError, SweepError
from gbench.result import read_predictions
from gbench.runner import CHECKPOINT_FILE, LOCK_FILE, run_spec
from gbench.sweep.local import local
from gbench.sweep.sweep import Stop
from gbench.sweep.work import Job

FLOORS: dict[str, Any] = {"vary": {"model": ["dummy", "knn"]}}
DUMMY = Choices(model="dummy", split="formula")


@pytest.fixture(scope="module")
def pool() -> Iterator[KeptPool]:
    """One worker for all sweeps, which takes seconds to start."""
    made = KeptPool(1, threads=2)
    yield made
    made.close()


class TestCommand:
    @pytest.fixture
    def gbench(self, pool: KeptPool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Command":
        monkeypatch.setattr("gbench.sweep.local.local", lambda *_: pool)
        return Command(capsys)

    def test_it_runs_what_is_not_done_and_shows_the_scores(self, gbench: "Command", tmp_path: Path) -> None:
        suite, results = write_suite(tmp_path, **FLOORS), tmp_path / "r"
        first = gbench(suite, "--results", results)
        for fact in (
            f"2 trainings: 2 to run   results in {results}",
            "2/2   knn   pbe_prototypes / e_form   formula fold 0, seed 0   MAE 0.4604 eV/atom",
            "pbe_prototypes / e_form, eV/atom, formula split",
            "2 of 2 runs have a result",
        ):
            assert fact in first
        before = {model: result.created for model, result in results_in(results).items()}
        shutil.rmtree(results / results_in(results)["knn"].run_id)
        again = gbench(suite, "--results", results)
        assert "2 trainings: 1 done, 1 to run" in again
        assert "1/1   knn" in again
        assert results_in(results)["dummy"].created == before["dummy"]

    def test_a_dry_run_counts_and_changes_nothing(self, gbench: "Command", tmp_path: Path) -> None:
        suite = write_suite(tmp_path, vary={"model": ["trees", "dummy"], "fold": "all"})
        shown = gbench(suite, "--results", tmp_path / "r", "--dry-run")
        assert "10 trainings: 10 to run" in shown
        assert "of training by past results, about" in shown
        assert not (tmp_path / "r").exists()
        plan = json.loads(gbench(suite, "--results", tmp_path / "r", "--dry-run", "--json"))
        assert plan["left"] == len(plan["trainings"]) == 10
        assert {one["state"] for one in plan["trainings"]} == {"new"}
        assert plan["past_seconds_of_left"] > 0

    def test_json_holds_every_run_and_the_means(self, gbench: "Command", tmp_path: Path) -> None:
        suite = write_suite(tmp_path, vary={"model": ["dummy", odd_model(tmp_path, "raises", RAISES)], "fold": [0, 1]})
        told = json.loads(gbench(suite, "--results", tmp_path / "r", "--json", code=1))
        assert [one["status"] for one in told["runs"]] == ["ok", "ok", "error", "error"]
        assert told["runs"][2]["error"] == "ZeroDivisionError: no such luck"
        (row,) = told["rows"]
        assert (row["model"], row["folds"], row["seeds"]) == ("dummy", [0, 1], 1)
        values = [one["metrics"]["mae"] for one in told["runs"][:2]]
        assert row["mae"] == pytest.approx(sum(values) / 2)

    def test_failures_are_listed_and_tried_again(self, gbench: "Command", tmp_path: Path) -> None:
        dies = odd_model(tmp_path, "dies", DIES)
        suite, results = write_suite(tmp_path, vary={"model": [dies, "dummy"]}), tmp_path / "r"
        shown = gbench(suite, "--results", results, code=1)
        assert "1 trainings failed; the same command tries them again" in shown
        assert "was killed (SIGKILL); the system does that when memory runs out" in shown
        (tmp_path / "spare").touch()
        again = gbench(suite, "--results", results, "--only", f"model={dies}")
        assert "1 failed, to be tried again" in again
        assert results_in(results)["dies"].status == "ok"

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--executor", "dask"], "no executor 'dask'"),
            (["--gpus", "1"], "--gpus is for --executor ray and slurm"),
            (["--slurm", "timeout_min=3"], "--slurm is for --executor slurm"),
            (["--executor", "slurm", "--slurm", "partition"], "write key=value"),
            (["--only", "model=x"], "no run of the suite is so"),
        ],
    )
    def test_flags_that_do_not_fit_are_named(self, flags: list[str], message: str) -> None:
        with pytest.raises(Exception, match=message):
            app(["suite", "run", "smoke", *flags], standalone_mode=False)

    def test_suites_are_listed(self, gbench: "Command") -> None:
        assert "smoke" in gbench(command="list")
        assert {one["name"] for one in json.loads(gbench("--json", command="list"))} >= {"main", "smoke"}


class Command:
    """``gbench suite`` in this process; what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, command: str = "run", code: int = 0) -> str:
        words = [*map(str, arguments), *(["--no-tracking"] if command == "run" else [])]
        assert (app(["suite", command, *words], standalone_mode=False) or 0) == code
        return self.capsys.readouterr().out


def test_a_sweep_leaves_what_single_runs_leave(pool: KeptPool, tmp_path: Path) -> None:
    base = {"model": "cgcnn", "training.epochs": 1, "model.hidden": 8}
    outcomes = sweep(pool, tmp_path / "r", write_suite(tmp_path, base=base, vary={"seed": [0, 1, 2]}))
    assert [outcome.kind for outcome in outcomes] == ["done"] * 3
    overrides = {"training.epochs": 1, "model.hidden": 8}
    spec = resolve(Choices(model="cgcnn", split="formula", seed=1, overrides=overrides))
    run_spec(spec, tmp_path / "alone")
    swept, alone = (read_predictions(tmp_path / place / spec.run_id)["prediction"] for place in ("r", "alone"))
    # threads differ, and with them the order of sums
    assert swept.to_numpy() == pytest.approx(alone.to_numpy(), abs=1e-4)


def test_targets_learned_together_are_all_written(pool: KeptPool, tmp_path: Path) -> None:
    base = {"model": "cgcnn", "target": "e_form,gap", "training.epochs": 1, "model.hidden": 8}
    (outcome,) = sweep(pool, tmp_path / "r", write_suite(tmp_path, base=base))
    assert outcome.kind == "done"
    assert len(list((tmp_path / "r").glob("*/result.json"))) == 2


def test_a_worker_that_dies_loses_its_own_training_alone(pool: KeptPool, tmp_path: Path) -> None:
    dies, crashes = odd_model(tmp_path, "dies", DIES), odd_model(tmp_path, "crashes", SEGFAULT)
    suite = write_suite(tmp_path, vary={"model": [dies, "dummy", crashes, "knn"]})
    outcomes = sweep(pool, tmp_path / "r", suite)
    assert [outcome.kind for outcome in outcomes] == ["lost", "done", "lost", "done"]
    found = results_in(tmp_path / "r")
    assert {model: result.status for model, result in found.items()} == {
        "dies": "error", "crashes": "error", "dummy": "ok", "knn": "ok",
    }  # fmt: skip
    assert found["crashes"].error is not None
    assert found["crashes"].error.kind == "WorkerLostError"
    assert "SIGSEGV" in found["crashes"].error.message
    assert "stack smashed" in found["crashes"].error.message


def test_a_stopped_sweep_leaves_checkpoints(pool: KeptPool, tmp_path: Path) -> None:
    base = {"model": endless_model(tmp_path), "model.hidden": 8, "training.epochs": 100_000}
    suite, stop = write_suite(tmp_path, base=base, vary={"seed": [0, 1]}), Stop()

    def ask() -> None:
        wait_until(lambda: began(tmp_path))
        stop.asked = True

    thread = Thread(target=ask)
    thread.start()
    outcomes = sweep(pool, tmp_path / "r", suite, stop=stop)
    thread.join()
    pool.interrupted = False
    assert outcomes == []
    assert len(list((tmp_path / "r").glob(f"*/{CHECKPOINT_FILE}"))) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_signals_stop_it_and_it_says_how_to_go_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    base = {"model": endless_model(tmp_path), "model.hidden": 8, "training.epochs": 100_000}
    suite, results = write_suite(tmp_path, base=base), tmp_path / "r"
    process = start(suite, "--results", results, "--workers", "1", "--threads", "2")
    wait_until(lambda: began(tmp_path))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"Go on with: gbench suite run {suite} --results {results} --workers 1 --threads 2" in said
    assert len(list(results.glob(f"*/{CHECKPOINT_FILE}"))) == 1
    # no worker is left behind
    wait_until(lambda: not any(_alive(process) for process in began(tmp_path)))


def test_two_sweeps_on_one_folder_train_each_run_once(pool: KeptPool, tmp_path: Path) -> None:
    slowly = "import time, uuid; time.sleep(0.2); (here / f'fit-{uuid.uuid4()}').touch()"
    model = odd_model(tmp_path, "slow", slowly)
    suite = write_suite(tmp_path, base={"model": model}, vary={"seed": list(range(12)), "fold": [0]})
    other = start(suite, "--results", tmp_path / "r", "--workers", "1")
    wait_until(lambda: list(tmp_path.glob("fit-*")))
    outcomes = sweep(pool, tmp_path / "r", suite)
    out, said = other.communicate(timeout=120)
    assert other.returncode == 0, said
    assert [outcome.kind for outcome in outcomes] == ["done"] * 12
    assert "12 of 12 runs have a result" in out
    assert len(list(tmp_path.glob("fit-*"))) == 12


def test_a_run_of_another_process_is_waited_for(pool: KeptPool, tmp_path: Path) -> None:
    results, spec, heard = tmp_path / "r", resolve(DUMMY), Heard()
    (results / spec.run_id).mkdir(parents=True)
    lock = filelock.FileLock(results / spec.run_id / LOCK_FILE, thread_local=False)
    lock.acquire()

    def release() -> None:
        wait_until(lambda: heard.waited)
        assert not (results / spec.run_id / "result.json").exists()
        lock.release()

    thread = Thread(target=release)
    thread.start()
    outcomes = sweep(pool, results, write_suite(tmp_path, **FLOORS), heard)
    thread.join()
    assert heard.waited == [spec.run_id]
    assert {outcome.kind for outcome in outcomes} == {"done"}
    assert results_in(results)["dummy"].status == "ok"


def test_a_sweep_that_is_killed_leaves_its_folder_usable(pool: KeptPool, tmp_path: Path) -> None:
    model = odd_model(tmp_path, "waits", WAITS)
    suite, results = write_suite(tmp_path, vary={"model": [model, "dummy"]}), tmp_path / "r"
    process = start(suite, "--results", results, "--workers", "1")
    wait_until(lambda: began(tmp_path))
    process.kill()
    process.communicate()
    # the worker is an orphan; it ends its run, or is killed in the middle of it
    kill(began(tmp_path))
    (tmp_path / "spare").touch()
    assert [outcome.kind for outcome in sweep(pool, results, suite)] == ["done", "done"]


def test_results_that_cannot_be_written_are_named_at_once(pool: KeptPool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    suite = write_suite(tmp_path, **FLOORS)
    # a folder of the kernel is read-only for everyone
    for folder, why in ((tmp_path / "file", "File exists"), (Path("/sys/kernel/results"), "cannot write")):
        with pytest.raises(StorageError, match=f"{folder}: cannot write .*choose another folder") as caught:
            sweep(pool, folder, suite)
        assert why in str(caught.value)


def test_a_disk_that_fills_up_ends_it_and_loses_nothing(pool: KeptPool, tmp_path: Path) -> None:
    """Files of the worker may not grow beyond 20 kB: weights do not fit, what floors leave does."""
    sweep(pool, tmp_path / "r", write_suite(tmp_path, base={"model": "dummy"}))
    networks = write_suite(tmp_path, base={"model": "cgcnn", "training.epochs": 1}, vary={"seed": [0, 1]})
    process = pool.workers[0].process.pid
    before = resource.prlimit(process, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        with pytest.raises(StorageError, match=r"cannot write \(File too large\)"):
            sweep(pool, tmp_path / "r", networks)
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    assert results_in(tmp_path / "r")["dummy"].status == "ok"
    assert not list((tmp_path / "r").glob("*/weights.safetensors"))


def test_a_worker_uses_its_share_of_the_cores(pool: KeptPool, tmp_path: Path) -> None:
    tells = "import torch; from gbench.cores import cores; raise ValueError((torch.get_num_threads(), cores()))"
    (outcome,) = sweep(pool, tmp_path / "r", write_suite(tmp_path, base={"model": odd_model(tmp_path, "tells", tells)}))
    assert outcome.message == "ValueError: (2, 2)"


@pytest.mark.parametrize(
    ("there", "workers", "threads", "jobs", "expected"),
    [
        (8, None, None, 100, (8, 1)),
        (8, None, None, 3, (3, 2)),
        (8, None, 2, 100, (4, 2)),
        (8, 2, None, 100, (2, 4)),
        (1, None, None, 5, (1, 1)),
        (2, None, None, 0, (1, 2)),
    ],
)
def test_no_core_is_used_twice(
    there: int, workers: int | None, threads: int | None, jobs: int, expected: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("gbench.sweep.local.cores", lambda: there)
    made = local(workers, threads, jobs)
    assert (made.slots, made.threads) == expected


def test_more_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbench.sweep.local.cores", lambda: 4)
    with pytest.raises(SweepError, match="3 workers of 2 threads need 6 cores, but there are 4; lower --workers"):
        local(3, 2, 10)


def test_a_job_survives_being_written(tmp_path: Path) -> None:
    job = Job(resolve(Choices(model="cgcnn", beside=("gap",), split="cluster", fold=2)), tmp_path, True)
    assert Job.of(job.text()) == job


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
