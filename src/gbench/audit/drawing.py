"""The drawings of a card's page, in SVG pixels; the template draws them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gbench.audit.card import Histogram, Points
from gbench.site.numbers import tick_text, ticks
from gbench.site.plots import Tick

CROSS = 3.2
"""Half the width of the crosses that stand for test rows."""


@dataclass(frozen=True)
class Drawing:
    """Two series in one frame: ``other`` behind, ``test`` in front."""

    test: str
    other: str
    """SVG paths."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


def bars(histogram: Histogram) -> Drawing:
    """Shares of test, filled, over those of the other, outlined."""
    width, height, left, right, top, bottom = 380, 236, 48, 368, 14, 192
    highest = max(*histogram.test, *histogram.other) * 1.06
    x = _scale(histogram.edges[0], histogram.edges[-1], left, right)
    y = _scale(0, highest, bottom, top)
    x_values, y_values = ticks(histogram.edges[0], histogram.edges[-1], 5), ticks(0, 100 * highest, 4)
    return Drawing(
        test=_outline(histogram.edges, histogram.test, x, y) + "Z",
        other=_outline(histogram.edges, histogram.other, x, y),
        x_ticks=_marks(x_values, x),
        y_ticks=_marks(y_values, lambda value: y(value / 100)),
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
    )


def scatter(points: Points) -> Drawing:
    """Train as dots, test as crosses, on the same scale along both axes."""
    width, left, right, top = 560, 48, 548, 14
    both = (*points.train, *points.test)
    xs, ys = [x for x, _ in both], [y for _, y in both]
    low_x, high_x = _widened(min(xs), max(xs))
    low_y, high_y = _widened(min(ys), max(ys))
    # a flat cloud still gets a picture of some height
    tall = min(420.0, max(220.0, (right - left) * (high_y - low_y) / (high_x - low_x)))
    x, y = _scale(low_x, high_x, left, right), _scale(low_y, high_y, top + tall, top)
    return Drawing(
        test="".join(_cross(x(a), y(b)) for a, b in points.test),
        # a stroke of no length with round caps is the shortest way to write a dot
        other="".join(f"M{x(a)} {y(b)}h0" for a, b in points.train),
        x_ticks=_marks(ticks(low_x, high_x, 6), x),
        y_ticks=_marks(ticks(low_y, high_y, 4), y),
        width=width,
        height=top + tall + 44,
        left=left,
        right=right,
        top=top,
        bottom=top + tall,
    )


def _outline(
    edges: Sequence[float], shares: Sequence[float], x: Callable[[float], float], y: Callable[[float], float]
) -> str:
    """The upper edge of the bars, from the axis and back to it."""
    steps = [f"M{x(edges[0])} {y(0)}"]
    for first, last, share in zip(edges, edges[1:], shares, strict=False):
        steps.append(f"L{x(first)} {y(share)}L{x(last)} {y(share)}")
    return "".join(steps) + f"L{x(edges[-1])} {y(0)}"


def _cross(x: float, y: float) -> str:
    return f"M{round(x - CROSS, 1)} {round(y - CROSS, 1)}l6.4 6.4m0 -6.4l-6.4 6.4"


def _marks(values: list[float], place: Callable[[float], float]) -> tuple[Tick, ...]:
    return tuple(Tick(place(value), text) for value, text in zip(values, tick_text(values), strict=True))


def _widened(low: float, high: float) -> tuple[float, float]:
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: round(start + (value - low) / span * (stop - start), 1)
