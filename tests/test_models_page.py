"""The page on models says what is so: its table, its settings, its commands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_options import LACKING, MESSAGE_PASSING, OPTIONS
from test_plugins import PROJECT

from gbench.cards import ModelCard
from gbench.content import content_root
from gbench.laws import CHANGES
from gbench.model_facts import facts_of
from gbench.nn.options import AtomOptions, ConnectionOptions, DistanceOptions
from gbench.nn.stack import StackConfig
from gbench.registry import model_card, own_model_names

PAGE = content_root() / "docs" / "models.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]
pytestmark = pytest.mark.skipif(not TEXT, reason="a wheel has no docs")


def line(name: str) -> str:
    """A model's line of the table."""
    card, facts = model_card(name), facts_of(name)
    paper = "–"
    if card.paper:
        first, comma, _ = card.paper.authors.partition(",")
        paper = f"[{first}{' et al.' if comma else ''} {card.paper.year}]({card.paper.url})"
    cells = [
        f"[{name}](../baselines/{name}/card.yaml)",
        paper,
        " ".join(level[0] for level in card.levels),
        runs_on(card),
        "–" if facts.parameters is None else f"{facts.parameters:,}",
        "–" if facts.receptive_field is None else str(facts.receptive_field),
        ", ".join(change for change in CHANGES if change not in card.symmetries) or "–",
    ]
    return f"| {' | '.join(cells)} |"


def runs_on(card: ModelCard) -> str:
    return f"{card.framework}, dgl" if card.dgl else card.framework


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in block.splitlines()]


def test_the_table_is_that_of_the_cards() -> None:
    expected = [line(name) for name in own_model_names()]
    found = [row for row in TEXT.splitlines() if row.startswith("| [")]
    assert found == expected, "the table should be\n" + "\n".join(expected)


def test_the_settings_are_those_that_every_network_has() -> None:
    named = set(re.findall(r"`model\.(\w+)`", TEXT.partition("## Settings")[2].partition("```sh")[0]))
    shared = {key for options in OPTIONS for key in options} | {"basis", "basis_kind", "basis_stop", "framework"}
    assert named - {"blocks", "state"} == shared | set(StackConfig.model_fields)
    for options in (AtomOptions, ConnectionOptions, DistanceOptions):
        assert named >= set(options.model_fields)
    lacking = {name for name in MESSAGE_PASSING if "activation" in LACKING.get(name, ())}
    assert lacking == {"dimenetpp", "nequip", "painn"}, "the line on the activation names them"


@pytest.mark.parametrize("command", commands())
def test_its_commands_run(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)[1:]
    if "dgl" in words:
        pytest.importorskip("dgl")
    if words[0] == "run":
        words += ["--set", "training.epochs=1", "--no-floors", "--no-tracking"]
    done = subprocess.run(
        [*MAIN, *words], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr


def test_the_entry_point_is_of_the_kind_that_is_installed_in_the_tests() -> None:
    assert len(commands()) == 4
    (block,) = re.findall(r"^```toml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    heading, example = block.splitlines()
    assert heading in PROJECT
    assert re.fullmatch(r'my_model = "my_package\.my_model"', example)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (PAGE.parent / target).exists(), target
