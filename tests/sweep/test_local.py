"""Sweeps in processes on this machine, and what goes wrong there."""

import json
import os
import shutil
import signal
from pathlib import Path

import filelock
import pytest
from sweeping import (
    DIES,
    MAIN,
    RAISES,
    SEGFAULT,
    WAITS,
    began,
    endless_model,
    kill,
    odd_model,
    results_in,
    run,
    start,
    wait_until,
    write_suite,
)

from gbench.choices import Choices, resolve
from gbench.errors import SweepError
from gbench.result import read_predictions
from gbench.runner import CHECKPOINT_FILE, LOCK_FILE, run_spec
from gbench.sweep.local import local
from gbench.sweep.work import Job

FLOORS = {"vary": {"model": ["dummy", "knn"]}}


def test_a_sweep_leaves_what_single_runs_leave(tmp_path: Path) -> None:
    base = {"training.epochs": 1, "model.hidden": 8}
    suite = write_suite(tmp_path, base=base, vary={"model": ["cgcnn"], "seed": [0, 1, 2]})
    done = run(suite, "--results", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "3 trainings: 3 to run" in done.stdout
    assert "3/3   cgcnn   pbe_prototypes / e_form   formula fold 0, seed" in done.stdout
    assert "3 of 3 runs have a result" in done.stdout
    spec = resolve(Choices(model="cgcnn", split="formula", seed=1, overrides=base))
    alone = run_spec(spec, tmp_path / "alone")
    swept = read_predictions(tmp_path / "r" / spec.run_id)
    assert swept["prediction"].to_numpy() == pytest.approx(
        read_predictions(tmp_path / "alone" / alone.run_id)["prediction"].to_numpy(), abs=1e-4
    )


def test_what_is_done_is_not_repeated(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, **FLOORS)
    assert run(suite, "--results", tmp_path / "r").returncode == 0
    before = {model: result.created for model, result in results_in(tmp_path / "r").items()}
    shutil.rmtree(tmp_path / "r" / results_in(tmp_path / "r")["knn"].run_id)
    again = run(suite, "--results", tmp_path / "r")
    assert "2 trainings: 1 done, 1 to run" in again.stdout
    assert "1/1   knn" in again.stdout
    assert results_in(tmp_path / "r")["dummy"].created == before["dummy"]
    assert run(suite, "--results", tmp_path / "r", "--json").returncode == 0


def test_a_dry_run_counts_and_changes_nothing(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, vary={"model": ["trees", "dummy"], "fold": "all"})
    shown = run(suite, "--results", tmp_path / "r", "--dry-run")
    assert shown.returncode == 0
    assert "10 trainings: 10 to run" in shown.stdout
    assert "of training by past results, about" in shown.stdout
    assert not (tmp_path / "r").exists()
    plan = json.loads(run(suite, "--results", tmp_path / "r", "--dry-run", "--json").stdout)
    assert plan["left"] == len(plan["trainings"]) == 10
    assert {one["state"] for one in plan["trainings"]} == {"new"}
    assert plan["past_seconds_of_left"] > 0


def test_json_holds_every_run_and_the_means(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, vary={"model": ["dummy", odd_model(tmp_path, "raises", RAISES)], "fold": [0, 1]})
    done = run(suite, "--results", tmp_path / "r", "--json")
    assert done.returncode == 1
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert [one["status"] for one in told["runs"]] == ["ok", "ok", "error", "error"]
    assert told["runs"][2]["error"] == "ZeroDivisionError: no such luck"
    (row,) = told["rows"]
    assert (row["model"], row["folds"], row["seeds"]) == ("dummy", [0, 1], 1)
    values = [one["metrics"]["mae"] for one in told["runs"][:2]]
    assert row["mae"] == pytest.approx(sum(values) / 2)


def test_a_worker_that_is_killed_loses_its_own_training_alone(tmp_path: Path) -> None:
    dies, crashes = odd_model(tmp_path, "dies", DIES), odd_model(tmp_path, "crashes", SEGFAULT)
    suite = write_suite(tmp_path, vary={"model": [dies, "dummy", crashes, "knn"]})
    done = run(suite, "--results", tmp_path / "r", "--workers", "1")
    assert done.returncode == 1
    assert "2 trainings failed; the same command tries them again" in done.stdout
    assert "was killed (SIGKILL); the system does that when memory runs out" in done.stdout
    found = results_in(tmp_path / "r")
    assert {model: result.status for model, result in found.items()} == {
        "dies": "error", "crashes": "error", "dummy": "ok", "knn": "ok",
    }  # fmt: skip
    assert found["crashes"].error is not None
    assert found["crashes"].error.kind == "WorkerLostError"
    assert "SIGSEGV" in found["crashes"].error.message
    (tmp_path / "spare").touch()
    again = run(suite, "--results", tmp_path / "r", "--only", f"model={dies}")
    assert again.returncode == 0
    assert "1 failed, to be tried again" in again.stdout
    assert results_in(tmp_path / "r")["dies"].status == "ok"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_stopped_goes_on_from_its_checkpoints(tmp_path: Path, number: signal.Signals) -> None:
    base = {"model": endless_model(tmp_path), "model.hidden": 8}
    vary = {"seed": [0, 1, 2], "training.epochs": [100_000]}
    suite, results = write_suite(tmp_path, base=base, vary=vary), tmp_path / "r"
    sweep = start(suite, "--results", results, "--workers", "2")
    wait_until(lambda: len(began(tmp_path)) == 2)
    sweep.send_signal(number)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 128 + number, said
    assert f"Go on with: gbench suite run {suite} --results {results} --workers 2" in said.replace("\n", "")
    checkpoints = list(results.glob(f"*/{CHECKPOINT_FILE}"))
    assert len(checkpoints) == 2
    assert "2 begun, with a checkpoint, 1 to run" in run(suite, "--results", results, "--dry-run").stdout
    # no worker is left behind
    wait_until(lambda: not any(_alive(process) for process in began(tmp_path)))


def test_two_sweeps_on_one_folder_train_each_run_once(tmp_path: Path) -> None:
    counts = "(here / f'fit-{id(self)}-{os.getpid()}').touch()"
    models = [odd_model(tmp_path, f"counts_{number}", counts) for number in range(4)]
    suite = write_suite(tmp_path, vary={"model": models, "seed": [0, 1]})
    sweeps = [start(suite, "--results", tmp_path / "r", "--workers", "1") for _ in range(2)]
    for sweep in sweeps:
        out, said = sweep.communicate(timeout=120)
        assert sweep.returncode == 0, said
        assert "8 of 8 runs have a result" in out
    assert len(list(tmp_path.glob("fit-*"))) == 8


def test_a_run_of_another_process_is_waited_for(tmp_path: Path) -> None:
    suite, results = write_suite(tmp_path, **FLOORS), tmp_path / "r"
    spec = resolve(Choices(model="dummy", split="formula"))
    (results / spec.run_id).mkdir(parents=True)
    with filelock.FileLock(results / spec.run_id / LOCK_FILE):
        sweep = start(suite, "--results", results)
        assert sweep.stdout is not None
        while "waiting for 1 trainings that another process works on" not in (line := sweep.stdout.readline()):
            assert line, "the sweep did not wait"
        assert spec.run_id in line
        assert not (results / spec.run_id / "result.json").exists()
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, said
    assert results_in(results)["dummy"].status == "ok"


def test_a_sweep_that_is_killed_leaves_its_folder_usable(tmp_path: Path) -> None:
    model = odd_model(tmp_path, "waits", WAITS)
    suite, results = write_suite(tmp_path, vary={"model": [model, "dummy"]}), tmp_path / "r"
    sweep = start(suite, "--results", results, "--workers", "1")
    wait_until(lambda: began(tmp_path))
    sweep.kill()
    sweep.communicate()
    kill(began(tmp_path))
    (tmp_path / "spare").touch()
    assert run(suite, "--results", results).returncode == 0
    assert {result.status for result in results_in(results).values()} == {"ok"}


def test_results_that_cannot_be_written_end_it_in_a_sentence(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, **FLOORS)
    (tmp_path / "file").touch()
    # the kernel's own folder is read-only for everyone
    for folder, why in ((tmp_path / "file", "File exists"), (Path("/sys/kernel/results"), "cannot write")):
        done = run(suite, "--results", folder)
        assert done.returncode == 2
        assert f"error: {folder}: cannot write" in done.stderr
        assert why in done.stderr
        assert "Traceback" not in done.stderr


def test_a_disk_that_fills_up_ends_it_and_loses_nothing(tmp_path: Path) -> None:
    """Files may not grow beyond 20 kB: weights do not fit, the results of floors do."""
    import resource
    import subprocess

    base = {"training.epochs": 1}
    suite = write_suite(tmp_path, base=base, blocks=[{"base": {"model": "dummy", "training.epochs": 1}}] and [
        {"vary": {"model": ["cgcnn"], "seed": [0, 1]}},
    ])  # fmt: skip
    done = subprocess.run(
        [*MAIN, "suite", "run", str(suite), "--results", str(tmp_path / "r"), "--workers", "1"],
        capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "cannot write (File too large)" in done.stderr


class TestCores:
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
    def test_they_are_split_without_a_rest_that_is_used_twice(
        self, there: int, workers: int | None, threads: int | None, jobs: int, expected: tuple[int, int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr("gbench.sweep.local.cores", lambda: there)
        made = local(workers, threads, jobs)
        assert (made.slots, made.threads) == expected

    def test_more_than_there_are_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gbench.sweep.local.cores", lambda: 4)
        with pytest.raises(SweepError, match="3 workers of 2 threads need 6 cores, but there are 4; lower --workers"):
            local(3, 2, 10)

    def test_a_worker_uses_its_share(self, tmp_path: Path) -> None:
        said = (
            "import torch; from gbench.cores import cores; n = (torch.get_num_threads(), cores()); raise ValueError(n)"
        )
        model = odd_model(tmp_path, "tells", said)
        suite = write_suite(tmp_path, base={"model": model})
        done = run(suite, "--results", tmp_path / "r", "--workers", "1", "--threads", "2", LOKY_MAX_CPU_COUNT="3")
        assert "ValueError: (2, 2)" in done.stdout


def test_a_job_survives_being_written(tmp_path: Path) -> None:
    job = Job(resolve(Choices(model="cgcnn", beside=("gap",), split="cluster", fold=2)), tmp_path, True)
    assert Job.of(job.text()) == job


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
