"""Training is reproducible to the last bit, resumable anywhere, and blind to test labels."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from jointly import CGCNN
from laws import NETWORKS

from gbench.choices import Choices, resolve
from gbench.dataset import Dataset
from gbench.errors import TrainingError
from gbench.model import Head, Model
from gbench.observer import Observer
from gbench.prepare import Prepared, make_task, prepare
from gbench.registry import model_class
from gbench.schedule import rate_at
from gbench.spec import RunSpec, Training
from gbench.task import Scale, Task
from gbench.train import Epoch, Fit, Interrupted, fit, predict

TINY = {"training.epochs": 6, "training.batch_size": 100, "model.hidden": 8, "training.ema": 0.9}


def spec(**overrides: object) -> RunSpec:
    return resolve(Choices(model="cgcnn", split="random", overrides={**TINY, **overrides}))


def prepared(one: RunSpec) -> Prepared:
    return prepare(one, Observer(), allow_leak=True)


def train(one: RunSpec, checkpoint: Path, stop_after: int | None = None) -> tuple[Fit, list[Epoch]]:
    """Train; with ``stop_after``, ask to stop after that many steps."""
    assert one.training is not None
    config = CGCNN.Config.model_validate(one.config)
    seen: list[Epoch] = []
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps == stop_after

    fitted = fit(
        lambda: CGCNN(config, Head()),
        make_task(prepared(one), CGCNN),
        one.training,
        one.seed,
        checkpoint,
        seen.append,
        stop,
    )
    return fitted, seen


def same_weights(first: Fit, second: Fit) -> bool:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_same_spec_gives_the_same_bits(tmp_path: Path) -> None:
    (first, seen), (second, again) = (train(spec(), tmp_path / str(run)) for run in range(2))
    assert same_weights(first, second)
    assert [(e.train_loss, e.val_mae) for e in seen] == [(e.train_loss, e.val_mae) for e in again]


TWICE = """
import sys, tempfile
from pathlib import Path

import numpy as np
import torch
from small import small_task

from gbench.spec import Training
from gbench.train import fit, predict


def predicted(task, build):
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(build, task, Training(epochs=1, batch_size=40), 0, Path(folder) / "c", lambda _: None)
    return predict(fitted, task, task.split.test, 40)


assert torch.get_num_threads() == 2
for name in sys.argv[1:]:
    task, build = small_task(name)
    print(name, np.array_equal(predicted(task, build), predicted(task, build)))
"""


def test_every_network_predicts_the_same_bits_twice_on_two_threads() -> None:
    """In a process of its own, whose threads sleep while they wait."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TWICE, *NETWORKS],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive", "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} True" for name in NETWORKS]


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    other = spec().model_copy(update={"seed": 1})
    assert not same_weights(train(spec(), tmp_path / "a")[0], train(other, tmp_path / "b")[0])


@pytest.mark.parametrize("steps", [1, 6, 7, 20, 35])
def test_a_stopped_training_ends_as_if_it_never_stopped(tmp_path: Path, steps: int) -> None:
    whole, seen = train(spec(), tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(spec(), tmp_path / "part", stop_after=steps)
    resumed, again = train(spec(), tmp_path / "part")
    assert same_weights(whole, resumed)
    assert [(e.epoch, e.train_loss, e.val_mae) for e in again] == [(e.epoch, e.train_loss, e.val_mae) for e in seen]
    assert resumed.best_epoch == whole.best_epoch


def test_training_learns(tmp_path: Path) -> None:
    _, seen = train(spec(**{"training.epochs": 30}), tmp_path / "c")
    assert seen[-1].train_loss < 0.5 * seen[0].train_loss
    assert [epoch.epoch for epoch in seen] == list(range(1, 31))


def test_the_weights_are_those_of_the_best_validation_epoch(tmp_path: Path) -> None:
    one = spec(**{"training.learning_rate": 0.05, "training.epochs": 12})
    fitted, seen = train(one, tmp_path / "c")
    best = min(seen, key=lambda epoch: epoch.val_mae)
    assert fitted.best_epoch == best.epoch
    ready = prepared(one)
    task = make_task(ready, CGCNN)
    error = np.abs(predict(fitted, task, ready.split.val, 100) - ready.labels[ready.split.val]).mean()
    assert error == pytest.approx(best.val_mae, rel=1e-4)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("loss", "l2"), ("loss", "huber"), ("clip_norm", 1e-3), ("weight_decay", 5.0), ("ema", 0.0),
     ("schedule", "cosine"), ("warmup", 0.5), ("batch_size", 50), ("learning_rate", 1e-4)],
)  # fmt: skip
def test_every_setting_matters(tmp_path: Path, setting: str, value: object) -> None:
    base, _ = train(spec(), tmp_path / "base")
    other, _ = train(spec(**{f"training.{setting}": value}), tmp_path / "other")
    assert not same_weights(base, other)


