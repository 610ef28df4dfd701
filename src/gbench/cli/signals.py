"""What SIGTERM means: a scheduler wants its machine back, and will start the same command again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gbench.cli.console import errors

REQUEUE = os.EX_TEMPFAIL
"""75, of sysexits.h: nothing is wrong, try again."""


class Terminated(SystemExit):
    """SIGTERM came."""

    def __init__(self) -> None:
        super().__init__(REQUEUE)


@contextmanager
def requeued() -> Iterator[None]:
    """Context, or decorator of a command that goes on where it stopped: SIGTERM ends it with exit code 75."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except Terminated:
        errors.print("stopped by SIGTERM; what is done is safe, and the same command goes on from there")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
