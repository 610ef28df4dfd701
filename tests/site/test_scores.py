"""Aggregation over folds and seeds, checked by hand."""

from typing import TYPE_CHECKING

import pytest

from gbench.site.scores import combine, skill
from gbench.site.tables import make_tables

if TYPE_CHECKING:
    from site_world import Bench

pytest_plugins = ["site_world"]


def test_the_mean_over_three_folds_has_a_t_interval(bench: "Bench") -> None:
    runs = [bench.scored("megnet", mae, fold=fold) for fold, mae in enumerate((1.0, 2.0, 3.0))]
    score = combine("mae", runs)
    assert score is not None
    # t(0.975, 2) = 4.302653, standard deviation 1, so the half-width is 4.302653 / sqrt(3) = 2.484138
    assert (score.value, score.basis) == (2.0, "folds")
    assert score.high == pytest.approx(4.484138, abs=1e-6)
    assert score.low == 0.0, "an error is never negative"


def test_one_run_keeps_its_bootstrap_interval(bench: "Bench") -> None:
    run = bench.scored("megnet", 0.5)
    score = combine("mae", [run])
    assert score is not None
    assert (score.low, score.high, score.basis) == (run.mae.low, run.mae.high, "bootstrap")


def test_seeds_are_averaged_within_their_fold_first(bench: "Bench") -> None:
    runs = [bench.scored("megnet", mae, fold=fold, seed=seed) for fold, seed, mae in [(0, 0, 1), (0, 1, 3), (1, 0, 4)]]
    score = combine("mae", runs)
    assert score is not None
    assert (score.value, score.basis) == (3.0, "folds")


def test_seeds_of_one_fold_give_an_interval_over_seeds(bench: "Bench") -> None:
    score = combine("mae", [bench.scored("megnet", mae, seed=seed) for seed, mae in enumerate((1.0, 3.0))])
    assert score is not None
    # t(0.975, 1) = 12.706205, deviation sqrt(2), so the half-width is 12.706205
    assert (score.value, score.low, score.basis) == (2.0, 0.0, "seeds")
    assert score.high == pytest.approx(14.706205, abs=1e-6)


def test_skill_compares_the_same_folds_only(bench: "Bench") -> None:
    runs = [bench.scored("megnet", 1.0, fold=fold) for fold in (1, 2)]
    assert skill(runs, {0: 100.0, 1: 4.0, 2: 6.0}) == pytest.approx(0.8)
    assert skill(runs, {1: 4.0}) is None


def test_a_model_with_some_folds_only_is_not_ranked(bench: "Bench") -> None:
    runs = [bench.scored("trees", 5.0, fold=fold) for fold in range(5)]
    runs += [bench.scored("megnet", 1.0, fold=fold) for fold in range(2)]
    (table,) = make_tables(runs, {}, {})
    assert [(row.model, row.rank, row.standing) for row in table.rows] == [
        ("trees", 1, "ranked"),
        ("megnet", None, "partial"),
    ]


def test_a_row_is_tied_if_its_interval_contains_the_best_mean(bench: "Bench") -> None:
    runs = [bench.scored(model, mae) for model, mae in [("a", 1.0), ("b", 1.1), ("c", 1.3), ("dummy", 1.05)]]
    (table,) = make_tables(runs, {}, {})
    # intervals are +-15 %: b reaches down to 0.935, c to 1.105
    assert [(row.model, row.rank, row.tied) for row in table.rows] == [
        ("a", 1, False),
        ("dummy", None, False),
        ("b", 2, True),
        ("c", 3, False),
    ]


def test_rows_of_one_model_say_in_which_settings_they_differ(bench: "Bench") -> None:
    runs = [bench.scored("megnet", 1.0), bench.scored("megnet", 2.0, config={"hidden": 128}), bench.scored("knn", 3.0)]
    (table,) = make_tables(runs, {}, {})
    assert [row.settings for row in table.rows] == [(("model.hidden", 64),), (("model.hidden", 128),), ()]


def test_splits_with_other_parameters_are_other_tables(bench: "Bench") -> None:
    ten = bench.spec("megnet").split.model_copy(update={"n_folds": 10})
    spec = bench.spec("megnet").model_copy(update={"split": ten})
    runs = [bench.scored("megnet", 1.0), bench.as_scored(bench.result(spec, 1.0))]
    assert [table.split_label for table in make_tables(runs, {}, {})] == ["cluster", "cluster, n_folds 10"]


def test_a_fold_that_holds_other_rows_is_not_compared(bench: "Bench") -> None:
    runs = [bench.scored(model, 1.0) for model in ("megnet", "cgcnn")]
    odd = bench.result(bench.spec("trees"), 0.5)
    assert odd.split is not None
    split = odd.split.model_copy(update={"sha256": "f" * 64})
    runs.append(bench.as_scored(odd.model_copy(update={"split": split})))
    (table,) = make_tables(runs, {}, {})
    assert [(row.model, row.standing) for row in table.rows if row.reason] == [("trees", "excluded")]
