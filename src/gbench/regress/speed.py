"""How long a piece of work takes, in units of a kernel that runs beside it on the same machine."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch

from gbench.batch import GraphTensors
from gbench.choices import Choices, resolve
from gbench.dataset import load
from gbench.model import Head, Model
from gbench.registry import class_of
from gbench.regress.kernel import CRYSTALS, CollateKernel, StepKernel

ROWS, BATCHES = 64, 8
Work = Literal["collate", "step"]


class Timing(NamedTuple):
    """How a piece of work is timed."""

    calls: int
    """Of the work and of the kernel each."""
    clock: Callable[[], float]


TIMINGS: dict[Work, Timing] = {
    "collate": Timing(3000, time.perf_counter),
    # calls of several milliseconds seldom run uninterrupted on a busy machine, so these are timed by the processor
    "step": Timing(300, time.thread_time),
}


def speed_ratio(work: Work) -> float:
    """Median seconds of ``work`` over those of its kernel, much the same on any machine, busy or not.

    ``collate`` cuts batches of 64 graphs from ``pbe_prototypes``; ``step`` takes cgcnn forward and back on one. Single
    calls alternate with the kernel's in random order: what else runs on the machine meets both alike, and the median
    leaves out calls that were interrupted.
    """
    ours, kernel = _collate() if work == "collate" else _step()
    return _median_ratio(ours, kernel, TIMINGS[work])


def _median_ratio(work: Callable[[int], object], kernel: Callable[[int], object], timing: Timing) -> float:
    # the first calls allocate
    for call in range(BATCHES):
        work(call)
        kernel(call)
    seconds = np.empty((timing.calls, 2))
    for call, first in enumerate(np.random.default_rng(0).integers(2, size=timing.calls).tolist()):
        for which in (first, 1 - first):
            started = timing.clock()
            (work, kernel)[which](call)
            seconds[call, which] = timing.clock() - started
    of_work, of_kernel = np.median(seconds, axis=0)
    return float(of_work / of_kernel)


def _tensors() -> tuple[GraphTensors, type[Model], object]:
    spec = resolve(Choices(model="cgcnn", overrides={"model.hidden": 32}))
    kind = class_of(spec)
    if not issubclass(kind, Model):
        raise TypeError(f"{kind.__name__} is no network")
    tensors = GraphTensors(load(spec.dataset).graphs(spec.graph), merge=kind.sees)
    return tensors, kind, kind.Config.model_validate(spec.config)


def _batches(crystals: int) -> list[torch.Tensor]:
    return [torch.randperm(crystals, generator=torch.Generator().manual_seed(n))[:ROWS] for n in range(BATCHES)]


def _collate() -> tuple[Callable[[int], object], Callable[[int], object]]:
    tensors, kernel = _tensors()[0], CollateKernel()
    ours, theirs = _batches(len(tensors)), _batches(CRYSTALS)
    return lambda call: tensors.batch(ours[call % BATCHES]), lambda call: kernel.batch(theirs[call % BATCHES])


def _step() -> tuple[Callable[[int], object], Callable[[int], object]]:
    tensors, kind, config = _tensors()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config, Head())  # type: ignore[arg-type]
    batches = [tensors.batch(rows) for rows in _batches(len(tensors))]
    kernel = StepKernel()

    def step(call: int) -> None:
        model.zero_grad(set_to_none=True)
        model(batches[call % BATCHES]).abs().mean().backward()

    return step, lambda _: kernel.step()
