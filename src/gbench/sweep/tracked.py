"""A sweep that MLflow hears of."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from gbench.sweep.expand import Training
from gbench.sweep.sweep import SweepObserver
from gbench.sweep.work import Outcome
from gbench.tracking.suites import SuiteTracking


class TrackedSweep(SweepObserver):
    """Shows a sweep and mirrors it: a parent run for the suite, below it a child for each run as it ends.

    A thread sends, so that no training waits for the server.
    """

    def __init__(self, tracking: SuiteTracking, suite: Sequence[Training]) -> None:
        self.tracking, self.shown = tracking, SweepObserver()
        self.run_ids = [spec.run_id for training in suite for spec in training.runs]
        """Of all that the suite asks for, also of what is done or not chosen."""
        self.sender = ThreadPoolExecutor(1, thread_name_prefix="tracking")

    def showing(self, shown: SweepObserver) -> Self:
        """This, which tells ``shown`` all that it hears."""
        self.shown = shown
        return self

    def begun(self, trainings: Sequence[Training], results: Path) -> None:
        """The parent run is made."""
        self.shown.begun(trainings, results)
        self.sender.submit(self.tracking.begun, self.run_ids)

    def started(self, training: Training) -> None:
        """Shown."""
        self.shown.started(training)

    def finished(self, training: Training, outcome: Outcome) -> None:
        """Its results are on their way."""
        self.shown.finished(training, outcome)
        for spec in training.runs:
            self.sender.submit(self.tracking.finished, spec.run_id)

    def waiting(self, trainings: Sequence[Training]) -> None:
        """Shown."""
        self.shown.waiting(trainings)

    def ended(self) -> None:
        """What is not sent yet is left for :meth:`close`."""
        self.shown.ended()
        self.sender.shutdown(cancel_futures=True)

    def close(self) -> str:
        """Send what is not there yet; a line that says where the suite is, or why not there."""
        self.tracking.begun(self.run_ids)
        return self.tracking.ended()
