"""Specs of several targets: one training whichever is named first, and targets alone as they were."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jointly import ORBITALS, choices, spec

from gbench.choices import Choices, check, resolve, resolve_each
from gbench.commands import brief_command
from gbench.content import content
from gbench.errors import GbenchError, SpecError
from gbench.spec import RunSpec

PUBLISHED = sorted(content("leaderboard").glob("results/*/*/*/result.json"))


@pytest.mark.parametrize("path", PUBLISHED, ids=[path.parent.name for path in PUBLISHED])
def test_published_runs_of_one_target_keep_their_names_and_their_form(path: Path) -> None:
    written = json.loads(path.read_text())["spec"]
    one = RunSpec.model_validate(written)
    assert one.run_id == path.parent.name
    assert one.model_dump(mode="json").keys() == written.keys()
    assert one.together() == (one,)
    assert one.learned == (one.target,)


@given(st.permutations(ORBITALS), st.permutations(ORBITALS))
def test_it_does_not_matter_which_target_is_named_first(ours: list[str], theirs: list[str]) -> None:
    first, second = (resolve_each(choices(*targets)) for targets in (ours, theirs))
    assert first == second
    assert [one.target for one in first] == sorted(ours)
    assert all(one.together() == first for one in first)
    assert len({one.run_id for one in first}) == 3


def test_a_target_beside_others_is_another_run_than_alone() -> None:
    together, alone = spec("gap", "homo"), spec("gap")
    assert together.run_id != alone.run_id
    assert together.model_copy(update={"beside": ()}).run_id == alone.run_id
    assert spec("gap", "gap") == alone


def test_it_survives_json_and_is_checked() -> None:
    one = spec("homo", "lumo", "gap")
    assert one.beside == ("gap", "lumo")
    again = RunSpec.model_validate_json(one.model_dump_json())
    assert (again, again.run_id) == (one, one.run_id)
    assert check(again) == one
    assert "--target homo,gap,lumo" in brief_command(one)


@pytest.mark.parametrize(
    ("beside", "message"),
    [(["gap"], "beside names the target 'gap' itself"), (["homo", "homo"], "names a target twice")],
)
def test_a_spec_names_each_target_once(beside: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunSpec.model_validate({**spec("gap").model_dump(), "beside": beside})


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("gap", "charge"), "qm9_mini/gap is a graph target of regression and charge a node target of regression"),
        (("gap", "hommo"), "no target of qm9_mini 'hommo'; did you mean 'homo'?"),
    ],
)
def test_what_no_network_can_learn_together_is_refused(targets: Sequence[str], message: str) -> None:
    with pytest.raises(GbenchError, match=message.replace("?", r"\?")):
        spec(*targets)


def test_a_model_that_fits_itself_has_the_runs_of_each_target_alone() -> None:
    chosen = Choices(model="trees", dataset="qm9_mini", target="homo", beside=("gap",))
    alone = [resolve(Choices(model="trees", dataset="qm9_mini", target=target)) for target in ("gap", "homo")]
    assert list(resolve_each(chosen)) == alone
    with pytest.raises(SpecError, match="model 'trees' learns each target for itself"):
        check(alone[0].model_copy(update={"beside": ("homo",)}))


def test_a_split_by_labels_is_one_split_for_all() -> None:
    both = resolve_each(choices("homo", "gap").model_copy(update={"split": "extrapolation"}))
    assert [one.split.model_dump()["target"] for one in both] == ["homo", "homo"]