def test_the_generator_of_the_process_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(spec(), tmp_path / "c")
    assert torch.equal(torch.get_rng_state(), before)


def test_patience_ends_training_early(tmp_path: Path) -> None:
    one = spec(**{"training.patience": 2, "training.epochs": 200, "training.learning_rate": 0.1})
    fitted, seen = train(one, tmp_path / "c")
    assert len(seen) == fitted.best_epoch + 2
    assert len(seen) < 200


def test_a_loss_that_is_no_number_stops_with_advice(prototypes: Dataset, tmp_path: Path) -> None:
    one = spec()
    task = make_task(prepared(one), CGCNN)
    task.tensors.distances[:] = float("nan")
    kind = model_class("cgcnn")
    assert issubclass(kind, Model)
    assert one.training is not None
    with pytest.raises(TrainingError, match=r"the loss is nan at step 0 \(epoch 1\); lower the rate, e.g. --set"):
        fit(
            lambda: kind(kind.Config.model_validate(one.config), Head()), task, one.training, 0,
            tmp_path / "c", lambda _: None,
        )  # fmt: skip


def test_labels_outside_train_and_validation_are_withheld() -> None:
    ready = prepared(spec())
    task = make_task(ready, CGCNN)
    known = ~torch.isnan(task.labels[:, 0]).numpy()
    assert not known[ready.split.test].any()
    assert known[ready.split.train].all()
    assert known[ready.split.val].all()
    assert not np.isnan(ready.labels).any()


def test_labels_are_scaled_by_the_training_part_alone(tmp_path: Path) -> None:
    fitted, _ = train(spec(**{"training.epochs": 1}), tmp_path / "c")
    ready = prepared(spec())
    labels = ready.labels[ready.split.train]
    assert fitted.scale.mean == pytest.approx(labels.mean())
    assert fitted.scale.deviation == pytest.approx(labels.std())


def test_constant_labels_scale_to_one() -> None:
    assert Scale.of(torch.full((5, 1), 3.0)) == Scale(3.0, 1.0)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_the_rate_rises_to_its_peak_and_falls(schedule: Literal["one-cycle", "cosine"]) -> None:
    settings = Training(learning_rate=0.01, warmup=0.25, schedule=schedule)
    rates = [rate_at(step, 400, settings) for step in range(400)]
    peak = int(np.argmax(rates))
    assert peak == pytest.approx(100, abs=2)
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert rates[-1] == pytest.approx(1e-5, rel=1e-6)
    assert (np.diff(rates[:peak]) > 0).all()
    assert (np.diff(rates[peak:]) <= 0).all()


def test_node_labels_are_learned_per_atom(tmp_path: Path) -> None:
    one = resolve(Choices(model="cgcnn", target="hirshfeld", split="formula", overrides=TINY))
    ready = prepared(one)
    task: Task = make_task(ready, CGCNN)
    assert task.level == "node"
    assert task.labels.shape == (len(ready.dataset.crystals.numbers), 1)
    rows = torch.tensor([4, 2])
    np.testing.assert_array_equal(
        ready.dataset.crystals.crystal_of_atom[task.items(rows).numpy()],
        np.repeat([4, 2], ready.dataset.crystals.n_atoms[[4, 2]]),
    )
