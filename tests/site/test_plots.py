"""Laws of numbers and drawings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbench.site.numbers import decimals_for, fixed, moment, percent, significant, tick_text, ticks
from gbench.site.plots import MOST_POINTS, curve, interval_axis, parity

SCORES = st.floats(min_value=1e-6, max_value=1e6)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(1234.5, 1, "1,234.5"), (-0.5, 2, "−0.50"), (-0.0001, 2, "0.00"), (None, 2, "–"), (0.0, 0, "0")],
)
def test_fixed(value: float | None, decimals: int, text: str) -> None:
    assert fixed(value, decimals) == text


def test_three_significant_digits() -> None:
    assert [significant(value) for value in (0.0834, 28.41, 324.0, 0.0)] == ["0.0834", "28.4", "324", "0.00"]
    assert decimals_for(1e-12) == 6
    assert percent(0.9123) == "91.2"


@given(SCORES, SCORES)
def test_ticks_are_few_distinct_and_inside(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = ticks(low, high)
    assert 1 <= len(found) <= 12 or high - low < 1e-9 * high
    assert all(low - 1e-6 * high <= value <= high + 1e-6 * high for value in found)


def test_ticks_carry_the_decimals_of_their_spacing() -> None:
    assert tick_text(ticks(0.05, 0.32)) == ["0.1", "0.2", "0.3"]
    assert tick_text(ticks(27.0, 68.0)) == ["40", "60"]


@given(st.lists(SCORES, min_size=1, max_size=8))
def test_bars_stay_on_their_axis_in_the_order_of_the_scores(values: list[float]) -> None:
    axis = interval_axis([(value, 0.8 * value, 1.3 * value) for value in values])
    assert axis is not None
    bars = [axis.bar(value, 0.8 * value, 1.3 * value) for value in sorted(values)]
    assert all(0 <= bar.start <= bar.dot <= bar.end <= axis.width for bar in bars)
    assert [bar.dot for bar in bars] == sorted(bar.dot for bar in bars)


def test_a_score_far_above_the_best_runs_off_the_axis() -> None:
    axis = interval_axis([(1.0, 0.9, 1.1), (2.0, 1.8, 2.2), (50.0, 40.0, 60.0)])
    assert axis is not None
    assert axis.high < 3
    assert axis.bar(50.0, 40.0, 60.0).beyond
    assert not axis.bar(2.0, 1.8, 2.2).beyond


def test_an_axis_needs_a_score() -> None:
    assert interval_axis([]) is None
    assert interval_axis([(0.0, 0.0, 0.0)]) is not None


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, 0.5, 0.25], [1.0, 0.0, -1.0], [1e-9, 1e9]])
def test_a_curve_stays_in_its_frame(values: list[float]) -> None:
    plot = curve(list(enumerate(values, start=1)), best=2)
    assert plot is not None
    points = [tuple(map(float, point.split())) for point in plot.path[1:].split("L")]
    assert len(points) == len(values)
    assert all(plot.left <= x <= plot.right and plot.top <= y <= plot.bottom for x, y in points)
    assert plot.mark == points[1]


def test_times_are_shown_in_utc() -> None:
    assert moment("2026-11-23T02:26:20+02:00") == "2026-11-23 00:26 UTC"
    assert moment("yesterday") == "yesterday"


def test_one_epoch_is_no_curve() -> None:
    assert curve([(1, 0.5)]) is None


def test_a_large_parity_plot_is_thinned_and_says_so() -> None:
    labels = np.random.default_rng(0).normal(size=9000)
    plot = parity(labels, labels + 0.1)
    assert plot is not None
    assert (plot.shown, plot.total, plot.path.count("M")) == (MOST_POINTS, 9000, MOST_POINTS)


def test_labels_that_are_all_equal_can_be_drawn() -> None:
    assert parity(np.zeros(3), np.zeros(3)) is not None
    assert parity(np.empty(0), np.empty(0)) is None
