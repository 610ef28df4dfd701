"""Stopping a run so that it can go on later."""

import signal
import sys
from types import FrameType
from typing import Self

from gbench.model import Model
from gbench.observer import Observer
from gbench.spec import Training


class StopOnInterrupt:
    """Context in which the first Ctrl-C asks the loop to stop after its batch, the second kills as usual.

    SIGTERM asks too, however often it comes: a scheduler that wants more sends SIGKILL.
    """

    def __init__(self) -> None:
        self.asked = False
        self.terminated = False
        """Whether it was SIGTERM."""

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def arm(self) -> None:
        """From now on the loop is asked; until then signals end the program as they did before."""
        for number in self._before:
            signal.signal(number, self._ask)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if number == signal.SIGTERM:
            self.terminated = True
        else:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class QuietObserver(Observer):
    """Says nothing but warnings; stops on Ctrl-C and SIGTERM."""

    def __init__(self, interrupt: StopOnInterrupt) -> None:
        self.interrupt = interrupt

    def model(self, model: Model, training: Training) -> None:  # noqa: ARG002
        """Training begins: signals are for the loop."""
        self.interrupt.arm()

    def note(self, sentence: str) -> None:
        """A warning on standard error."""
        print(f"warning: {sentence}", file=sys.stderr)

    def stop(self) -> bool:
        """Whether Ctrl-C was pressed or SIGTERM came."""
        return self.interrupt.asked
