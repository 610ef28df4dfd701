"""The laws every network obeys, over every card."""

from typing import get_args

import pytest
from laws import CHANGES, NETWORKS, assert_holds

from gbench.cards import Level, Symmetry
from gbench.laws import estimators, networks
from gbench.registry import model_card, model_names


@pytest.mark.parametrize("name", NETWORKS)
class TestNetwork:
    @pytest.mark.parametrize("symmetry", sorted(CHANGES))
    def test_it_keeps_the_symmetries_its_card_claims_and_no_others(self, name: str, symmetry: Symmetry) -> None:
        assert_holds(networks.keeps_what_it_claims(name, symmetry))

    def test_predictions_differ_between_crystals(self, name: str) -> None:
        assert_holds(networks.predictions_differ(name))

    @pytest.mark.parametrize("level", ["graph", "node", "edge"])
    def test_a_batch_equals_its_members_alone(self, name: str, level: Level) -> None:
        if level not in model_card(name).levels:
            pytest.skip(f"{name} has no {level} head")
        assert_holds(networks.batch_equals_singles(name, level))

    def test_the_same_seed_gives_the_same_weights(self, name: str) -> None:
        assert_holds(networks.same_seed_same_weights(name))

    def test_gradients_reach_every_parameter(self, name: str) -> None:
        assert_holds(networks.gradients_reach_every_parameter(name))

    @pytest.mark.parametrize(("cell", "cutoff"), [(3.2, 5.0), (2.0, 8.5)], ids=["one atom", "300 neighbours"])
    def test_one_atom_cells_have_finite_predictions_and_gradients(self, name: str, cell: float, cutoff: float) -> None:
        assert_holds(networks.finite_on_one_atom(name, cell, cutoff))

    def test_embeddings_are_one_per_hop_and_the_input(self, name: str) -> None:
        assert_holds(networks.embeddings_are_one_per_hop(name))

    def test_it_overfits_ten_crystals(self, name: str) -> None:
        assert_holds(networks.overfits_ten_crystals(name))


def test_the_lone_atom_has_300_neighbours() -> None:
    assert len(networks.lone_atom("cgcnn", 2.0, 8.5).src) >= 300


@pytest.mark.parametrize("name", [name for name in model_names() if name not in NETWORKS])
class TestEstimator:
    @pytest.mark.parametrize("symmetry", sorted(CHANGES))
    def test_it_keeps_the_symmetries_its_card_claims_and_no_others(self, name: str, symmetry: Symmetry) -> None:
        finding = estimators.keeps_what_it_claims(name, symmetry)
        if finding.holds is None:
            pytest.skip(f"{name}: {finding.sentence}")
        assert_holds(finding)

    def test_the_same_seed_gives_the_same_predictions(self, name: str) -> None:
        assert_holds(estimators.same_seed_same_predictions(name))


BROKEN = {
    "gru": {
        "permutation": "listing the same atoms otherwise changes",
        "cell": "another choice of cell",
        "supercell": "or a supercell",
    },
    "cnn": {
        "translation": "translation bias, the latter up to its grid",
        "cell": "another choice of cell",
        "supercell": "or a supercell",
    },
    "trees": {"supercell": "a supercell is another input"},
}
"""What a model breaks, and how its card says so."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_breaks_a_law_says_so_on_its_card(name: str) -> None:
    card, laws = model_card(name), networks if name in NETWORKS else estimators
    assert set(CHANGES) - set(card.symmetries) == BROKEN[name].keys()
    assert all(words in card.description for words in BROKEN[name].values())
    for symmetry in get_args(Symmetry):
        finding = laws.keeps_what_it_claims(name, symmetry)
        expected = "not claimed, and not kept" if symmetry in BROKEN[name] else "claimed"
        assert (finding.holds, finding.note) == (True, expected), finding.sentence


def test_all_other_models_keep_every_symmetry() -> None:
    for name in set(model_names()) - BROKEN.keys():
        assert set(model_card(name).symmetries) == set(CHANGES), name
