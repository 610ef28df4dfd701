"""How things look on a terminal: one console, tables aligned on the decimal point, JSON for programs."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""


def _console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr, highlight=False, markup=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, markup=False, width=PLAIN_WIDTH)


console = _console()
errors = _console(stderr=True)


def print_json(value: Any) -> None:
    """``value`` on stdout and nothing else; no NaN."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in the house style: no lines, headers dimmed, the columns in ``right`` right-aligned."""
    made = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    numeric = set(right)
    for column in columns:
        made.add_column(column, justify="right" if column in numeric else "left", no_wrap=column in numeric)
    return made


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """A table of what is known, a name and its value in each row."""
    made = table("", "")
    made.show_header = False
    made.columns[0].style = "dim"
    made.columns[0].no_wrap = True
    for name, value in rows:
        made.add_row(name, value)
    return made


def decimals(values: Sequence[float]) -> int:
    """Decimals that show three significant digits of the smallest magnitude, at most 6."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 3
    return max(0, min(6, 2 - math.floor(math.log10(min(sizes)))))


def shorten(digest: str) -> str:
    """A hash, recognisable: ``a1f3..9c``."""
    return f"{digest[:4]}..{digest[-2:]}"
