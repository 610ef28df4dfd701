"""Trees and nearest neighbours: kinds, levels, and specs that keep their names."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from available import loaded
from hypothesis import given, settings
from hypothesis import strategies as st
from structures import crystal

from gbench.cards import Level
from gbench.choices import Choices, check, resolve
from gbench.content import content
from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.dataset import Dataset, load
from gbench.errors import SpecError
from gbench.features import pair_features, site_statistics
from gbench.graphs import build_graphs
from gbench.model import MOST_ITEMS, Estimator, Head, Inputs
from gbench.registry import model_class
from gbench.spec import GraphSpec, RunSpec

BOOSTED = {"model.kind": "hist-gradient-boosting"}
PUBLISHED = sorted(content("leaderboard").glob("results/*/trees/*/result.json"))


def estimator(name: str, level: Level = "graph", *, directed: bool = False, **config: object) -> Estimator:
    kind = model_class(name)
    assert issubclass(kind, Estimator)
    return kind(kind.Config.model_validate(config), Head(level, directed=directed), 0)


def inputs(crystals: Crystals) -> Inputs:
    return Inputs(crystals, build_graphs(crystals, GraphSpec(on_short="grow")))


@pytest.mark.parametrize("path", PUBLISHED, ids=[path.parent.name for path in PUBLISHED])
def test_published_runs_of_trees_keep_their_names(path: Path) -> None:
    spec = check(RunSpec.model_validate(json.loads(path.read_text())["spec"]))
    assert spec.run_id == path.parent.name
    split = spec.split.model_dump(exclude={"scheme", "fold"})
    chosen = {f"split.{key}": value for key, value in split.items()}
    again = Choices(
        model="trees", dataset=spec.dataset, target=spec.target, split=spec.split.scheme, fold=spec.split.fold,
        seed=spec.seed, overrides=chosen,
    )  # fmt: skip
    assert resolve(again).run_id == path.parent.name


def test_boosting_is_another_run_with_settings_of_its_own() -> None:
    plain, boosted = (resolve(Choices(model="trees", overrides=o)) for o in ({}, BOOSTED))
    assert plain.config == {"trees": 300, "max_features": 0.5, "min_samples_leaf": 1}
    assert boosted.config["learning_rate"] == 0.05
    assert boosted.config["min_samples_leaf"] == 20
    assert RunSpec.model_validate_json(boosted.model_dump_json()).run_id == boosted.run_id != plain.run_id


def test_a_rate_without_boosting_is_refused() -> None:
    with pytest.raises(SpecError, match="learning_rate belongs to kind 'hist-gradient-boosting'"):
        resolve(Choices(model="trees", overrides={"model.learning_rate": 0.1}))


@pytest.mark.parametrize("kind", ["extra-trees", "hist-gradient-boosting"])
@pytest.mark.parametrize("level", ["graph", "node"])
def test_trees_learn_at_both_levels_and_twice_the_same(level: Level, kind: str, prototypes: Dataset) -> None:
    rows = np.arange(0, 828, 4)
    labels = prototypes.labels({"graph": "e_form", "node": "hirshfeld"}[level]).copy()
    owner = np.arange(828) if level == "graph" else prototypes.crystals.crystal_of_atom
    own = labels[np.isin(owner, rows)]
    missing = np.random.default_rng(0).random(len(own)) < 0.2
    predictions = []
    for _ in range(2):
        trees = estimator("trees", level, kind=kind, trees=50)
        trees.fit(inputs(prototypes.crystals), rows, np.where(missing, np.nan, own))
        predictions.append(trees.predict(inputs(prototypes.crystals), rows + 1))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    truth = labels[np.isin(owner, rows + 1)]
    assert np.abs(predictions[0] - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()


def test_boosted_probabilities_are_probabilities(prototypes: Dataset) -> None:
    rows = np.arange(0, 828, 4)
    trees = estimator("trees", kind="hist-gradient-boosting", trees=100)
    trees.fit(inputs(prototypes.crystals), rows, (prototypes.labels("gap")[rows] == 0).astype(np.float64))
    predicted = trees.predict(inputs(prototypes.crystals), np.arange(828))
    assert 0 <= predicted.min() < predicted.max() <= 1


def test_the_nearest_of_a_site_is_a_site_of_its_element(prototypes: Dataset) -> None:
    crystals = prototypes.crystals
    knn = estimator("knn", "node")
    everything = np.arange(828)
    knn.fit(Inputs(crystals), everything, crystals.numbers.astype(np.float64))
    np.testing.assert_array_equal(
        knn.predict(Inputs(crystals), everything[::7]), crystals.take(everything[::7]).numbers
    )


@pytest.fixture(scope="module")
def molecules() -> Crystals:
    """Some molecules of qm9_mini with a bond order for each pair of bonded atoms."""
    return load("qm9_mini").crystals.take(np.arange(0, 3000, 15))


def reversed_pairs(crystals: Crystals) -> Crystals:
    """Every pair (i, j) as (j, i)."""
    return dataclasses.replace(crystals, pairs=crystals.pairs[:, ::-1], pair_image=-crystals.pair_image)


def of_rows(crystals: Crystals, rows: IntArray) -> FloatArray:
    """Bond orders of the pairs of these rows."""
    return crystals.labels("bond_order")[np.isin(crystals.crystal_of_pair, rows)]


@pytest.mark.parametrize(("name", "share"), [("trees", 0.15), ("knn", 0.5)])
def test_bonds_are_learned_and_reproduced(name: str, share: float, molecules: Crystals) -> None:
    config: dict[str, Any] = {"trees": 50} if name == "trees" else {}
    train, test = np.arange(150), np.arange(150, 200)
    known, truth = of_rows(molecules, train), of_rows(molecules, test)
    known[::5] = np.nan
    predictions = []
    for _ in range(2):
        fitted = estimator(name, "edge", **config)
        fitted.fit(Inputs.of(molecules, inputs(molecules).graphs), train, known)
        predictions.append(fitted.predict(Inputs.of(molecules, inputs(molecules).graphs), test))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert np.abs(predictions[0] - truth).mean() < share * np.abs(truth - truth.mean()).mean()


@pytest.mark.parametrize("name", ["trees", "knn"])
@pytest.mark.parametrize("directed", [False, True])
def test_a_pair_has_one_value_both_ways_unless_it_is_directed(name: str, directed: bool, molecules: Crystals) -> None:
    config: dict[str, Any] = {"trees": 20} if name == "trees" else {}
    rows = np.arange(len(molecules))
    # a label that knows which atom comes first
    labels = molecules.labels("bond_order") + 0.1 * molecules.numbers[molecules.pairs[:, 0]]
    fitted = estimator(name, "edge", directed=directed, **config)
    fitted.fit(inputs(molecules), rows, labels)
    there, back = (fitted.predict(inputs(crystals), rows) for crystals in (molecules, reversed_pairs(molecules)))
    assert np.array_equal(there, back) != directed


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_turning_pairs_around_leaves_undirected_features_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, image = rng.integers(0, 3, 5), rng.integers(-2, 3, (5, 3))
    pairs = np.stack([first, (first + rng.integers(1, 3, 5)) % 3], axis=1)
    record = {**crystal([11, 17, 8], rng.normal(0, 1, (3, 3)), 4 * np.eye(3) + rng.normal(0, 0.3, (3, 3)))}
    crystals = Crystals.build([{**record, "pairs": pairs, "pair_image": image}])
    of_sites, every = rng.normal(0, 1, (3, 4)), np.arange(5)
    turned = reversed_pairs(crystals)
    there, back = (pair_features(one, every, of_sites, directed=False) for one in (crystals, turned))
    np.testing.assert_array_equal(there, back)
    ours, theirs = (pair_features(one, every, of_sites, directed=True) for one in (crystals, turned))
    np.testing.assert_array_equal(ours[:, :2], theirs[:, :2])
    np.testing.assert_array_equal(ours[:, 2:6], theirs[:, 6:])


def test_hops_of_a_vacancy_are_learned_better_than_their_mean() -> None:
    crystals = loaded("vacancy_migration").crystals
    rows = np.arange(len(crystals))
    train, test = rows[rows % 4 > 0], rows[rows % 4 == 0]
    barrier, owner = crystals.labels("barrier"), crystals.crystal_of_pair
    known, truth = barrier[np.isin(owner, train)], barrier[np.isin(owner, test)]
    errors = {}
    for name, config in (("trees", {"trees": 50}), ("knn", {}), ("dummy", {})):
        fitted = estimator(name, "edge", directed=True, **config)
        fitted.fit(inputs(crystals), train, known)
        errors[name] = np.abs(fitted.predict(inputs(crystals), test) - truth).mean()
    assert errors["trees"] < errors["knn"] < errors["dummy"]


def test_sites_are_described_by_their_element_and_their_nearest_shell() -> None:
    salt = Crystals.build(
        [crystal([11, 17], [[0, 0, 0], [2.8, 0, 0]], 2.8 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))]
    )
    found = site_statistics(build_graphs(salt, GraphSpec(cutoff=3.5)))
    table = dict(zip(found.names, found.values.T, strict=True))
    np.testing.assert_allclose(table["electronegativity"], [0.93, 3.16])
    np.testing.assert_allclose(table["neighbours' electronegativity"], [3.16, 0.93])
    np.testing.assert_allclose(table["nearest distance"], 2.8)
    np.testing.assert_allclose(table["effective coordination"], 6)


def test_a_lone_atom_has_finite_features() -> None:
    lone = Crystals.build([crystal([2], [[0, 0, 0]], None)])
    assert np.isfinite(site_statistics(build_graphs(lone, GraphSpec(on_short="pad"))).values).all()


def test_of_many_sites_some_are_drawn_and_of_crystals_all_are_kept() -> None:
    labels = np.where(np.arange(3 * MOST_ITEMS) % 3 == 0, np.nan, 1.0)
    few, every = (estimator("dummy", level).learned_from(labels) for level in ("node", "graph"))
    assert len(few) == MOST_ITEMS == len(set(few.tolist()))
    assert len(every) == 2 * MOST_ITEMS
    assert not np.isnan(labels[few]).any()
