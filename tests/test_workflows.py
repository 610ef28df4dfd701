"""GitHub workflows: whole, least-privileged, and of commands that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gbench.cli.app import app

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="a source distribution holds no workflows")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8") if (ROOT / "Makefile").is_file() else ""


def read(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return workflow


def steps(workflow: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def lines(workflow: dict[Any, Any]) -> list[str]:
    return [line for step in steps(workflow) if "run" in step for line in step["run"].splitlines()]


def commands(start: str) -> list[str]:
    found = [line for path in WORKFLOWS for line in lines(read(path)) if line.startswith(start)]
    return sorted(set(found))


def test_there_are_workflows_of_tests_regressions_submissions_and_the_site() -> None:
    assert {"tests", "regression", "submission", "site"} <= {path.stem for path in WORKFLOWS}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
class TestWorkflow:
    def test_every_job_ends_and_every_step_does_something(self, path: Path) -> None:
        workflow = read(path)
        # YAML 1.1 reads the key `on` as true
        assert workflow[True]
        for job in workflow["jobs"].values():
            assert job["timeout-minutes"] <= 60
            assert all(("run" in step) != ("uses" in step) for step in job["steps"])

    def test_code_of_a_pull_request_sees_no_secret(self, path: Path) -> None:
        workflow = read(path)
        assert "pull_request_target" not in workflow[True]
        assert workflow["permissions"] == {"contents": "read"}
        assert "secrets." not in path.read_text(encoding="utf-8")

    def test_nothing_that_a_stranger_writes_is_pasted_into_a_shell(self, path: Path) -> None:
        for line in lines(read(path)):
            assert "${{" not in line, line

    def test_actions_are_of_a_major_version(self, path: Path) -> None:
        for step in steps(read(path)):
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v0"))


def test_every_gbench_command_exists_with_its_options() -> None:
    assert commands("gbench ")
    for line in commands("gbench "):
        words = shlex.split(line)[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_file_a_gbench_command_names_is_there() -> None:
    for line in commands("gbench "):
        for word in shlex.split(line):
            assert "/" not in word or (ROOT / word).exists(), line


def test_every_make_target_exists() -> None:
    assert commands("make ")
    for line in commands("make "):
        assert re.search(rf"^{line.split()[1]}:", MAKEFILE, flags=re.MULTILINE), line
