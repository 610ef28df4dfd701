"""What the README shows works: its commands and its Python, with training cut short."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gbench.content import content_root

README = content_root() / "README.md"
MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]


def blocks(language: str) -> list[str]:
    """Fenced code blocks of a language; none where there is no README, as in a wheel."""
    text = README.read_text(encoding="utf-8") if README.is_file() else ""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The ``gbench`` lines of the shell blocks, comments removed."""
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("gbench")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.xdist_group("readme")
@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str, folder: Path) -> None:
    words = shlex.split(command)[1:]
    if words[0] == "run":
        words += ["--set", "training.epochs=1"]
    if words[0] == "tune":
        words += ["--set", "training.epochs=1", "--trials", "2"]
    if "./my_model" in words and not (folder / "my_model").exists():
        # another worker had the line before, and has a folder of its own
        run([*MAIN, "models", "new", "my_model"], folder)
    run([*MAIN, *words], folder)


@pytest.mark.xdist_group("readme")
@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, folder: Path) -> None:
    run([sys.executable, "-c", re.sub(r'"training.epochs": \d+', '"training.epochs": 1', code)], folder)


def test_every_link_leads_somewhere_and_nothing_is_left_to_fill_in() -> None:
    text = README.read_text(encoding="utf-8")
    assert "@@" not in text
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (content_root() / target).exists(), target


def test_there_is_something_to_run() -> None:
    assert len(commands()) >= 8
    assert len(blocks("python")) == 1
