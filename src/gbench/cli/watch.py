"""Long work, watched: a bar on standard error where that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gbench.cli.console import errors


@contextmanager
def watched(title: str) -> Iterator[Callable[[str, int, int], object]]:
    """A progress that shows a bar on standard error, where that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {what}", completed=done, total=total if total > 1 else None)

        yield tell
