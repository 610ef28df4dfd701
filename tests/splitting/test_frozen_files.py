"""Every frozen file is small, belongs to its dataset, and is what the scheme gives today."""

from pathlib import Path

import pytest

from gbench.audit.store import card_path, read_cards
from gbench.content import content
from gbench.dataset import Dataset, load
from gbench.errors import FetchError
from gbench.frozen import frozen_path, read_frozen
from gbench.splitting import fold_count, make_spec, make_split

FILES = sorted(path for path in content("splits").glob("*/*.json") if not path.name.endswith(".card.json"))
MOST_BYTES_PER_ROW_AND_FOLD = 1.5


def dataset_of(path: Path) -> Dataset:
    try:
        return load(path.parent.name)
    except FetchError as error:
        pytest.skip(f"needs {path.parent.name}: {error}")


def test_the_datasets_of_the_suite_have_frozen_splits() -> None:
    have = {(path.parent.name, path.stem) for path in FILES}
    for dataset, schemes in {
        "pbe_prototypes": ("random", "formula", "cluster"),
        "qm9_mini": ("random", "formula", "cluster"),
        "matbench_phonons": ("official", "formula", "cluster"),
        "mp36k": ("random", "formula", "cluster"),
    }.items():
        assert {(dataset, scheme) for scheme in schemes} <= have


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_is_what_its_scheme_gives(path: Path) -> None:
    dataset = dataset_of(path)
    frozen = read_frozen(path, dataset)
    spec = make_spec(**frozen.spec)
    assert path == frozen_path(dataset.card.name, spec.scheme)
    assert len(frozen.folds) == fold_count(dataset, spec)
    # one fold shows it: all folds of a scheme come from one grouping
    last = spec.model_copy(update={"fold": len(frozen.folds) - 1})
    assert make_split(dataset, last).sha256 == frozen.folds[-1].sha256
    rows = len(dataset.crystals) * len(frozen.folds)
    assert path.stat().st_size < 1000 + 300 * len(frozen.folds) + MOST_BYTES_PER_ROW_AND_FOLD * rows


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_has_its_card(path: Path) -> None:
    cards = read_cards(card_path(path.parent.name, path.stem))
    assert cards and all(card.depth == "full" for card in cards)
