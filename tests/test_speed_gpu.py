"""The speed table of a GPU: what would run is said anywhere, and the clock's code runs on any device."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "speed" / "gpu.sh"
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


def gpu(*options: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": python}
    return subprocess.run([str(SCRIPT), *options], env=environment, capture_output=True, text=True)


def test_a_dry_run_says_what_would_run(tmp_path: Path) -> None:
    done = gpu("--dry-run", "--out", str(tmp_path / "figures.md"), "gcn", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert said["command"] == f"{sys.executable} -m benchmarks.speed.models --device cuda gcn --rounds 2"
    assert said["figures"] == str(tmp_path / "figures.md")
    assert list(said) == ["gpu", "command", "figures"]
    assert not list(tmp_path.iterdir())


@without_gpu
def test_without_a_gpu_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    done = gpu("--out", str(tmp_path / "figures.md"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: torch sees no CUDA device here; run this on a machine with an NVIDIA GPU")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "python", "sentence"),
    [(["--out"], sys.executable, "error: --out needs the name of a file"),
     ([], "/bin/false", "error: /bin/false cannot import torch; name another interpreter: PYTHON=")],
)  # fmt: skip
def test_slips_are_answered(options: list[str], python: str, sentence: str) -> None:
    done = gpu(*options, python=python)
    assert done.returncode == 2
    assert sentence in done.stderr


@without_gpu
def test_the_table_refuses_a_device_that_is_not_there() -> None:
    command = [sys.executable, "-m", "benchmarks.speed.models", "gcn", "--device", "cuda"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--device cuda: torch" in done.stderr


def test_figures_succeed_whole_or_not_at_all(tmp_path: Path) -> None:
    """With an interpreter that plays a machine with a GPU, once one that fails in the middle."""
    for number, status in enumerate((0, 3)):
        python = tmp_path / f"python{number}"
        python.write_text(
            f'#!/bin/sh\n[ "$1" = -c ] && echo "NVIDIA H100 80GB HBM3" && exit\necho "| a |"; exit {status}\n'
        )
        python.chmod(0o755)
        out = tmp_path / f"figures{number}.md"
        done = gpu("--out", str(out), python=str(python))
        assert done.returncode == status
        assert out.is_file() == (status == 0)
    assert (tmp_path / "figures0.md").read_text() == "| a |\n"
    assert not list(tmp_path.glob("*.part"))
    dry = gpu("--dry-run", python=str(tmp_path / "python0"))
    assert "figures  benchmarks/speed/nvidia-h100-80gb-hbm3-" in dry.stdout


def test_the_clock_runs_on_any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.speed import cgcnn_epoch, models

    monkeypatch.setattr(cgcnn_epoch, "CRYSTALS", 40)
    graphs = models.Graphs.of(cgcnn_epoch.generated(), whole=False)
    own, peer = models.on_device(["gcn", "PyG GCNConv"], graphs, 1, torch.device("cpu"))
    assert (own[0], peer[0]) == ("gcn", "PyG GCNConv")
    assert len(own) == len(peer) == 8
    assert own[3] == "" and float(peer[3]) > 0
