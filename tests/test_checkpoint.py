"""A checkpoint is whole or it is noticed, and the one before stands in for it."""

import dataclasses
import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from xxhash import xxh3_128

import gbench.train
from gbench.checkpoint import (
    Checkpoint,
    previous,
    read_checkpoint,
    remove_checkpoint,
    restore_checkpoint,
    write_checkpoint,
)
from gbench.choices import Choices, resolve
from gbench.errors import DataError, StorageError
from gbench.observer import Observer
from gbench.result import read_result
from gbench.runner import CHECKPOINT_FILE, run_spec
from gbench.spec import RunSpec
from gbench.train import Interrupted

NUMBERS = 5000


def checkpoint(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    weights = {"weight": torch.rand(NUMBERS, generator=generator)}
    return Checkpoint(
        step=step,
        weights=weights,
        optimizer={"state": {0: {"exp_avg": weights["weight"].clone(), "exp_avg_sq": weights["weight"].clone()}}},
        averages=[weights["weight"].clone()],
        best_weights={"weight": weights["weight"].clone()},
        best_epoch=1,
        best_criterion=0.1,
        loss_sum=1.0,
        loss_items=3,
        elapsed=0.5,
        history=[{"epoch": 1, "val_mae": 0.1, "val_maes": (0.1, 0.2)}],
        random_state=torch.get_rng_state(),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a newest checkpoint after step 2, with that after step 1 before it."""
    for step in (1, 2):
        write_checkpoint(tmp_path / "checkpoint.pt", checkpoint(step))
    return tmp_path / "checkpoint.pt"


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def step(path: Path) -> int:
    saved = read_checkpoint(path)
    assert saved is not None
    return saved.step


def test_what_is_read_is_what_was_written(path: Path) -> None:
    saved = read_checkpoint(path)
    assert saved is not None
    for field in dataclasses.fields(Checkpoint):
        ours, theirs = getattr(checkpoint(2), field.name), getattr(saved, field.name)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_it_is_as_small_as_what_it_holds(path: Path) -> None:
    """Weights, the best of them, their averages, two moments of the optimizer; the generator; little else."""
    assert path.stat().st_size < 5 * 4 * NUMBERS + torch.get_rng_state().numel() + 5000


def test_a_bit_that_flips_is_noticed_wherever_it_is(path: Path) -> None:
    size, dice = 8 * path.stat().st_size, random.Random(0)
    for bit in [0, size - 1, *(dice.randrange(size) for _ in range(50))]:
        flip(path, bit)
        with pytest.raises(DataError, match="checkpoint.pt: the checkpoint is damaged"):
            read_checkpoint(path)
        flip(path, bit)
    assert step(path) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:500], lambda data: data[:-1], lambda _: b"", lambda _: b"text"])
def test_the_one_before_stands_in_for_a_damaged_one(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    note = restore_checkpoint(path)
    assert note == f"{path}: the newest checkpoint is damaged; going on from the one before"
    assert step(path) == 1
    assert not previous(path).exists()


def test_the_one_before_stands_in_for_one_that_was_never_put_in_place(path: Path) -> None:
    path.unlink()
    assert restore_checkpoint(path) is None
    assert step(path) == 1


def test_whole_ones_are_left_alone(path: Path) -> None:
    assert restore_checkpoint(path) is None
    assert step(path) == 2
    assert step(previous(path)) == 1


def test_where_both_are_damaged_it_is_said_in_a_sentence(path: Path) -> None:
    for one in (path, previous(path)):
        flip(one, 8000)
    assert restore_checkpoint(path) is None
    with pytest.raises(DataError, match=r"damaged, as is the one before; delete it to train from the start"):
        read_checkpoint(path)
    path.unlink()
    assert restore_checkpoint(path) is None
    assert read_checkpoint(path) is None


def test_it_cannot_run_code(path: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    buffer = io.BytesIO()
    torch.save({"step": Harmful()}, buffer)
    path.write_bytes(buffer.getvalue() + xxh3_128(buffer.getvalue()).digest())
    with pytest.raises(DataError, match="the checkpoint is damaged"):
        read_checkpoint(path)
    assert not (tmp_path / "harm").exists()


def test_one_that_cannot_be_written_leaves_those_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(bytes(data[:1000]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="cannot write .No space left on device."):
        write_checkpoint(path, checkpoint(3))
    assert (step(path), step(previous(path))) == (2, 1)
    assert sorted(one.name for one in path.parent.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_removed_it_is_gone_with_the_one_before(path: Path) -> None:
    remove_checkpoint(path)
    remove_checkpoint(path)
    assert list(path.parent.iterdir()) == []


class Stops(Observer):
    """Asks to stop after so many steps, and keeps what it is told."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.notes: list[str] = []

    def stop(self) -> bool:
        self.steps -= 1
        return self.steps == 0

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


class TestRun:
    @pytest.fixture
    def spec(self, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
        # a checkpoint after every step
        monkeypatch.setattr(gbench.train, "CHECKPOINT_SECONDS", 0.0)
        return resolve(Choices(model="cgcnn", split="formula", overrides={"training.epochs": 3, "model.hidden": 8}))

    @pytest.fixture
    def stopped(self, spec: RunSpec, tmp_path: Path) -> Path:
        """The checkpoint of a run that was stopped after 7 steps."""
        with pytest.raises(Interrupted):
            run_spec(spec, tmp_path, Stops(7))
        return tmp_path / spec.run_id / CHECKPOINT_FILE

    def test_from_the_one_before_it_ends_in_the_same_bytes(self, spec: RunSpec, stopped: Path, tmp_path: Path) -> None:
        run_spec(spec, tmp_path / "whole")
        flip(stopped, 70_001)
        observer = Stops(-1)
        run_spec(spec, tmp_path, observer)
        assert observer.notes == [f"{stopped}: the newest checkpoint is damaged; going on from the one before"]
        for name in ("weights.safetensors", "predictions.parquet"):
            assert (stopped.parent / name).read_bytes() == (tmp_path / "whole" / spec.run_id / name).read_bytes()
        assert not list(tmp_path.rglob("*.pt"))

    def test_damaged_with_the_one_before_it_fails_in_a_sentence(
        self, spec: RunSpec, stopped: Path, tmp_path: Path
    ) -> None:
        for one in (stopped, previous(stopped)):
            flip(one, 70_001)
        with pytest.raises(DataError, match="damaged, as is the one before"):
            run_spec(spec, tmp_path)
        error = read_result(stopped.parent).error
        assert error is not None
        assert error.traceback == ""

    def test_that_of_other_code_is_refused(self, spec: RunSpec, stopped: Path, tmp_path: Path) -> None:
        saved = read_checkpoint(stopped)
        assert saved is not None
        write_checkpoint(stopped, dataclasses.replace(saved, weights={"other.weight": torch.zeros(3)}))
        with pytest.raises(DataError, match="is of a model with other weights; delete it to train from the start"):
            run_spec(spec, tmp_path)

    def test_what_a_kill_before_cleaning_up_left_is_removed(self, spec: RunSpec, stopped: Path, tmp_path: Path) -> None:
        saved = stopped.read_bytes()
        made = run_spec(spec, tmp_path)
        stopped.write_bytes(saved)
        assert run_spec(spec, tmp_path) == made
        assert not stopped.exists()
