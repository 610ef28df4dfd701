"""Running a plan: every training once, whatever becomes of those who run it."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock

from gbench.errors import StorageError
from gbench.evaluate import failure
from gbench.result import write_result
from gbench.runner import LOCK_FILE
from gbench.storage import atomic_path
from gbench.sweep.executor import Executor
from gbench.sweep.expand import Training
from gbench.sweep.plan import run_state
from gbench.sweep.work import Job, Outcome

LOOK_SECONDS = 0.2
"""How often it is looked for Ctrl-C, and for runs of other processes to end."""


class WorkerLostError(Exception):
    """The process that worked on a run died."""


class SweepObserver:
    """Hears what a sweep does; override what you need."""

    def begun(self, trainings: Sequence[Training], results: Path) -> None:
        """The sweep begins with these."""

    def started(self, training: Training) -> None:
        """A training was handed to the executor."""

    def finished(self, training: Training, outcome: Outcome) -> None:
        """It is done, failed or was lost. Its results lie in the folder of results, but where nothing could be run."""

    def waiting(self, trainings: Sequence[Training]) -> None:
        """Nothing is left but these, which other processes work on."""

    def ended(self) -> None:
        """The sweep is over, or was stopped."""


class Stop:
    """Asked to stop?"""

    asked = False


@dataclass
class Sweep:
    """A sweep under way."""

    results: Path
    executor: Executor
    observer: SweepObserver = field(default_factory=SweepObserver)
    stop: Stop = field(default_factory=Stop)

    def run(self, trainings: Sequence[Training]) -> list[Outcome]:
        """What came of each training; fewer than there are if it was stopped.

        A training that another process works on is looked at again when all others are done.

        Raises:
            StorageError: results cannot be written. What was finished is safe.
        """
        check_writable(self.results)
        self.observer.begun(trainings, self.results)
        try:
            return list(self._outcomes(trainings))
        finally:
            self.observer.ended()

    def _outcomes(self, trainings: Sequence[Training]) -> Iterator[Outcome]:
        queue, busy = deque(trainings), list[Training]()
        flying: dict[str, Training] = {}
        interrupted = told = False
        while queue or flying or busy:
            if self.stop.asked and not interrupted:
                interrupted = True
                queue.clear()
                busy.clear()
                self.executor.interrupt()
            self._submit(queue, flying)
            if not flying and busy:
                if not told:
                    self.observer.waiting(busy)
                told = True
                queue.extend(self._free_again(busy))
                continue
            for outcome in self.executor.outcomes(LOOK_SECONDS):
                training = flying.pop(outcome.run_id)
                if outcome.kind == "busy" and not interrupted:
                    busy.append(training)
                elif outcome.kind == "unwritable":
                    raise StorageError(outcome.message)
                elif outcome.kind not in ("stopped", "busy"):
                    self._settle(training, outcome)
                    yield outcome

    def _submit(self, queue: "deque[Training]", flying: dict[str, Training]) -> None:
        chosen = [queue.popleft() for _ in range(min(len(queue), self.executor.room()))]
        if not chosen:
            return
        for training in chosen:
            flying[training.run_id] = training
            self.observer.started(training)
        self.executor.submit([Job(one.spec, self.results, one.allow_leak) for one in chosen])

    def _free_again(self, busy: list[Training]) -> list[Training]:
        """Those that no process works on any more, taken out of ``busy``; looks once in a while."""
        time.sleep(LOOK_SECONDS)
        free = [training for training in busy if not _locked(self.results / training.run_id)]
        for training in free:
            busy.remove(training)
        return free

    def _settle(self, training: Training, outcome: Outcome) -> None:
        if outcome.kind == "lost":
            for spec in training.runs:
                # of several targets, some may have been written before the worker died
                if run_state(spec, self.results) == "done":
                    continue
                write_result(self.results / spec.run_id, failure(spec, None, WorkerLostError(outcome.message)))
        self.observer.finished(training, outcome)


def check_writable(results: Path) -> None:
    """Raise StorageError if nothing can be written to the folder."""
    with atomic_path(results / ".writable"):
        pass
    (results / ".writable").unlink(missing_ok=True)


def _locked(folder: Path) -> bool:
    lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    lock.release()
    return False
