"""What runs the trainings of a sweep."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from gbench.sweep.work import Job, Outcome


class Executor(Protocol):
    """Takes jobs and tells what came of them. Used as a context; leaving it ends whatever still runs."""

    @property
    def slots(self) -> int:
        """Trainings it does at once, as far as is known."""
        ...

    def room(self) -> int:
        """How many more jobs it wants now."""
        ...

    def submit(self, jobs: Sequence[Job]) -> None:
        """Begin with these, as soon as there is a place."""
        ...

    def outcomes(self, seconds: float) -> list[Outcome]:
        """What came of jobs since it was last asked; waits up to ``seconds`` for the first."""
        ...

    def interrupt(self) -> None:
        """Stop everything that was submitted, each training after its checkpoint. Outcomes tell when it has."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
