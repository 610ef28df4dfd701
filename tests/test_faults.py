"""What goes wrong around a run costs nothing that was done, and is said in a sentence."""

import ctypes
import errno
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

import pytest
from test_kills import assert_same_run

import gbench.train
from gbench.choices import Choices, resolve
from gbench.cli import main
from gbench.errors import StorageError, TrainingError
from gbench.registry import model_class
from gbench.result import Result, read_history, read_result
from gbench.runner import CHECKPOINT_FILE, run_spec
from gbench.spec import RunSpec
from gbench.storage import atomic_path

YEAR = 365 * 24 * 3600.0
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24
COMMAND = [sys.executable, "-c", "from gbench.cli import main; main()", "run", "--no-tracking"]


def spec(**overrides: object) -> RunSpec:
    tiny = {"training.epochs": 2, "training.batch_size": 300, "model.hidden": 8}
    return resolve(Choices(model="cgcnn", split="formula", overrides={**tiny, **overrides}))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run that nothing happened to."""
    results = tmp_path_factory.mktemp("whole")
    run_spec(spec(), results)
    return results


@pytest.fixture
def checkpoint_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gbench.train, "CHECKPOINT_SECONDS", 0.0)


class Disk:
    """Full from some file on: the file is cut in half, and the system says so."""

    def __init__(self, free: int) -> None:
        self.free = free
        """Files that still fit."""
        self.refused: list[str] = []
        self.leave = atomic_path.__exit__

    def close(
        self,
        file: atomic_path,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.free -= 1
        if error is None and self.free < 0:
            self.refused.append(file.path.name)
            os.truncate(file.temporary, file.temporary.stat().st_size // 2)
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            kind = OSError
        self.leave(file, kind, error, trace)


@pytest.mark.usefixtures("checkpoint_every_step")
def test_a_disk_that_is_full_at_any_file_loses_nothing(whole: Path, tmp_path: Path) -> None:
    refused: list[str] = []
    for free in itertools.count():
        results = tmp_path / str(free)
        disk = Disk(free)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic_path, "__exit__", lambda *given, disk=disk: disk.close(*given))
            try:
                run_spec(spec(), results)
                break
            except StorageError as error:
                assert str(error) == (
                    f"{results / spec().run_id}: cannot write (No space left on device); choose another folder or free "
                    "some space"
                )
        refused += disk.refused
        written = {path.name for path in (results / spec().run_id).iterdir()}
        assert "result.json" not in written
        assert not [name for name in written if name.startswith(".") and name != ".lock"]
        run_spec(spec(), results)
        assert_same_run(whole / spec().run_id, results / spec().run_id)
    assert refused == [
        # where training ends for want of space, there is none for what was sampled either
        "spec.json", *["checkpoint.pt", "system.json"] * 4, "system.json", "predictions.parquet", "history.json",
        "weights.safetensors", "result.json",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match="cannot write .No space left on device.; with --results choose another"):
        run_spec(spec(), tmp_path)


@pytest.fixture
def read_only(whole: Path) -> Iterator[Path]:
    """The results of ``whole``, in folders that nobody may write to."""
    folders = [whole, *whole.glob("*/")]
    for folder in folders:
        folder.chmod(0o555)
    yield whole
    for folder in folders:
        folder.chmod(0o755)


def run_without_privileges(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """``gbench run`` by a user, be it root, whom the mode of a folder binds."""
    libc = ctypes.CDLL(None)
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # fails for all but root, who alone needs it
        preexec_fn=lambda: libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0),
    )


def test_a_read_only_results_folder_is_a_sentence(read_only: Path) -> None:
    done = run_without_privileges("--model", "dummy", "--no-floors", "--results", str(read_only))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "cannot write (Permission denied); with --results choose another folder" in done.stderr


def test_a_finished_run_is_read_from_a_read_only_folder(read_only: Path, whole: Path) -> None:
    done = run_without_privileges("--spec", spec().run_id, "--no-floors", "--results", str(read_only), "--json")
    assert done.returncode == 0, done.stderr
    assert Result.model_validate_json(done.stdout) == read_result(whole / spec().run_id)


@pytest.mark.parametrize("jump", [YEAR, -YEAR, 3600.0])
def test_a_clock_that_is_set_changes_no_duration(
    jump: float, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, jumps = time.time, itertools.count()
    with monkeypatch.context() as patch:
        # further with every look at it
        patch.setattr(time, "time", lambda: wall() + jump * next(jumps))
        patch.setattr(time, "time_ns", lambda: int(1e9 * (wall() + jump * next(jumps))))
        began = time.perf_counter()
        made = run_spec(spec(), tmp_path)
        passed = time.perf_counter() - began
    assert made.cost is not None
    assert made.cost.train_cpu_seconds is not None
    assert 0 < made.cost.train_seconds < made.cost.total_seconds <= passed
    assert 0 < made.cost.train_cpu_seconds < 100 * passed
    assert all(0 < epoch["seconds"] < passed for epoch in read_history(tmp_path / made.run_id))
    assert_same_run(whole / made.run_id, tmp_path / made.run_id)


def test_when_a_run_was_made_is_the_time_of_the_wall(tmp_path: Path) -> None:
    made = datetime.fromisoformat(run_spec(resolve(Choices(model="dummy")), tmp_path).created)
    assert abs(made - datetime.now(UTC)) < timedelta(hours=1)


class TestDivergence:
    @pytest.fixture
    def command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        def run(*settings: str) -> int:
            options = [word for setting in settings for word in ("--set", setting)]
            words = ["run", "--model", "cgcnn", "--split", "formula", "--no-tracking", "--results", str(tmp_path)]
            monkeypatch.setattr(sys, "argv", ["gbench", *words, "--set", "model.hidden=8", *options])
            with pytest.raises(SystemExit) as left:
                main()
            return int(left.value.code or 0)

        return run

    @pytest.mark.usefixtures("checkpoint_every_step")
    def test_a_loss_that_is_no_number_ends_the_command_with_the_step_and_a_lower_rate(
        self, command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command("training.learning_rate=1e30", "training.clip_norm=null") == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        (folder,) = tmp_path.glob("*/")
        result = read_result(folder)
        assert result.status == "error"
        assert result.error is not None
        assert said == f"error: {result.error.message}\n"
        assert result.error.kind == "TrainingError"
        step = result.error.step
        assert step is not None and step > 0
        assert f"at step {step} (epoch 1); lower the rate, e.g. --set training.learning_rate=2.5e+29" in said
        assert result.error.traceback == ""
        # and so it ends again, from the last checkpoint
        assert (folder / CHECKPOINT_FILE).is_file()
        assert command("training.learning_rate=1e30", "training.clip_norm=null") == 2
        assert read_result(folder).error == result.error

    def test_weights_that_the_last_step_of_an_epoch_spoils_are_found_in_validation(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kind = model_class("cgcnn")
        forward = kind.forward  # type: ignore[attr-defined]
        monkeypatch.setattr(
            kind, "forward", lambda self, batch: forward(self, batch) * (1 if self.training else float("nan"))
        )
        with pytest.raises(TrainingError, match=r"the validation error is nan at step 1 \(epoch 1\); lower the rate"):
            run_spec(spec(), tmp_path)
        error = json.loads((tmp_path / spec().run_id / "result.json").read_text())["error"]
        assert error["step"] == 1
