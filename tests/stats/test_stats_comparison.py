"""Tests of differences agree with other implementations and with what is known."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from gbench.stats import corrected_t_test, holm, paired_bootstrap, t_interval
from gbench.stats.comparison import bootstrap_p_values


def test_the_paired_bootstrap_agrees_with_a_t_test_where_that_holds(rng: np.random.Generator) -> None:
    differences = rng.normal(size=(300, 200)) + rng.normal(scale=0.1, size=200)
    expected = np.asarray(scipy_stats.ttest_1samp(differences, 0)[1], np.float64)
    np.testing.assert_allclose(bootstrap_p_values(differences), expected, atol=0.04)


def test_the_order_of_two_models_does_not_matter(rng: np.random.Generator) -> None:
    one, two = rng.exponential(size=(2, 80))
    assert paired_bootstrap(one, two, np.arange(80)) == paired_bootstrap(two, one, np.arange(80))


def test_what_always_differs_is_told_apart_and_what_never_does_is_not(rng: np.random.Generator) -> None:
    errors = rng.exponential(size=100)
    assert paired_bootstrap(errors, errors + 0.25, np.arange(100)) < 0.001
    assert paired_bootstrap(np.ones(9), np.zeros(9), np.arange(9)) < 0.001
    assert paired_bootstrap(errors, errors, np.arange(100)) == 1.0


def test_copies_of_a_compound_are_no_evidence(rng: np.random.Generator) -> None:
    one, two = rng.exponential(size=(2, 40))
    groups = np.repeat(np.arange(40), 5)
    alone = paired_bootstrap(one, two, np.arange(40))
    assert paired_bootstrap(np.repeat(one, 5), np.repeat(two, 5), groups) == pytest.approx(alone)
    assert paired_bootstrap(one, two, np.zeros(40, np.int64)) == 1.0


def test_the_corrected_t_test_by_hand() -> None:
    # mean 2, variance 2.5; t = 2 / sqrt((1/5 + 1/4) * 2.5), 4 degrees of freedom
    differences = [0.0, 1.0, 2.0, 3.0, 4.0]
    expected = 2 * scipy_stats.t.sf(2 / np.sqrt(0.45 * 2.5), 4)
    assert corrected_t_test(differences, 0.25) == pytest.approx(expected)
    assert corrected_t_test(differences, 0.0) == pytest.approx(scipy_stats.ttest_1samp(differences, 0)[1])
    assert corrected_t_test([0.0, 0.0, 0.0], 0.25) == 1.0
    assert corrected_t_test([1.0, 1.0, 1.0], 0.25) == 0.0
    assert np.isnan(corrected_t_test([1.0], 0.25))


def test_holm_by_hand_and_untested_pairs_stay_out() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, np.nan, 0.9])), [1.0, np.nan, 1.0])
    assert len(holm(np.array([]))) == 0


def test_the_t_interval_is_scipys() -> None:
    values = [10.0, 12.0, 12.5, 14.0]
    expected = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)
