"""``gbench splits audit`` and ``compare`` as a person calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]


def gbench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAIN, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def test_an_audit_ends_with_the_verdict(tmp_path: Path) -> None:
    done = gbench("splits", "audit", "random", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().splitlines()[-1] == "leak: 97 % of test crystals have a near-duplicate in train"
    assert "near-duplicate structure" in done.stdout
    assert {path.suffix for path in (tmp_path / "audits").iterdir()} == {".json", ".html"}


def test_json_is_the_card_and_nothing_else(tmp_path: Path) -> None:
    done = gbench("splits", "audit", "formula", "--json", "--depth", "quick", cwd=tmp_path)
    card = json.loads(done.stdout)
    assert card["verdict"] == "interpolation"
    assert card["split"]["scheme"] == "formula"
    assert not list(tmp_path.iterdir())


def test_schemes_are_compared_from_easy_to_hard(tmp_path: Path) -> None:
    options = ("--split", "cluster", "--split", "formula", "--split", "random")
    done = gbench("splits", "compare", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0] in options] == ["random", "formula", "cluster"]
    assert "strong shift" in done.stdout
    means = json.loads(gbench("splits", "compare", *options, "--fold", "all", "--json", cwd=tmp_path).stdout)
    assert {scheme: len(cards) for scheme, cards in means.items()} == {"random": 5, "formula": 5, "cluster": 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "random", "--fold", "9"], "fold 9 does not exist"),
        (["audit", "random", "--fold", "first"], "give a number from 0, or `all`"),
        (["audit", "random", "--target", "gaps"], "did you mean 'gap'?"),
        (["audit", "rndom"], "did you mean 'random'?"),
        (["audit", "random", "--freeze", "--fold", "1"], "leave out --fold 1"),
        (["audit", "random", "--freeze", "--set", "split.n_folds=3"], "gbench splits make random"),
        (["compare", "--split", "official"], "has no official folds"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = gbench("splits", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
