"""Killed at any moment, a run ends in the same bytes as one that was left alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import killed
import pytest

MEASURED = {
    "seconds_per_epoch", "train_seconds", "train_cpu_seconds", "train_crystals_per_second",
    "predict_crystals_per_second", "total_seconds", "peak_memory_mb",
}  # fmt: skip


def result(folder: Path) -> dict[str, Any]:
    """All of a Result that the same run always has."""
    made: dict[str, Any] = json.loads((folder / "result.json").read_text())
    del made["created"], made["environment"]
    made["cost"] = {name: value for name, value in made["cost"].items() if name not in MEASURED}
    return made


def history(folder: Path) -> list[dict[str, Any]]:
    epochs: list[dict[str, Any]] = json.loads((folder / "history.json").read_text())
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in epochs]


def assert_same_run(ours: Path, theirs: Path) -> None:
    """To the last bit of everything but times."""
    assert sorted(path.name for path in ours.iterdir()) == sorted(path.name for path in theirs.iterdir())
    for name in ("weights.safetensors", "predictions.parquet", "spec.json"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert result(ours) == result(theirs)
    assert history(ours) == history(theirs)


@pytest.mark.parametrize("targets", ["e_form", "e_form,gap"])
def test_killed_twenty_times_a_run_ends_in_the_same_bytes(targets: str, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    settings = ["--set", "training.epochs=12", "--set", "model.hidden=8", "--set", "training.ema=0.9"]
    done = subprocess.run(
        [sys.executable, killed.__file__, str(whole), str(part), targets, "1", *settings],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *kills, last = json.loads(done.stdout)
    assert (first, last) == (0, 0), done.stderr
    assert kills == [-signal.SIGKILL] * 20
    runs = sorted(path.name for path in whole.iterdir())
    assert len(runs) == len(targets.split(","))
    for run in runs:
        assert_same_run(whole / run, part / run)
