"""Every card keeps the schema; a broken one says what and where."""

from pathlib import Path

import pytest
import yaml

from gbench.cards import DatasetCard, ModelCard, read_card
from gbench.choices import Choices, resolve
from gbench.content import content
from gbench.errors import CardError
from gbench.model import Model
from gbench.registry import dataset_card, dataset_names, model_card, model_class, model_names


@pytest.mark.parametrize("name", dataset_names())
def test_dataset_cards_are_valid(name: str) -> None:
    card = dataset_card(name)
    assert card.default_split in {"random", "formula", "cluster", "official"}


@pytest.mark.parametrize("name", model_names())
def test_model_cards_are_valid_and_their_settings_build(name: str) -> None:
    card = model_card(name)
    assert model_class(name).__module__ == f"gbench.baselines.{name}.model"
    for dataset in ("pbe_prototypes", *card.tuned):
        assert resolve(Choices(model=name, dataset=dataset)).model == name


@pytest.mark.parametrize("dataset", dataset_names())
@pytest.mark.parametrize("name", [name for name in model_names() if issubclass(model_class(name), Model)])
def test_networks_have_settings_for_the_size_of_every_dataset(name: str, dataset: str) -> None:
    """500 steps or more, and no more crystals shown than hours of one core allow."""
    card, data = model_card(name), dataset_card(dataset)
    targets = [target for target, about in data.targets.items() if about.level in card.levels]
    if not targets:
        pytest.skip(f"{name} has no head for {dataset}")
    training = resolve(Choices(model=name, dataset=dataset, target=targets[0])).training
    assert training is not None
    # a fifth is test, a tenth of the rest validation
    steps = training.epochs * (0.72 * data.crystals) / training.batch_size
    assert steps >= 500, f"{steps:.0f} steps"
    assert training.epochs * data.crystals < 3e6


def broken(folder: Path, **changes: object) -> Path:
    raw = yaml.safe_load((content("datasets") / "matbench_phonons" / "card.yaml").read_text())
    raw.update(changes)
    raw = {key: value for key, value in raw.items() if value is not None}
    path = folder / "matbench_phonons" / "card.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(raw))
    return path


def test_an_unknown_key_is_named_with_its_likely_spelling(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"unknown key 'licens'; did you mean 'licence'\?"):
        read_card(DatasetCard, broken(tmp_path, licens="MIT"))


def test_a_target_without_unit_is_refused(tmp_path: Path) -> None:
    target = {"level": "graph", "description": "x", "method": {"code": "y"}}
    with pytest.raises(CardError, match=r"card.yaml: key 'targets.last_phdos_peak.unit' is missing"):
        read_card(DatasetCard, broken(tmp_path, targets={"last_phdos_peak": target}))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="key 'licence' is missing"):
        read_card(DatasetCard, broken(tmp_path, licence=None))


def test_the_name_is_the_folders(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="name is 'other' but the folder is 'matbench_phonons'"):
        read_card(DatasetCard, broken(tmp_path, name="other"))


@pytest.mark.parametrize(("text", "message"), [("a: [", "not valid YAML"), ("- a", "a mapping")])
def test_what_is_not_a_card_says_so(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "card.yaml").write_text(text)
    with pytest.raises(CardError, match=message):
        read_card(ModelCard, tmp_path / "card.yaml")


def test_a_folder_without_card_says_so(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="every entry needs a card"):
        read_card(ModelCard, tmp_path / "card.yaml")
