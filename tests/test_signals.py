"""Ctrl-C and SIGTERM lose nothing, and say by the exit code what to do next."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jointly import CGCNN
from torch import Tensor

import gbench.cli.report
from gbench.batch import Batch
from gbench.checkpoint import read_checkpoint
from gbench.cli import main
from gbench.cli.progress import ConsoleObserver
from gbench.evaluate import evaluate
from gbench.result import read_result

TINY = ["--model", "cgcnn", "--split", "formula", "--set", "training.epochs=3", "--set", "model.hidden=8"]


def run(results: Path, *arguments: str) -> int:
    """Exit code of ``gbench run``."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "argv", ["gbench", "run", *TINY, *arguments, "--no-tracking", "--no-floors", "--results", str(results)]
        )
        with pytest.raises(SystemExit) as left:
            main()
    assert signal.getsignal(signal.SIGTERM) is before
    return int(left.value.code or 0)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def first_terminated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which is sent a SIGTERM when it begins."""

    def sent(*arguments: Any, **named: Any) -> Any:
        terminate()
        return function(*arguments, **named)

    return sent


def folder_of(results: Path) -> Path:
    (folder,) = results.glob("*/")
    return folder


def same_bytes(ours: Path, theirs: Path) -> bool:
    names = ("weights.safetensors", "predictions.parquet")
    return all((folder_of(ours) / name).read_bytes() == (folder_of(theirs) / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run that was left alone."""
    results = tmp_path_factory.mktemp("whole")
    assert run(results) == 0
    return results


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("at", [1, 9, 10, 17])
def test_sigterm_in_a_batch_ends_with_75_after_that_batch(
    at: int,
    times: int,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forward, calls = CGCNN.forward, 0

    def signalled(self: CGCNN, batch: Batch) -> Tensor:  # type: ignore[valid-type]
        nonlocal calls
        calls += self.training  # type: ignore[attr-defined]
        if calls == at and self.training:  # type: ignore[attr-defined]
            for _ in range(times):
                terminate()
        return forward(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(CGCNN, "forward", signalled)
        assert run(tmp_path) == 75
    saved = read_checkpoint(folder_of(tmp_path) / "checkpoint.pt")
    assert saved is not None
    assert saved.step == at
    assert f"gbench run --spec {folder_of(tmp_path).name}" in capsys.readouterr().err.replace("\n", " ")
    assert run(tmp_path) == 0
    assert same_bytes(whole, tmp_path)


def test_sigterm_before_training_ends_with_75_at_once(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleObserver, "data", first_terminated(ConsoleObserver.data))
        assert run(tmp_path) == 75
    assert (
        "stopped by SIGTERM; what is done is safe, and the same command goes on from there" in capsys.readouterr().err
    )
    assert not (folder_of(tmp_path) / "result.json").exists()
    assert run(tmp_path) == 0
    assert same_bytes(whole, tmp_path)


def test_sigterm_after_training_ends_with_75_and_the_result(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("gbench.runner.evaluate", first_terminated(evaluate))
        assert run(tmp_path) == 75
    assert read_result(folder_of(tmp_path)).status == "ok"
    assert same_bytes(whole, tmp_path)
    assert "test MAE" not in capsys.readouterr().out


def test_sigterm_between_two_folds_ends_with_75_and_the_first_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gbench.cli.report, "report", first_terminated(gbench.cli.report.report))
    assert run(tmp_path, "--fold", "all") == 75
    assert read_result(folder_of(tmp_path)).status == "ok"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_writes_a_checkpoint_and_prints_the_command_that_resumes(
    sent: signal.Signals, code: int, tmp_path: Path
) -> None:
    """A real process."""
    command = [sys.executable, "-c", "from gbench.cli import main; main()", "run", *TINY, "--results", str(tmp_path)]
    command += ["--set", "training.epochs=100000", "--no-floors", "--no-tracking"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("train"):
            break
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    folder = folder_of(tmp_path)
    assert f"gbench run --spec {folder.name} --results {tmp_path}" in stderr.replace("\n", "")
    saved = read_checkpoint(folder / "checkpoint.pt")
    assert saved is not None
    assert saved.step > 0
    assert not (folder / "result.json").exists()
