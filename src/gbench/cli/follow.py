"""What ``gbench run`` is in every process of ``torchrun`` but the first."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gbench.cli.signals import REQUEUE

if TYPE_CHECKING:
    from gbench.ranks import Place


def process_number() -> int:
    """Of this process among those that ``torchrun`` started; 0 is the first, or one that it did not start."""
    return int(os.environ.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def follow(device: str) -> None:
    """Train whatever the first process trains; write nothing and say nothing but what went wrong here."""
    # who waits for the first process runs no Python, and a handler in Python would never be called
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    from gbench.ranks import joined

    with joined(device) as place:
        while (work := place.ranks.listen()) is not None:
            _train(*work, place)


def _train(spec: str, checkpoint: str, place: "Place") -> None:
    from gbench.errors import DataError, TrainingError
    from gbench.memory import memory_ran_out
    from gbench.runner import take_part
    from gbench.spec import RunSpec
    from gbench.stopping import QuietObserver, StopOnInterrupt
    from gbench.train import Interrupted

    with StopOnInterrupt() as interrupt:
        try:
            take_part(RunSpec.model_validate_json(spec), Path(checkpoint), QuietObserver(interrupt), place)
        except Interrupted:
            raise typer.Exit(REQUEUE if interrupt.terminated else 130) from None
        except (TrainingError, DataError) as error:
            # what every process meets the first one says; memory may run out in one alone
            if memory_ran_out(error.__cause__):
                raise
            raise typer.Exit(2) from None
