"""When memory runs out: one sentence with the batch size to try."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gbench.errors import TrainingError

WORDS = ("DefaultCPUAllocator", "bad_alloc", "out of memory", "ALLOC_FAILED", "could not execute a primitive")
"""Of plain RuntimeErrors: torch on the CPU, C++, CUDA, cuBLAS, and oneDNN, which says no more than that."""


def memory_ran_out(error: BaseException | None) -> bool:
    """Whether an error says that there was no memory left, on the CPU or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


@contextmanager
def enough_memory(doing: str, batch: int) -> Iterator[None]:
    """Context in which running out of memory is a mistake that a user can mend.

    ``doing``: what needs the memory; ``batch``: crystals in the largest batch of it, which may be fewer than
    ``training.batch_size``.

    Raises:
        TrainingError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not memory_ran_out(error):
            raise
        # lets go of the batch and all that was made of it: there must be room to write down what happened
        traceback.clear_frames(error.__traceback__)
        less = "a smaller model takes less, as does a shorter graph.cutoff"
        advice = f"try --set training.batch_size={batch // 2}" if batch > 1 else less
        count = "1 crystal" if batch == 1 else f"{batch} crystals"
        raise TrainingError(f"memory ran out while {doing} with {count} in a batch; {advice}") from error
