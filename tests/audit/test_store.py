"""Stored cards are used for exactly what they were made for."""

import json
from pathlib import Path

import pytest
from hand_made import dataset, rocksalt, split

from gbench.audit import Facts, SplitCard, get_card, store
from gbench.audit.card import SCHEMA_VERSION
from gbench.audit.measure import assignment_sha256
from gbench.audit.store import card_path, read_cards, stored_card, write_cards
from gbench.content import content
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.frozen import get_split
from gbench.splitting import make_spec

SPEC = make_spec("random")
PARTS = split([0, 1, 2, 3], [4, 5])


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data() -> Dataset:
    return dataset([rocksalt(f"{number}", 5.0, number, 17) for number in (3, 11, 19, 37, 55, 47)])


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing may be measured."""

    def refuse(*_: object) -> SplitCard:
        raise AssertionError("measured again")

    monkeypatch.setattr(store, "audit", refuse)


def test_a_card_is_measured_once(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    card = get_card(data, PARTS, SPEC, "y")
    monkeypatch.setattr(store, "audit", None)
    assert get_card(data, PARTS, SPEC, "y") == card


def test_a_deeper_card_serves_and_a_shallower_does_not(data: Dataset) -> None:
    facts = Facts(data)
    get_card(facts, PARTS, SPEC, "y", "quick")
    assert stored_card(facts, PARTS, SPEC, "y", "full") is None
    full = get_card(facts, PARTS, SPEC, "y", "full")
    assert get_card(facts, PARTS, SPEC, "y", "quick") == full


def test_another_split_or_dataset_gets_its_own_card(data: Dataset) -> None:
    card = get_card(data, PARTS, SPEC, "y")
    assert stored_card(Facts(data), split([0, 1, 2], [4, 5], [3]), SPEC, "y", "quick") is None
    other = dataset([rocksalt(f"{number}", 5.1, number, 17) for number in (3, 11, 19, 37, 55, 47)])
    assert stored_card(Facts(other), PARTS, SPEC, "y", "quick") is None
    assert stored_card(Facts(data), PARTS, SPEC, "y", "quick") == card


def test_a_damaged_cache_file_is_measured_anew(data: Dataset, tmp_path: Path) -> None:
    card = get_card(data, PARTS, SPEC, "y")
    (path,) = (tmp_path / "cache" / "audits").glob("*.json")
    path.write_text("{", encoding="utf-8")
    assert get_card(data, PARTS, SPEC, "y") == card


def test_a_card_beside_the_split_is_used(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = get_card(data, PARTS, SPEC, "y", "full")
    folder = tmp_path / "splits"
    path = write_cards([card], folder)
    assert path == card_path("hand_made", "random", folder)
    assert read_cards(path) == (card,)
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(store, "content", lambda _: folder)
    monkeypatch.setattr(store, "audit", None)
    assert get_card(data, PARTS, SPEC, "y") == card


def test_cards_of_another_schema_are_passed_over_and_damaged_ones_refused(data: Dataset, tmp_path: Path) -> None:
    path = write_cards([get_card(data, PARTS, SPEC, "y")], tmp_path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(raw | {"schema_version": SCHEMA_VERSION + 1}), encoding="utf-8")
    assert read_cards(path) == ()
    path.write_text(json.dumps(raw | {"folds": [{}]}), encoding="utf-8")
    with pytest.raises(SplitError, match="missing"):
        read_cards(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(SplitError, match="not valid JSON"):
        read_cards(path)


COMMITTED = sorted(content("splits").glob("*/*.card.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_committed_cards_are_whole_and_small(path: Path) -> None:
    cards = read_cards(path)
    assert cards, "made for another schema: gbench splits audit --freeze"
    assert path.stat().st_size < 100_000
    assert [card.split["fold"] for card in cards] == list(range(len(cards)))
    assert {card.depth for card in cards} == {"full"}


@pytest.mark.parametrize("scheme", ["random", "formula", "cluster"])
def test_runs_find_the_committed_cards(prototypes: Dataset, scheme: str, unmeasured: None) -> None:
    facts = Facts(prototypes)
    for fold in range(5):
        spec = make_spec(scheme, fold=fold)
        parts = get_split(prototypes, spec)
        card = get_card(facts, parts, spec, "e_form")
        assert card.split_sha256 == parts.sha256 == assignment_sha256(facts, parts, "e_form")
        assert card.verdict == {"random": "leak", "formula": "interpolation", "cluster": "strong shift"}[scheme]
