"""Duplicates are found, and nothing else is called one."""

import itertools
from typing import Any

import numpy as np
import pytest
from hand_made import caesium_chloride, dataset, doubled, rocksalt, split, water
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation

from gbench.audit import duplicates, matching
from gbench.audit.card import Duplicates
from gbench.audit.duplicates import FEWEST_ROWS, Search, find_duplicates
from gbench.audit.facts import Facts
from gbench.audit.fingerprints import fingerprints
from gbench.audit.measure import labelled_parts
from gbench.dataset import Dataset
from gbench.frozen import get_split
from gbench.splitting import Split, make_spec


def search(data: Dataset, parts: Split, seconds: float = 100.0) -> Duplicates:
    facts = Facts(data)
    return find_duplicates(Search(facts, labelled_parts(facts, parts, data.card.default_target), seconds))


def found(*tests: dict[str, Any], train: dict[str, Any]) -> dict[str, bool]:
    """Which test records have a duplicate in train, and whether it is exact."""
    data = dataset([train, *tests])
    pairs = search(data, split([0], range(1, len(tests) + 1))).examples
    return {pair.test: pair.exact for pair in pairs}


def test_copies_of_a_crystal_are_duplicates_and_polymorphs_are_not() -> None:
    salt = rocksalt("salt", 5.64)
    assert found(
        rocksalt("same", 5.64),
        doubled(salt, "doubled"),
        rocksalt("strained", 5.64 * 1.06),
        caesium_chloride("polymorph", 3.5),
        rocksalt("other elements", 6.29, cation=19),
        train=salt,
    ) == {"same": True, "doubled": True, "strained": False}


def test_an_exact_duplicate_is_found_behind_near_ones() -> None:
    records = [rocksalt(f"train {scale}", 5.64 * scale) for scale in (0.94, 1.0, 1.06)]
    card = search(dataset([*records, rocksalt("test", 5.64)]), split([0, 1, 2], [3]))
    assert [pair.model_dump() for pair in card.examples] == [{"test": "test", "train": "train 1.0", "exact": True}]
    assert card.compared == 1, "the nearest in volume comes first, and an exact one ends the search"


def test_a_slab_is_compared_with_slabs() -> None:
    open_axis = {"pbc": [True, True, False]}
    slab = rocksalt("slab", 5.64) | open_axis
    assert found(rocksalt("same", 5.64) | open_axis, train=slab) == {"same": True}


def test_molecules_are_compared_by_their_distances() -> None:
    molecule = water("water")
    turned = dict(
        molecule, id="turned", positions=Rotation.from_euler("xyz", [1, 2, 3]).apply(molecule["positions"]) + 5
    )
    renumbered = dict(molecule, id="renumbered", numbers=[1, 8, 1], positions=molecule["positions"][[2, 0, 1]])
    assert found(turned, renumbered, water("bent a little", 107), water("bent a lot", 120), train=molecule) == {
        "turned": True,
        "renumbered": True,
        "bent a little": False,
    }


def test_mirror_images_are_one_molecule() -> None:
    chiral = {"id": "left", "numbers": [6, 1, 9, 17, 35], "cell": None}
    positions = np.array([[0, 0, 0], [1, 1, 1], [-1.2, -1.2, 1.2], [-1.4, 1.4, -1.4], [1.6, -1.6, -1.6]]) * 0.8
    right = dict(chiral, id="right", positions=positions * [1, 1, -1])
    assert found(right, train=dict(chiral, positions=positions)) == {"right": True}


def test_single_atoms_are_alike() -> None:
    atom = {"numbers": [18], "positions": np.zeros((1, 3)), "cell": None}
    assert found(dict(atom, id="second"), train=dict(atom, id="first")) == {"second": True}


def brute_force(data: Dataset, parts: Split) -> set[str]:
    """Ids of test rows with a match in train, by the matcher on whole structures."""
    matcher, formulas = StructureMatcher(), Facts(data).formulas
    matched = set()
    for test, train in itertools.product(parts.test.tolist(), parts.train.tolist()):
        if formulas[test] == formulas[train]:
            first, second = sorted((test, train), key=lambda row: data.crystals.ids[row])
            one, other = data.crystals.to_pymatgen(first), data.crystals.to_pymatgen(second)
            assert isinstance(one, Structure)
            assert isinstance(other, Structure)
            if matcher.fit(one, other):
                matched.add(data.crystals.ids[test])
    return matched


def some(data: Dataset, rows: np.ndarray) -> Dataset:
    return Dataset(data.card.model_copy(update={"content_sha256": None}), data.crystals.take(rows))


def test_it_agrees_with_the_matcher_on_real_crystals(prototypes: Dataset, phonons: Dataset) -> None:
    for data in (prototypes, phonons):
        formulas = Facts(data).formulas
        names, counts = np.unique(formulas, return_counts=True)
        # two structure types of a compound, or polymorphs: where there is something to tell apart
        rich = names[np.argsort(-counts, kind="stable")[:12]]
        sample = some(data, np.flatnonzero(np.isin(formulas, rich)))
        parts = split(range(0, len(sample.crystals), 2), range(1, len(sample.crystals), 2))
        card = search(sample, parts)
        expected = brute_force(sample, parts)
        assert card.checked == len(parts.test)
        assert card.near.count == len(expected)
        assert {pair.test for pair in card.examples} <= expected


def test_a_bounded_search_says_how_far_it_went(prototypes: Dataset) -> None:
    parts = get_split(prototypes, make_spec("random"))
    whole, bounded = search(prototypes, parts), search(prototypes, parts, seconds=0.0)
    assert whole.checked == len(parts.test)
    assert bounded.checked == FEWEST_ROWS
    assert bounded.near.share == pytest.approx(whole.near.share, abs=0.05)


def test_processes_find_what_one_finds(prototypes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = get_split(prototypes, make_spec("random"))
    alone = search(prototypes, parts)
    monkeypatch.setattr(matching, "PARALLEL_SECONDS", 0.0)
    monkeypatch.setattr(matching, "cores", lambda: 2)
    assert search(prototypes, parts) == alone


def test_of_many_candidates_the_most_alike_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_CANDIDATES", 1)
    polymorphs = [caesium_chloride(f"train {number}", 3.5 + 0.01 * number) for number in range(5)]
    card = search(dataset([*polymorphs, rocksalt("copy", 5.64), rocksalt("test", 5.9)]), split(range(6), [6]))
    assert card.compared == 1
    assert [(pair.test, pair.train) for pair in card.examples] == [("test", "copy")]


def test_fingerprints_do_not_depend_on_cell_or_scale() -> None:
    salt = rocksalt("salt", 5.64)
    crystals = dataset(
        [salt, doubled(salt, "doubled"), rocksalt("strained", 7.0), caesium_chloride("other", 3.5)]
    ).crystals
    found = fingerprints(crystals)
    assert found[1] == pytest.approx(found[0], abs=1e-6)
    assert found[2] == pytest.approx(found[0], abs=1e-6)
    # six neighbours at half of the lattice constant; the primitive cell holds a quarter of its cube and two atoms
    assert found[0][:6] == pytest.approx(0.5 * 8 ** (1 / 3), abs=1e-6)
    assert abs(found[3] - found[0]).max() > 0.05
