"""Geometry of the drawings, in SVG pixels; the templates draw it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gbench.crystals import FloatArray
from gbench.site.numbers import tick_text, ticks

FAR = 3.0
"""Rows whose MAE exceeds the smallest by this factor do not stretch the interval axis."""
MOST_POINTS = 2000


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Bar:
    """One interval on the axis of its table."""

    start: float
    end: float
    dot: float
    beyond: bool = False
    """Whether the score itself lies right of the axis."""


@dataclass(frozen=True)
class IntervalAxis:
    """The common axis of a table's intervals."""

    low: float
    high: float
    width: float = 190.0
    margin: float = 9.0

    def x(self, value: float) -> float:
        """Pixel of a value, kept on the axis."""
        share = (value - self.low) / (self.high - self.low)
        return _pixel(self.margin + min(1.0, max(0.0, share)) * (self.width - 2 * self.margin))

    def ticks(self) -> list[Tick]:
        """Round values on the axis."""
        values = ticks(self.low, self.high, 4)
        return [Tick(self.x(value), text) for value, text in zip(values, tick_text(values), strict=True)]

    def bar(self, value: float, low: float, high: float) -> Bar:
        """Where an interval is drawn."""
        return Bar(self.x(low), self.x(high), self.x(value), value > self.high)


def interval_axis(intervals: Sequence[tuple[float, float, float]]) -> IntervalAxis | None:
    """The axis for (value, low, high) of each row; scores far above the smallest are left to run off it."""
    if not intervals:
        return None
    nearest = min(value for value, _, _ in intervals)
    near = [interval for interval in intervals if interval[0] <= FAR * nearest] or list(intervals)
    # a wild interval must not squeeze the scores themselves
    ceiling = FAR * max(value for value, _, _ in near)
    low, high = min(low for _, low, _ in near), min(ceiling, max(high for _, _, high in near))
    spread = high - low or abs(high) or 1.0
    return IntervalAxis(max(0.0, low - 0.04 * spread), high + 0.04 * spread)


@dataclass(frozen=True)
class Plot:
    """A framed drawing: one path, its axes."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    path: str = ""
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    mark: tuple[float, float] | None = None
    shown: int = 0
    total: int = 0


def curve(values: Sequence[tuple[int, float]], best: int | None = None) -> Plot | None:
    """A quantity over epochs on a logarithmic axis; linear if it is not positive. None if there is nothing to draw."""
    if len(values) < 2:
        return None
    frame = Plot(380, 250, 50, 370, 14, 212)
    epochs, numbers = [epoch for epoch, _ in values], [value for _, value in values]
    logarithmic = min(numbers) > 0
    scale: Callable[[float], float] = math.log10 if logarithmic else float
    bottom, top = _widened(scale(min(numbers)), scale(max(numbers)))
    x = _scale(epochs[0], epochs[-1], frame.left, frame.right)
    y = _scale(bottom, top, frame.bottom, frame.top)
    points = [(x(epoch), y(scale(value))) for epoch, value in values]
    heights = _log_ticks(10**bottom, 10**top) if logarithmic else ticks(bottom, top)
    numbered = [number for number in ticks(epochs[0], epochs[-1], 5) if number == int(number)]
    return replace(
        frame,
        path="M" + "L".join(f"{px} {py}" for px, py in points),
        x_ticks=_marks(numbered, tick_text(numbered), x),
        y_ticks=_marks(heights, [f"{height:g}" for height in heights], lambda value: y(scale(value))),
        mark=points[epochs.index(best)] if best in epochs else None,
    )


def parity(labels: FloatArray, predictions: FloatArray) -> Plot | None:
    """Predictions over labels on equal axes; at most 2,000 points, evenly taken in order of the label."""
    if not len(labels):
        return None
    order = np.argsort(labels, kind="stable")
    if len(order) > MOST_POINTS:
        order = order[np.linspace(0, len(order) - 1, MOST_POINTS).round().astype(int)]
    both = np.concatenate([labels[order], predictions[order]])
    low, high = _widened(float(both.min()), float(both.max()))
    frame = Plot(340, 340, 56, 326, 14, 284)
    x, y = _scale(low, high, frame.left, frame.right), _scale(low, high, frame.bottom, frame.top)
    # a stroke of no length with round caps is the shortest way to write a dot
    path = "".join(
        f"M{x(label)} {y(found)}h0"
        for label, found in zip(labels[order].tolist(), predictions[order].tolist(), strict=True)
    )
    marks = ticks(low, high)
    return replace(
        frame,
        path=path,
        x_ticks=_marks(marks, tick_text(marks), x),
        y_ticks=_marks(marks, tick_text(marks), y),
        shown=len(order),
        total=len(labels),
    )


def _marks(values: Sequence[float], texts: Sequence[str], place: Callable[[float], float]) -> tuple[Tick, ...]:
    return tuple(Tick(place(value), text) for value, text in zip(values, texts, strict=True))


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    within = [value for value in values if low <= value <= high]
    # a narrow range may hold hardly any such number
    return within if len(within) > 2 else ticks(low, high, 5)


def _widened(low: float, high: float) -> tuple[float, float]:
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    return lambda value: _pixel(start + (value - low) / (high - low) * (stop - start))


def _pixel(value: float) -> float:
    # rounded, so that the bytes do not depend on the last digit of a machine's logarithm
    return round(float(value), 1)
