"""The critical-difference diagram: mean ranks over tasks, with bars over models that cannot be told apart."""

import math
from collections.abc import Iterator
from html import escape
from itertools import pairwise

import pandas as pd

WIDTH, MARGIN, LABELS, ROW, TOP = 640, 24, 150, 20, 46


def critical_difference(models: int, tasks: int) -> float:
    """Mean ranks that differ by more are told apart at 5 % by the Nemenyi test, all pairs considered.

    Source: Demšar 2006, https://jmlr.org/papers/v7/demsar06a.html
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(0.95, models, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(models * (models + 1) / (6 * tasks))


def critical_difference_svg(ranks: pd.DataFrame) -> str:
    """An SVG of what :func:`gbench.stats.mean_ranks` gives, for two or more models.

    Ranks run from 1 at the left; colours are those of the text around it.
    """
    models, mean = ranks["model"].tolist(), ranks["mean_rank"].tolist()
    difference = critical_difference(len(models), int(ranks["tasks"].iloc[0]))
    bars = list(_cliques(mean, difference))
    below = TOP + 14 + 7 * len(bars)
    height = below + ROW * math.ceil(len(models) / 2) + MARGIN

    def at(rank: float) -> float:
        return LABELS + (rank - 1) / (len(models) - 1) * (WIDTH - 2 * LABELS)

    parts = [_line(at(1), TOP, at(len(models)), TOP)]
    for place in range(1, len(models) + 1):
        parts += [_line(at(place), TOP - 5, at(place), TOP), _text(at(place), TOP - 9, str(place), "middle")]
    span = min(difference, len(models) - 1)
    parts += [_line(at(1), 12, at(1 + span), 12), _text(at(1 + span) + 6, 16, f"CD {difference:.2f}", "start")]
    for row, (first, last) in enumerate(bars):
        height_of_bar = TOP + 10 + 7 * row
        parts.append(_line(at(mean[first]) - 3, height_of_bar, at(mean[last]) + 3, height_of_bar, width=4))
    left = math.ceil(len(models) / 2)
    for place, (model, rank) in enumerate(zip(models, mean, strict=True)):
        row = place if place < left else len(models) - 1 - place
        edge, anchor = (LABELS - 8, "end") if place < left else (WIDTH - LABELS + 8, "start")
        level = below + ROW * row
        parts += [_line(at(rank), TOP, at(rank), level), _line(at(rank), level, edge, level)]
        parts.append(_text(edge + (-4 if anchor == "end" else 4), level + 4, f"{model} {rank:.2f}", anchor))
    title = f"Mean ranks of {len(models)} models over {int(ranks['tasks'].iloc[0])} tasks"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-size="12" '
        f'stroke="currentColor" fill="currentColor"><title>{title}</title>{"".join(parts)}</svg>'
    )


def _cliques(ranks: list[float], difference: float) -> Iterator[tuple[int, int]]:
    """First and last of each longest run of two or more models whose ranks differ by ``difference`` at most."""
    ends = [max(other for other, far in enumerate(ranks) if far - near <= difference) for near in ranks]
    for first, (before, end) in enumerate(pairwise([-1, *ends])):
        if end > first and end > before:
            yield first, end


def _line(x1: float, y1: float, x2: float, y2: float, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width:g}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" stroke="none">{escape(text)}</text>'
