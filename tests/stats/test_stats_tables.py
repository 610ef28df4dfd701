"""Tables of comparisons: frames in, frames out."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from gbench.errors import DataError
from gbench.stats import (
    compare_folds,
    compare_items,
    corrected_t_test,
    critical_difference,
    critical_difference_svg,
    mean_ranks,
    mean_skills,
    rank_groups,
)


def item_errors(rng: np.random.Generator, **scales: float) -> pd.DataFrame:
    hardness, items = rng.lognormal(size=120), np.arange(120)
    frames = [
        pd.DataFrame({"item": items, "group": items // 2, "error": scale * hardness + rng.exponential(size=120) / 9})
        for scale in scales.values()
    ]
    return pd.concat(frames, keys=scales, names=["model"]).reset_index(level="model")


def test_every_pair_is_compared_on_common_items(rng: np.random.Generator) -> None:
    errors = item_errors(rng, good=1.0, same=1.0, bad=1.5)
    pairs = compare_items(errors[~((errors["model"] == "bad") & (errors["item"] >= 60))])
    assert pairs[["model", "other"]].to_numpy().tolist() == [["bad", "good"], ["bad", "same"], ["good", "same"]]
    assert (pairs["p_holm"] >= pairs["p"]).all()
    assert pairs["difference"].tolist()[0] > 0
    assert (pairs["p"] < 0.05).tolist() == [True, True, False]


def test_models_without_a_common_item_are_not_compared() -> None:
    errors = pd.DataFrame({"model": ["a", "b"], "item": [0, 1], "group": [0, 1], "error": [1.0, 2.0]})
    pairs = compare_items(errors)
    assert pairs[["difference", "p", "p_holm"]].isna().all(axis=None)
    ranks = rank_groups(pd.Series({"a": 1.0, "b": 2.0}), pairs)
    assert ranks[["rank", "last"]].to_numpy().tolist() == [[1, 2], [1, 2]]


def test_folds_are_paired_by_number() -> None:
    scores = pd.DataFrame(
        {"model": ["a"] * 3 + ["b"] * 3, "fold": [0, 1, 2, 2, 1, 0], "score": [1.0, 2.0, 3.0, 3.1, 2.3, 1.2]}
    )
    pairs = compare_folds(scores, 0.5)
    assert pairs["p"].tolist()[0] == pytest.approx(corrected_t_test([-0.2, -0.3, -0.1], 0.5))
    assert pairs["difference"].tolist()[0] == pytest.approx(-0.2)


def pair_table(**p_values: float) -> pd.DataFrame:
    return pd.DataFrame([{"model": pair[0], "other": pair[1], "p": p} for pair, p in p_values.items()])


def test_a_model_ties_the_best_it_cannot_be_separated_from() -> None:
    scores = pd.Series({"d": 4.0, "a": 1.0, "b": 2.0, "c": 3.0})
    # c is noisy: not separated from a although b, which is better, is
    pairs = pair_table(ab=0.001, ac=0.2, ad=0.001, bc=0.5, bd=0.001, cd=0.001)
    ranks = rank_groups(scores, pairs)
    assert ranks["model"].tolist() == ["a", "c", "b", "d"]
    assert ranks["leader"].tolist() == ["a", "a", "b", "d"]
    assert ranks["rank"].tolist() == [1, 1, 3, 4]
    assert ranks["last"].tolist() == [2, 2, 3, 4]


def test_where_higher_is_better_the_highest_leads() -> None:
    ranks = rank_groups(pd.Series({"a": 0.1, "b": 0.9}), pair_table(ab=0.001), higher=True)
    assert ranks["model"].tolist() == ["b", "a"]
    assert ranks["rank"].tolist() == [1, 2]


def test_a_leader_pays_for_many_comparisons() -> None:
    scores = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0})
    ranks = rank_groups(scores, pair_table(ab=0.03, ac=0.04, bc=0.9))
    assert ranks["last"].tolist() == [3, 3, 3]
    assert ranks["p_leader"].tolist() == [1.0, 0.06, 0.06]


SCORES = pd.DataFrame(
    [
        {"task": task, "model": model, "score": unit * score}
        for task, unit in {"gap": 1.0, "phonons": 1000.0, "moduli": 0.1}.items()
        for model, score in {"dummy": 1.0, "trees": 0.5, "megnet": 0.25}.items()
    ]
)


def test_aggregates_do_not_depend_on_units() -> None:
    ranks, skills = mean_ranks(SCORES), mean_skills(SCORES, "dummy")
    assert ranks["model"].tolist() == skills["model"].tolist() == ["megnet", "trees", "dummy"]
    assert ranks["mean_rank"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(skills["mean_skill"], [0.75, 0.5, 0.0])
    assert (ranks["low"] == ranks["mean_rank"]).all()
    assert mean_ranks(SCORES, higher=True)["model"].tolist() == ["dummy", "trees", "megnet"]


def test_the_interval_of_a_mean_rank_stays_within_the_ranks() -> None:
    rows = [(task, model, task % 2 == (model == "a")) for task in range(4) for model in "ab"]
    ranks = mean_ranks(pd.DataFrame(rows, columns=["task", "model", "score"]).astype({"score": float}))
    assert (ranks["low"] == 1).all()
    assert (ranks["high"] == 2).all()


def test_one_task_has_no_interval_and_a_missing_score_is_named() -> None:
    assert mean_ranks(SCORES.query("task == 'gap'"))["low"].isna().all()
    with pytest.raises(DataError, match="'trees' has no score on 'gap'"):
        mean_ranks(SCORES.query("task != 'gap' or model != 'trees'"))
    with pytest.raises(DataError, match="no score of 'knn'"):
        mean_skills(SCORES, "knn")


def test_critical_differences_are_those_of_the_published_table() -> None:
    # q of Demšar 2006, table 5: 2.728 for five classifiers, 3.164 for ten
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(30 / 180), rel=1e-3)
    assert critical_difference(10, 8) == pytest.approx(3.164 * np.sqrt(110 / 48), rel=1e-3)


def test_the_picture_is_an_svg_with_every_model_and_escapes_names() -> None:
    ranks = mean_ranks(SCORES.replace({"model": {"trees": "<trees>"}}))
    root = ET.fromstring(critical_difference_svg(ranks))
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if " " in text] == ["CD 1.91", "megnet 1.00", "<trees> 2.00", "dummy 3.00"]
    bars = [line for line in root.iter("{http://www.w3.org/2000/svg}line") if line.get("stroke-width") == "4"]
    # three tasks tell only the first from the last
    assert len(bars) == 2
