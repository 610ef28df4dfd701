"""Distances and the classifier, where the answer is known."""

import numpy as np
import pytest
from hand_made import dataset, rocksalt, split

from gbench.audit.classifier import tell_apart
from gbench.audit.facts import Facts
from gbench.audit.measure import labelled_parts
from gbench.audit.shift import composition_distance, histogram, structure_distance
from gbench.dataset import Dataset
from gbench.splitting import Split, make_spec, make_split

ALKALI, HALOGEN = (3, 11, 19, 37, 55), (9, 17, 35, 53)
CHALCOGENIDES = [(cation, anion) for cation in (12, 20, 38, 56) for anion in (8, 16, 34, 52)]
HALIDES = [(cation, anion) for cation in ALKALI for anion in HALOGEN]


def salts(pairs: list[tuple[int, int]], copies: int = 1) -> list[dict[str, object]]:
    return [
        rocksalt(f"{cation}-{anion}-{copy}", 5.0 + 0.2 * copy, cation, anion)
        for cation, anion in pairs
        for copy in range(copies)
    ]


def test_known_compositions_are_at_distance_zero() -> None:
    facts = Facts(dataset(salts(HALIDES, copies=2)))
    parts = labelled_parts(facts, split(range(0, 40, 2), range(1, 40, 2)), "y")
    found = composition_distance(facts, parts)
    assert found.test == 0
    assert found.ratio == 0
    assert found.random > 0


def test_one_composition_has_no_shift() -> None:
    facts = Facts(dataset(salts([(11, 17)], copies=6)))
    parts = labelled_parts(facts, split([0, 1, 2, 3], [4, 5]), "y")
    assert composition_distance(facts, parts).ratio == 1
    assert np.isfinite(structure_distance(facts, parts).ratio)


def test_another_chemistry_is_further_than_chance() -> None:
    facts = Facts(dataset(salts(HALIDES + CHALCOGENIDES)))
    apart = labelled_parts(facts, split(range(20), range(20, 36)), "y")
    found = composition_distance(facts, apart)
    assert found.test > found.random_highest
    assert found.ratio > 1.5


def test_shares_of_a_histogram_add_up_to_one() -> None:
    rng = np.random.default_rng(0)
    drawn = histogram(rng.normal(size=500), rng.normal(3, 1, size=2000))
    assert sum(drawn.test) == pytest.approx(1, abs=0.01)
    assert sum(drawn.other) == pytest.approx(1, abs=0.01)
    assert len(drawn.edges) == len(drawn.test) + 1
    flat = histogram(np.ones(5), np.ones(9))
    assert max(flat.test) == max(flat.other) == 1


@pytest.mark.parametrize("seed", range(2))
def test_the_classifier_tells_clusters_and_not_random_parts(prototypes: Dataset, seed: int) -> None:
    facts = Facts(prototypes)

    def auc(parts: Split) -> float:
        found = tell_apart(facts, labelled_parts(facts, parts, "e_form"))
        assert found is not None
        return found.auc

    # folds of whole formulas are a little below one half by construction: what train has more of, test has less of
    assert 0.35 < auc(make_split(prototypes, make_spec("random", seed=seed))) < 0.6
    assert 0.35 < auc(make_split(prototypes, make_spec("formula", seed=seed))) < 0.6
    assert auc(make_split(prototypes, make_spec("cluster", seed=seed))) > 0.9


def test_too_little_to_tell_apart_is_said_so() -> None:
    facts = Facts(dataset(salts(HALIDES)))
    assert tell_apart(facts, labelled_parts(facts, split(range(18), [18, 19]), "y")) is None
