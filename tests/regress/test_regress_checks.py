"""What counts as a regression, and how it is said."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gbench.environment import environment
from gbench.errors import SpecError
from gbench.regress import run, speed
from gbench.regress.checks import Check, check_published
from gbench.regress.output import junit, markdown
from gbench.regress.published import Pair, again
from gbench.regress.suite import PublishedCase, SpeedCase
from gbench.stats import rises

MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]


def repeated(rng: np.random.Generator, *, rise: float = 0.0, seeds: int = 5, seed_noise: float = 0.0) -> pd.DataFrame:
    """Errors of 100 items over seeds, before and after."""
    hardness, frames = rng.lognormal(sigma=0.5, size=100), []
    for seed in range(seeds):
        factors = 1 + rng.normal(scale=seed_noise, size=2) + [0, rise]
        before, after = factors[:, None] * hardness * (1 + rng.normal(scale=0.2, size=(2, 100)))
        items = np.arange(100)
        frames.append(
            pd.DataFrame(
                {"task": "t", "seed": seed, "item": items, "group": items // 2, "before": before, "after": after}
            )
        )
    return pd.concat(frames)


def rise_of(errors: pd.DataFrame) -> dict[str, Any]:
    (found,) = rises(errors).to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_a_rise_is_found_and_its_size_is_told(rng: np.random.Generator) -> None:
    found = rise_of(repeated(rng, rise=0.2, seed_noise=0.02))
    assert found["p_holm"] < 0.01
    assert 0.1 < found["rise"] < 0.3
    assert (found["seeds"], found["items"]) == (5, 100)


def test_a_fall_is_no_rise(rng: np.random.Generator) -> None:
    assert rise_of(repeated(rng, rise=-0.2))["p"] > 0.9


def test_equal_errors_are_no_rise(rng: np.random.Generator) -> None:
    errors = repeated(rng)
    assert rise_of(errors.assign(after=errors["before"]))["p_holm"] == 1.0


def test_one_unlucky_seed_or_item_is_no_rise(rng: np.random.Generator) -> None:
    errors = repeated(rng)
    seed = errors.assign(after=errors["before"] * np.where(errors["seed"] == 0, 2.0, 1.0))
    item = errors.assign(after=errors["before"] + np.where(errors["item"] == 0, 50.0, 0.0))
    assert rise_of(seed)["p_items"] < 0.01
    assert rise_of(seed)["p"] > 0.1
    assert rise_of(item)["p_seeds"] < 0.01
    assert rise_of(item)["p"] > 0.1


def test_new_random_numbers_alone_are_seldom_a_rise() -> None:
    rng = np.random.default_rng(0)
    frames = [repeated(rng, seed_noise=0.06).assign(task=task) for task in range(150)]
    p_values = rises(pd.concat(frames))["p"]
    assert (p_values < 0.05).mean() < 0.06 + 0.05


def ratios(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    found: Iterator[float] = iter(values)
    monkeypatch.setattr(run, "speed_ratio", lambda _: next(found))


def test_a_speed_is_a_regression_only_if_it_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    case = SpeedCase(work="collate", slower_by=0.15)
    ratios(monkeypatch, 1.3, 1.28, 1.31)
    slow = run._speed(case, 1.0)
    assert not slow.ok
    assert "31% longer" in slow.why
    ratios(monkeypatch, 1.3, 1.02)
    assert run._speed(case, 1.0).ok
    ratios(monkeypatch, 0.5)
    assert run._speed(case, 1.0).ok


def test_the_ratio_is_of_medians_so_interruptions_do_not_matter() -> None:
    now = 0.0

    def spend(seconds: float, call: int) -> None:
        nonlocal now
        now += seconds + (50 if call % 5 == 0 else 0)

    timing = speed.Timing(101, lambda: now)
    ratio = speed._median_ratio(lambda call: spend(1.3, call), lambda call: spend(1.0, call + 1), timing)
    assert ratio == pytest.approx(1.3)


@pytest.mark.parametrize("work", ["collate", "step"])
def test_work_and_kernel_can_be_timed(work: speed.Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(speed.TIMINGS, work, speed.TIMINGS[work]._replace(calls=3))
    assert speed.speed_ratio(work) > 0


def test_published_scores_are_reached_by_running_again() -> None:
    pairs = again(PublishedCase(model="dummy", split="cluster", tolerance=1e-6))
    assert {pair.fold for pair in pairs} == set(range(5))
    assert all(pair.now == pytest.approx(pair.published, rel=1e-9) for pair in pairs)


def test_a_score_beyond_its_tolerance_is_a_regression_either_way() -> None:
    case = PublishedCase(model="trees", split="formula", tolerance=0.02)
    assert check_published(case, [Pair(0, 1.0, 1.01), Pair(1, 1.0, 0.99)]).ok
    for now in (1.03, 0.97):
        check = check_published(case, [Pair(0, 1.0, 1.0), Pair(1, 1.0, now)])
        assert not check.ok
        assert f"fold 1 is {now}" in check.why


def test_what_was_never_published_is_refused() -> None:
    with pytest.raises(SpecError, match="no published result of 'gru'"):
        again(PublishedCase(model="gru", split="cluster", tolerance=0.1))


@pytest.fixture
def report() -> run.Report:
    good = Check(kind="graphs", name="a", ok=True, expected="x", found="x")
    bad = Check(kind="speed", name="b<|>", ok=False, expected="1", found="2", limit="+15%", why="slow | slower")
    known = environment()
    return run.Report(suite="s.yaml", checks=(good, bad), seconds=3.0, environment=known, reference=known)


def test_junit_holds_a_case_per_check_and_the_failure(report: run.Report) -> None:
    root = ET.fromstring(junit(report))
    assert root.attrib["tests"] == "2"
    assert root.attrib["failures"] == "1"
    cases = root.findall("testcase")
    assert [case.attrib["classname"] for case in cases] == ["regress.graphs", "regress.speed"]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "slow | slower"
    assert cases[0].find("failure") is None


def test_the_comment_begins_with_the_verdict_and_its_table_is_whole(report: run.Report) -> None:
    text = markdown(report)
    assert text.startswith("### Regression: 1 of 2 checks failed (speed)")
    assert "- **speed / b<\\|>**: slow \\| slower" in text
    assert "gbench regress record s.yaml" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert {line.replace("\\|", "").count("|") for line in table} == {7}
    assert markdown(report.model_copy(update={"checks": report.checks[:1]})).startswith("### No regression: 1 check")


class TestCommand:
    """As a person and a CI job meet it."""

    def gbench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*MAIN, "regress", *arguments], capture_output=True, text=True, check=False)

    def test_exit_codes_and_files(self, tmp_path: Path) -> None:
        suite = tmp_path / "suite.yaml"
        suite.write_text("published: [{model: dummy, split: cluster, tolerance: 0.000001}]")
        recorded = self.gbench("record", str(suite))
        assert recorded.returncode == 0, recorded.stderr
        assert f"gbench regress run {suite}" in recorded.stdout
        files = ["--junit", str(tmp_path / "out" / "j.xml"), "--markdown", str(tmp_path / "m.md")]
        good = self.gbench("run", str(suite), *files)
        assert good.returncode == 0, good.stderr
        assert "No regression: 1 check in" in good.stdout
        assert ET.parse(tmp_path / "out" / "j.xml").getroot().attrib["failures"] == "0"
        assert (tmp_path / "m.md").read_text().startswith("### No regression")
        as_json = json.loads(self.gbench("run", str(suite), "--json").stdout)
        assert as_json["ok"] is True
        assert as_json["checks"][0]["kind"] == "published"
        missing = self.gbench("run", str(tmp_path / "none.yaml"))
        assert missing.returncode == 2
        assert missing.stderr.startswith("error: ")
        assert "Traceback" not in missing.stderr

    def test_a_regression_ends_with_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import typer

        from gbench.cli.regress import run_regress

        bad = Check(kind="graphs", name="a", ok=False, expected="x", found="y", why="others")
        known = environment()
        made = run.Report(suite="s.yaml", checks=(bad,), seconds=1.0, environment=known, reference=known)
        monkeypatch.setattr(run, "run_suite", lambda path, say: made)
        with pytest.raises(typer.Exit) as ended:
            run_regress(Path("s.yaml"))
        assert ended.value.exit_code == 1
