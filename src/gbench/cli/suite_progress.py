"""What a sweep shows while it runs: a live line on a terminal, plain lines elsewhere."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gbench.cli.console import console, errors
from gbench.cli.report import shown_scores
from gbench.cli.signals import REQUEUE
from gbench.result import read_result
from gbench.sweep.expand import Training
from gbench.sweep.sweep import Stop, SweepObserver
from gbench.sweep.work import Outcome

PLAIN_SECONDS = 2.0
"""Between two lines about runs that went well."""


class StopOnSignals(Stop):
    """Context in which Ctrl-C or SIGTERM asks the sweep to stop; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.code = 0
        """The exit code of a sweep that was stopped."""

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.asked:
            errors.print("stopping: each training ends its batch and writes a checkpoint; Ctrl-C to end at once")
        self.asked, self.code = True, REQUEUE if number == signal.SIGTERM else 128 + number


class SweepLines(SweepObserver):
    """A bar and the failures on a terminal; elsewhere a line for each run, those that go well every few seconds."""

    def __init__(self, total: int, results: Path, *, quiet: bool) -> None:
        self.total, self.results, self.quiet = total, results, quiet
        self.done = self.failed = 0
        self.last_line = 0.0
        self.bar: Progress | None = None
        self.task: Any = None

    def __enter__(self) -> Self:
        if console.is_terminal and not self.quiet and self.total:
            columns = (TextColumn("{task.completed:.0f}/{task.total:.0f} trainings{task.fields[facts]}"),)
            self.bar = Progress(
                TextColumn("sweep   "), BarColumn(bar_width=24), *columns, TimeRemainingColumn(compact=True),
                TextColumn("left"), console=console,
            )  # fmt: skip
            self.task = self.bar.add_task("sweep", total=self.total, facts="")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def finished(self, training: Training, outcome: Outcome) -> None:
        """Its score, or why it has none."""
        self.done += 1
        self.failed += outcome.kind != "done"
        if self.bar is not None:
            failed = f"   {self.failed} failed" if self.failed else ""
            self.bar.update(self.task, completed=self.done, facts=f"{failed}   last {training.spec.model}")
        due = time.monotonic() - self.last_line >= PLAIN_SECONDS or self.done == self.total
        if outcome.kind != "done":
            self._line(f"{training.title}   {outcome.kind}: {outcome.message}")
        elif self.bar is None and due:
            self.last_line = time.monotonic()
            self._line(f"{training.title}   {self._scores(training)}")

    def waiting(self, trainings: Sequence[Training]) -> None:
        """Others work on the rest."""
        names = ", ".join(training.run_id for training in trainings[:3]) + (" ..." if len(trainings) > 3 else "")
        if not self.quiet:
            console.print(
                f"waiting for {len(trainings)} trainings that another process works on ({names}); Ctrl-C to leave",
                soft_wrap=True,
            )

    def _line(self, text: str) -> None:
        if not self.quiet:
            console.print(f"{self.done:>{len(str(self.total))}}/{self.total}   {text}", soft_wrap=True)

    def _scores(self, training: Training) -> str:
        parts, seconds = [], 0.0
        for spec in training.runs:
            result = read_result(self.results / spec.run_id)
            shown = shown_scores(result)
            metric = result.metrics[shown.name]
            of = f"{spec.target} " if spec.beside else ""
            parts.append(f"{of}{shown.title} {metric.value:.4g} {metric.unit if metric.unit != '1' else ''}".rstrip())
            seconds = result.cost.total_seconds if result.cost else 0.0
        return f"{', '.join(parts)}   {seconds:.3g} s"
