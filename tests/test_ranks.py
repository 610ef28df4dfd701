"""Several processes train a network to what one process makes of it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from few_steps import small_task, trained
from ranks_worker import CASES, Found
from torch import distributed, nn

from gbench.checkpoint import read_checkpoint
from gbench.choices import Choices, resolve
from gbench.errors import TrainingError
from gbench.nn.norms import BatchNorm
from gbench.observer import Observer
from gbench.ranks import HERE, Place, Ranks, joined
from gbench.registry import model_card
from gbench.result import read_predictions, read_result
from gbench.runner import CHECKPOINT_FILE, run_spec
from gbench.train import Interrupted

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
SETTINGS = {"training.epochs": 3, "training.batch_size": 100, "model.hidden": 8, "training.precision": "float64"}
TWO = Ranks(0, 2)


@pytest.fixture(scope="module")
def by_two(
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Found]:
    """Weights, history and everyone's bits of each case, trained by two processes."""
    folder = tmp_path_factory.mktemp("two")
    worker = Path(__file__).with_name("ranks_worker.py")
    done = subprocess.run([*TORCHRUN, str(worker), str(folder)], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [Found(*found) for found in torch.load(folder / "found.pt")]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_two_processes_learn_what_one_learns(number: int, by_two: list[Found], tmp_path: Path) -> None:
    (model, settings, dtype), found = CASES[number], by_two[number]
    task = small_task(model, model_card(model).levels[-1], dtype)
    alone = trained(model, task, tmp_path, **settings)
    double = dtype == torch.float64
    for ours, theirs in zip(alone.history, found.history, strict=True):
        expected = pytest.approx((theirs["train_loss"], theirs["val_mae"]), rel=1e-9 if double else 1e-6)
        assert (ours.train_loss, ours.val_mae) == expected
    for name, values in alone.model.state_dict().items():
        # of a gradient that is zero but for rounding, Adam makes a step of any size
        torch.testing.assert_close(found.weights[name], values, atol=1e-9 if double else 1e-3, rtol=1e-9)
    # the same to the last bit in both, so that they never part
    assert len(found.bits) == 2 and len(set(found.bits)) == 1


def gbench_run(results: Path, *options: str) -> list[str]:
    chosen = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    return [
        *TORCHRUN, "-m", "gbench", "run", "--model", "cgcnn", "--split", "random", "--allow-leak", "--no-floors",
        "--no-tracking", "--device", "cpu", "--results", str(results), *chosen, *options,
    ]  # fmt: skip


class StopsAfter(Observer):
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def stop(self) -> bool:
        self.steps -= 1
        return self.steps == 0


def test_a_run_of_two_goes_on_from_a_checkpoint_of_one_to_the_same_result(tmp_path: Path) -> None:
    spec = resolve(Choices(model="cgcnn", split="random", overrides=SETTINGS))
    alone = run_spec(spec, tmp_path / "one", allow_leak=True, place=HERE)
    with pytest.raises(Interrupted):
        run_spec(spec, tmp_path / "two", StopsAfter(8), allow_leak=True, place=HERE)
    saved = read_checkpoint(tmp_path / "two" / spec.run_id / CHECKPOINT_FILE)
    assert saved is not None and saved.step == 8
    done = subprocess.run(gbench_run(tmp_path / "two", "--json"), env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "process 1" not in done.stderr
    # one process speaks
    assert json.loads(done.stdout)["run_id"] == spec.run_id
    together = read_result(tmp_path / "two" / spec.run_id)
    assert alone.cost is not None and together.cost is not None
    assert (alone.cost.device, together.cost.device) == ("cpu", "2 x cpu")
    ours, theirs = (read_predictions(tmp_path / place / spec.run_id) for place in ("one", "two"))
    pd.testing.assert_frame_equal(theirs, ours, rtol=1e-6, atol=1e-6)
    names = [sorted(path.name for path in (tmp_path / place / spec.run_id).iterdir()) for place in ("one", "two")]
    assert names[0] == names[1]


def test_ctrl_c_stops_both_after_the_same_step(tmp_path: Path) -> None:
    command = gbench_run(tmp_path, "--set", "training.epochs=100000")
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("train"):
            break
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=100)
    assert len(re.findall("stopped; the checkpoint is safe. Go on with: gbench run --spec", stderr)) == 1, stderr
    (saved,) = (read_checkpoint(path) for path in tmp_path.glob(f"*/{CHECKPOINT_FILE}"))
    assert saved is not None and saved.step > 0


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [("training.batch_size=1", "2 processes cannot share a batch of 1; start fewer, or choose a larger"),
     ("training.batchsize=1", "no training setting 'batchsize'; did you mean 'batch_size'?")],
    ids=["both find it", "the first finds it"],
)  # fmt: skip
def test_a_mistake_is_said_once(setting: str, sentence: str, tmp_path: Path) -> None:
    done = subprocess.run(gbench_run(tmp_path, "--set", setting), env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.count(f"error: {sentence}") == 1
    assert "error: process 1" not in done.stderr


class TestRanks:
    def test_alone_is_the_first_and_takes_all(self) -> None:
        rows = torch.arange(5)
        assert HERE.ranks.first and HERE.ranks.alone
        assert torch.equal(HERE.ranks.share(rows), rows)
        assert HERE.ranks.any(True) and not HERE.ranks.any(False)

    @pytest.mark.parametrize(("items", "size"), [(5, 2), (7, 3), (4, 4), (100, 8)])
    def test_shares_make_up_the_batch(self, items: int, size: int) -> None:
        rows = torch.arange(items)
        shares = [Ranks(rank, size).share(rows) for rank in range(size)]
        assert torch.equal(torch.cat(shares), rows)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1

    def test_more_processes_than_crystals_in_a_batch_are_refused(self) -> None:
        TWO.check(nn.Linear(1, 1), 2)
        with pytest.raises(TrainingError, match="^2 processes cannot share a batch of 1; start fewer, or choose"):
            TWO.check(nn.Linear(1, 1), 1)

    def test_norms_that_see_a_share_alone_are_refused(self) -> None:
        TWO.check(nn.Sequential(BatchNorm(3)), 2)
        foreign = nn.Sequential(nn.BatchNorm1d(3))
        HERE.ranks.check(foreign, 1)
        with pytest.raises(TrainingError, match="^BatchNorm1d would see the share of one process alone; use gbench.nn"):
            TWO.check(foreign, 2)

    def test_a_process_that_is_gone_is_said_in_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(_: object) -> None:
            raise RuntimeError("Connection closed by peer [127.0.0.1]:1234")

        monkeypatch.setattr(distributed, "all_reduce", gone)
        with pytest.raises(TrainingError, match="another process of this training has ended; what it said tells why"):
            TWO.add_up(torch.zeros(1))

    def test_without_torchrun_a_process_is_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "4")
        with joined("cpu") as place:
            assert place == Place()
