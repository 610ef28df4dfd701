"""When memory runs out, one sentence names the batch size to try."""

import math
import os
import re
import subprocess
import sys
import weakref
from itertools import count
from pathlib import Path

import pytest
import torch
from gbench.baselines.cgcnn.model import CGCNN, CGCNNConfig

from gbench.checkpoint import read_checkpoint
from gbench.choices import Choices, resolve
from gbench.errors import TrainingError
from gbench.memory import enough_memory, memory_ran_out
from gbench.model import Head
from gbench.observer import Observer
from gbench.prepare import make_task, prepare
from gbench.result import read_result
from gbench.spec import Training
from gbench.task import Task
from gbench.train import Fit, fit, predict

ADDRESSES = 2**50
"""More bytes than a process can have."""
TRAIN_IN_LITTLE = """
import gc, os, resource

import psutil
import scipy.special  # for the intervals of scores
import torch._dynamo  # else the first optimizer imports it, under the limit

from gbench.cli.progress import ConsoleObserver


def limited(self, model, training, before=ConsoleObserver.model):
    # from here on, and not before: reading data and building graphs have nothing to do with the size of a batch
    before(self, model, training)
    gc.collect()  # what it would free later is room that nobody counted
    most = psutil.Process().memory_info().vms + int(os.environ["MEGABYTES"]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


ConsoleObserver.model = limited
from gbench.cli import main

main()
"""


def run(results: Path, megabytes: int, model: str, *settings: str) -> subprocess.CompletedProcess[str]:
    """``gbench run`` in a process that has so many megabytes to train in."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    return subprocess.run(
        [sys.executable, "-c", TRAIN_IN_LITTLE, "run", "--model", model, "--split", "random", "--no-floors",
         "--no-tracking", "--allow-leak", "--results", str(results), *chosen],
        capture_output=True, text=True,
        # else a thread that allocates takes 64 MB of addresses, before the limit is set or after
        env=os.environ | {"OMP_NUM_THREADS": "1", "MEGABYTES": str(megabytes), "MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip


def advice(process: subprocess.CompletedProcess[str], size: int) -> int:
    """The batch size to try after one of ``size`` crystals; the sentence is all that is said."""
    assert process.returncode == 2, process.stderr
    sentence = (
        rf"error: memory ran out while training with {size} crystals in a batch; try --set training.batch_size=(\d+)"
    )
    found = re.fullmatch(sentence, process.stderr.strip())
    assert found, process.stderr
    return int(found[1])


limited = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")


@limited
@pytest.mark.parametrize(("model", "megabytes"), [("megnet", 5), ("alignn", 5), ("gru", 5)])
def test_a_run_says_which_batch_to_try(tmp_path: Path, model: str, megabytes: int) -> None:
    # all 595 crystals there are make one batch
    process = run(tmp_path, megabytes, model, "training.batch_size=5000", "training.epochs=1")
    assert advice(process, 595) == 297
    (result,) = (read_result(folder) for folder in tmp_path.iterdir())
    assert result.status == "error"
    assert result.error is not None and result.error.kind == "TrainingError"


@limited
def test_whoever_follows_the_advice_gets_there(tmp_path: Path) -> None:
    chosen, size = 5000, 595
    while (process := run(tmp_path, 150, "painn", f"training.batch_size={chosen}", "training.epochs=1")).returncode:
        smaller = advice(process, size)
        assert smaller < size
        # batches are of equal size
        chosen, size = smaller, math.ceil(595 / math.ceil(595 / smaller))
    assert 10 < size < 595


def build(config: CGCNNConfig, calls: float = math.inf) -> CGCNN:
    """A network that asks for more memory than there is when it is called so often."""
    model, number = CGCNN(config, Head()), count(1)

    def ask(*_: object) -> None:
        if next(number) == calls:
            torch.empty(ADDRESSES)

    model.register_forward_pre_hook(ask)
    return model


@pytest.fixture(scope="module")
def task() -> Task:
    spec = resolve(Choices(model="cgcnn", split="random"))
    return make_task(prepare(spec, Observer(), allow_leak=True), CGCNN)


SETTINGS = Training(epochs=3, batch_size=100)
CONFIG = CGCNNConfig(hidden=8)


# of an epoch, six calls train and two validate
@pytest.mark.parametrize("calls", [6, 7, 12])
def test_the_checkpoint_stays_and_training_goes_on_from_it(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    def train(checkpoint: str, calls: float = math.inf) -> Fit:
        return fit(lambda: build(CONFIG, calls), task, SETTINGS, 0, tmp_path / checkpoint, lambda _: None)

    whole = train("whole")
    monkeypatch.setattr("gbench.train.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(TrainingError, match="while training with 100 crystals in a batch; try .*batch_size=50$"):
        train("part", calls)
    saved = read_checkpoint(tmp_path / "part")
    assert saved is not None and saved.step > 0
    ours, theirs = whole.model.state_dict(), train("part").model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_predicting_says_it_too(task: Task) -> None:
    fitted = Fit(build(CONFIG, calls=2), tuple(task.scales()), 1)
    rows = task.split.test[:7]
    with pytest.raises(TrainingError, match="while predicting with 4 crystals in a batch; try .*batch_size=2$"):
        predict(fitted, task, rows, 4)


def test_one_crystal_cannot_be_halved() -> None:
    advice = "with 1 crystal in a batch; a smaller model takes less, as does a shorter graph.cutoff$"
    with pytest.raises(TrainingError, match=advice), enough_memory("training", 1):
        torch.empty(ADDRESSES)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_every_library_says_it_in_its_own_words(error: Exception) -> None:
    assert memory_ran_out(error)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), enough_memory("training", 8):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_what_the_batch_held_is_let_go() -> None:
    """There must be room to write down what happened."""
    held: list[weakref.ref[torch.Tensor]] = []

    def step() -> None:
        states = torch.zeros(10)
        held.append(weakref.ref(states))
        torch.empty(ADDRESSES)

    with pytest.raises(TrainingError), enough_memory("training", 8):
        step()
    assert held[0]() is None
