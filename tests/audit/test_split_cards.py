"""Whole cards of real splits, and the laws they obey."""

import json

import numpy as np
import pytest
from hand_made import dataset, rocksalt, split

from gbench.audit import Facts, SplitCard
from gbench.audit.card import Depth
from gbench.audit.measure import audit
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.frozen import get_split
from gbench.splitting import Split, make_spec


class Cards:
    """Cards of one dataset, each measured once."""

    def __init__(self, data: Dataset) -> None:
        self.facts = Facts(data)
        self.known: dict[tuple[str, str, Depth], SplitCard] = {}

    def of(self, scheme: str, target: str = "e_form", depth: Depth = "full") -> SplitCard:
        key = scheme, target, depth
        if key not in self.known:
            spec = make_spec(scheme)
            self.known[key] = audit(self.facts, get_split(self.facts.dataset, spec), spec, target, depth)
        return self.known[key]


@pytest.fixture(scope="module")
def cards(prototypes: Dataset) -> Cards:
    return Cards(prototypes)


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_the_random_split_of_strained_copies_leaks_and_whole_formulas_do_not(cards: Cards, depth: Depth) -> None:
    random, formula, cluster = (cards.of(scheme, depth=depth) for scheme in ("random", "formula", "cluster"))
    assert random.verdict == "leak"
    assert random.duplicates.near.share > 0.9
    assert not random.ood
    assert formula.verdict == "interpolation"
    assert formula.duplicates.near.count == formula.shared.formula.count == 0
    assert cluster.verdict == "strong shift"
    assert cluster.ood
    assert "no formula in common" in cluster.why


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_the_official_phonon_folds_do_not_leak(phonons: Dataset, depth: Depth) -> None:
    card = Cards(phonons).of("official", "last_phdos_peak", depth)
    assert card.verdict == "interpolation"
    assert card.duplicates.near.share < 0.01
    if card.shared.formula_space_group:
        # published overlap over all folds is 0.6 %
        assert card.shared.formula_space_group.share < 0.02


def test_floors_rank_as_they_should(cards: Cards) -> None:
    floors = {floor.model: floor.value for floor in cards.of("random").floors}
    assert floors["trees"] < floors["knn"] < floors["dummy"]


def test_a_card_is_json_without_nan_and_comes_back(cards: Cards) -> None:
    card = cards.of("cluster")
    text = json.dumps(card.model_dump(mode="json"), allow_nan=False)
    assert SplitCard.model_validate_json(text) == card
    assert len(text) < 20_000, "five folds are to fit into 100 kB"


def shuffled(data: Dataset, parts: Split) -> tuple[Dataset, Split]:
    order = np.random.default_rng(3).permutation(len(data.crystals))
    place = np.argsort(order)
    moved = Dataset(data.card.model_copy(update={"content_sha256": None}), data.crystals.take(order))
    train, val, test = (np.sort(place[part]) for part in (parts.train, parts.val, parts.test))
    return moved, Split(train, val, test)


def test_the_order_of_rows_changes_no_measurement(cards: Cards, prototypes: Dataset) -> None:
    spec = make_spec("random")
    data, parts = shuffled(prototypes, get_split(prototypes, spec))
    moved, given = audit(Facts(data), parts, spec, "e_form"), cards.of("random")
    for one, other in zip(moved.floors, given.floors, strict=True):
        # sums over the atoms of a crystal may end on another last bit
        assert one.value == pytest.approx(other.value, rel=1e-6)
    apart = {"dataset_sha256", "split_sha256", "floors"}
    assert moved.model_dump(exclude=apart) == given.model_dump(exclude=apart)


def test_the_same_split_gives_the_same_card(cards: Cards, prototypes: Dataset) -> None:
    assert Cards(prototypes).of("cluster") == cards.of("cluster")


def test_targets_of_sites_are_audited_as_far_as_floors_go(cards: Cards) -> None:
    card = cards.of("formula", target="hirshfeld")
    assert card.level == "node"
    assert [floor.model for floor in card.floors] == ["dummy", "knn", "trees"]
    assert card.verdict == "interpolation"


def test_classes_are_scored_by_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(0)
    records = [
        rocksalt(f"{cation}-{anion}", 5.0 + rng.uniform(), cation, anion, y=float(anion in (9, 17)))
        for cation in (3, 11, 19, 37, 55)
        for anion in (9, 17, 35, 53)
    ]
    rows = rng.permutation(20)
    data = dataset(records, task="classification")
    card = audit(Facts(data), split(np.sort(rows[:14]), np.sort(rows[14:])), make_spec("random"), "y")
    assert {floor.metric for floor in card.floors} == {"roc_auc"}
    assert {floor.model: floor.value for floor in card.floors}["dummy"] == 0.5


def test_held_out_groups_are_measured() -> None:
    records = [rocksalt(f"{cation}-{anion}", 5.0, cation, anion) for cation in (3, 11, 19) for anion in (9, 17, 35)]
    card = audit(Facts(dataset(records)), split(range(6), [6, 7, 8]), make_spec("random"), "y")
    assert {(group.kind, group.name, group.count) for group in card.held_out} == {("element", "K", 3)}
    assert card.shared.chemical_system.count == 0


def test_labels_out_of_range_are_a_strong_shift() -> None:
    records = [rocksalt(f"{row:02d}", 5.0, cation, 17, y=row) for row, cation in enumerate((3, 11, 19, 37, 55) * 6)]
    card = audit(Facts(dataset(records)), split(range(20), range(20, 30)), make_spec("random"), "y", "quick")
    assert card.target_shift.ks == 1


def test_rows_without_labels_do_not_count() -> None:
    records = [rocksalt(f"{row}", 5.0 + row, y=float("nan") if row in (1, 3) else row) for row in range(6)]
    data = dataset(records)
    card = audit(Facts(data), split([0, 1, 2], [3, 4, 5]), make_spec("random"), "y", "quick")
    assert card.sizes.model_dump() == {"train": 2, "val": 0, "test": 2}
    with pytest.raises(SplitError, match="no row of the test part has a label for 'y'"):
        audit(Facts(data), split([0, 1, 2], [3]), make_spec("random"), "y", "quick")
