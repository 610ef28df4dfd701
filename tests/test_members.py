"""Several networks that learn side by side and predict together."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from jointly import CGCNN
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from torch import nn

import gbench
from gbench.cards import validate
from gbench.choices import Choices, resolve
from gbench.errors import SpecError
from gbench.members import Members, together
from gbench.model import Head, Model
from gbench.model_facts import facts_of
from gbench.new_model import write_new_model
from gbench.observer import Observer
from gbench.prepare import make_task, prepare
from gbench.result import WEIGHTS_FILE, read_predictions
from gbench.spec import RunSpec, Training
from gbench.train import Fit, fit, predict

TINY = {"training.epochs": 1, "training.batch_size": 100, "training.clip_norm": None, "model.hidden": 8}


def spec(**overrides: object) -> RunSpec:
    return resolve(Choices(model="cgcnn", split="formula", overrides={**TINY, **overrides}))


def one(number: int = 0) -> Model:
    """The network that is built after ``number`` others."""
    made = [CGCNN(CGCNN.Config.model_validate(spec().config), Head()) for _ in range(number + 1)]
    return made[number]


def train(model: Model, members: int, checkpoint: Path) -> Fit:
    """With the weights the model was built with."""
    given = spec(**{"training.members": members})
    assert given.training is not None
    task = make_task(prepare(given, Observer()), CGCNN)
    return fit(lambda: model, task, given.training, 0, checkpoint, lambda _: None)


def test_a_member_learns_what_it_would_learn_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = one(), one(1)
    copies = [one() for _ in range(2)]
    for copy, source in zip(copies, (first, second), strict=True):
        copy.load_state_dict(source.state_dict())
    alone = [train(model, 1, tmp_path / "alone") for model in (first, second)]
    side_by_side = train(Members(copies), 2, tmp_path / "together")
    for fitted, member in zip(alone, copies, strict=True):
        for name, tensor in fitted.model.state_dict().items():
            assert_allclose(member.state_dict()[name], tensor, atol=1e-5, err_msg=name)
    task = make_task(prepare(spec(), Observer()), CGCNN)
    rows = task.split.test
    mean = sum(predict(fitted, task, rows, 100) for fitted in alone) / 2
    assert_allclose(predict(side_by_side, task, rows, 100), mean, atol=1e-4)


def test_members_start_from_different_weights() -> None:
    made = together(one, 3)
    assert isinstance(made, Members)
    # learned elements start from zero in all of them
    starts = [nn.utils.parameters_to_vector(member.parameters()) for member in made.members]
    assert not torch.equal(starts[0], starts[1]) and not torch.equal(starts[1], starts[2])
    assert made.n_parameters == 3 * one().n_parameters
    assert made.hops == one().hops


def test_one_member_is_the_network_itself_and_the_same_run() -> None:
    assert isinstance(together(one, 1), CGCNN)
    assert spec(**{"training.members": 1}).run_id == spec().run_id != spec(**{"training.members": 2}).run_id
    assert "members" not in json.loads(spec().canonical())["training"]


@pytest.mark.parametrize("members", [0, -1, 101, 1.5, "two"])
def test_as_many_members_as_make_sense(members: object) -> None:
    with pytest.raises(SpecError, match="members"):
        validate(Training, {"members": members}, "training", SpecError)


def test_a_run_of_members_keeps_all_their_weights(tmp_path: Path) -> None:
    result = gbench.run(
        "cgcnn", results=tmp_path, split="formula", overrides={**TINY, "training.members": 2, "training.epochs": 2}
    )
    weights = load_file(tmp_path / result.run_id / WEIGHTS_FILE)
    assert {name.split(".")[1] for name in weights if name.startswith("members.")} == {"0", "1"}
    assert result.cost is not None and result.cost.parameters == 2 * one().n_parameters
    assert np.isfinite(read_predictions(tmp_path / result.run_id).prediction).all()


def test_parameters_are_those_of_all_members(tmp_path: Path) -> None:
    write_new_model("alone", tmp_path)
    write_new_model("trio", tmp_path)
    path = tmp_path / "trio" / "card.yaml"
    card = yaml.safe_load(path.read_text())
    card["defaults"].setdefault("training", {})["members"] = 3
    path.write_text(yaml.safe_dump(card))
    alone, trio = (facts_of(str(tmp_path / name)).parameters for name in ("alone", "trio"))
    assert alone and trio == 3 * alone
