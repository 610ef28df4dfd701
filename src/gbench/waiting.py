"""A bar on standard error while something takes its time, where somebody sees it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[float], object]
"""Told how much more is done."""


@contextmanager
def bar(what: str, total: float | None) -> Iterator[Advance]:
    """What to tell of progress towards ``total`` (None: not known); a bar if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=24)]
    if total is not None:
        columns += [TaskProgressColumn(), TimeRemainingColumn(compact=True)]
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda more: shown.advance(task, more)
