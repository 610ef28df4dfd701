"""What a run takes: seconds, processor time, floating-point operations."""

import time
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from gbench.environment import peak_memory_mb
from gbench.model import Model
from gbench.result import Cost
from gbench.task import Task
from gbench.train import Fit

SAMPLE = 32
"""Crystals whose operations are counted."""


class Stopwatch:
    """Context that measures what is done inside. No clock of it is that of the wall, which may be set in between."""

    def __enter__(self) -> Self:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_seconds = time.process_time() - self._cpu_began
        """Of all threads, user and system."""


@dataclass(frozen=True)
class Spent:
    """What training took, over all sessions, and predicting."""

    train_seconds: float
    train_cpu_seconds: float
    predict_seconds: float
    """Of the validation and the test part."""
    epochs: int = 1
    """How often the training part was gone through."""
    train_flops: float | None = None


def cost(spent: Spent, fitted: Fit | None, parts: tuple[int, int, int], total_seconds: float) -> Cost:
    """The cost of a run, ``parts`` being the crystals in train, validation and test."""
    train, val, test = parts
    history = fitted.history if fitted else []
    return Cost(
        parameters=fitted.model.n_parameters if fitted else 0,
        epochs=len(history),
        seconds_per_epoch=float(np.median([epoch.seconds for epoch in history])) if history else 0.0,
        train_seconds=spent.train_seconds,
        train_cpu_seconds=spent.train_cpu_seconds,
        train_crystals_per_second=_rate(train * spent.epochs, spent.train_seconds),
        predict_crystals_per_second=_rate(val + test, spent.predict_seconds),
        train_flops=spent.train_flops,
        total_seconds=total_seconds,
        peak_memory_mb=peak_memory_mb(),
        device=fitted.place if fitted else "cpu",
        threads=torch.get_num_threads(),
    )


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None


def training_flops(model: Model, task: Task, batch_size: int, epochs: int) -> float:
    """Floating-point operations of so many epochs, validation included.

    Those of matrix products and convolutions, forward and backward, as torch's FlopCounterMode counts them, two for a
    multiplication with its addition. A sample of the training part is counted, and stands for the others.
    Element-wise operations, gathers and sums over neighbours are not counted: it is a lower bound.
    """
    from torch.utils.flop_counter import FlopCounterMode

    train, val = len(task.split.train), len(task.split.val)
    # half a batch fits into the memory that training had
    size = min(SAMPLE, train, (batch_size + 1) // 2)
    rows = torch.as_tensor(task.split.train[np.linspace(0, train - 1, size).round().astype(np.int64)])
    # as for predicting: neither statistics of batches nor random numbers are touched
    model.eval()
    with FlopCounterMode(display=False) as counter:
        output = model(task.batch(rows))
        forward = counter.get_total_flops()
        output.sum().backward()
        both = counter.get_total_flops()
    model.zero_grad(set_to_none=True)
    return float(epochs * (train * both + val * forward) / size)
