"""Whether `gbench regress run` finds what it should and nothing else: planted regressions, and reruns without any.

python -m benchmarks.regression_planted            # five planted regressions, ten reruns, ten with other rounding
python -m benchmarks.regression_planted "frozen layer" --reruns 0 --rounded 0
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import gbench.graphs
import gbench.train
from gbench.batch import Batch, GraphTensors
from gbench.model import Model
from gbench.neighbors import Edges, find_edges
from gbench.regress.run import Report, run_suite
from gbench.task import Scale

SUITE = Path(__file__).with_name("regression.yaml")


@contextmanager
def no_target_scaling() -> Iterator[None]:
    """Networks are to give labels as they are."""

    def plain(labels: Tensor, counts: Tensor | None = None) -> Scale:
        del labels
        return Scale(0.0, 1.0, () if counts is None else (0.0,) * counts.shape[1])

    with mock.patch.object(Scale, "of", plain):
        yield


@contextmanager
def shuffled_edges() -> Iterator[None]:
    """Edges end where they should and begin anywhere in the batch: a fault of collation, which no graph shows."""
    whole = GraphTensors.batch

    def batch(self: GraphTensors, rows: Tensor) -> Batch:
        made = whole(self, rows)
        order = torch.randperm(made.edge_index.shape[1], generator=torch.Generator().manual_seed(0))
        return dataclasses.replace(made, edge_index=torch.stack([made.src[order], made.dst]))

    with mock.patch.object(GraphTensors, "batch", batch):
        yield


@contextmanager
def dropped_self_images() -> Iterator[None]:
    """No atom is a neighbour of its own images."""
    whole = find_edges

    def find(crystals: Any, *args: Any, **kwargs: Any) -> Edges:
        edges = whole(crystals, *args, **kwargs)
        place = np.arange(len(edges.degree)) - np.repeat(crystals.ptr[:-1], crystals.n_atoms)
        keep = edges.src != np.repeat(place, edges.degree)
        ends = np.concatenate([[0], np.cumsum(keep)])[np.cumsum(edges.degree, dtype=np.int64)]
        degree = np.diff(ends, prepend=0).astype(edges.degree.dtype)
        return Edges(degree, edges.src[keep], edges.image[keep], None)

    with mock.patch.object(gbench.graphs, "find_edges", find):
        yield


@contextmanager
def frozen_layer() -> Iterator[None]:
    """The first layer of message passing keeps the weights it starts with."""
    with _each_network(_freeze):
        yield


def _freeze(model: Model) -> None:
    layers = next(child for name, child in model.named_children() if name in ("layers", "blocks"))
    first = next(layers.children())
    for parameter in first.parameters():
        parameter.requires_grad_(False)


@contextmanager
def slower_collate() -> Iterator[None]:
    """Cutting a batch takes 30 % longer."""
    whole = GraphTensors.batch

    def batch(self: GraphTensors, rows: Tensor) -> Batch:
        started = time.perf_counter()
        made = whole(self, rows)
        end = time.perf_counter() + 0.3 * (time.perf_counter() - started)
        while time.perf_counter() < end:
            pass
        return made

    with mock.patch.object(GraphTensors, "batch", batch):
        yield


@contextmanager
def other_rounding(seed: int) -> Iterator[None]:
    """Weights start off by one part in ten million, as much as another machine's arithmetic may make of them."""

    def disturb(model: Model) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + 1e-7 * torch.randn(parameter.shape, generator=generator))

    with _each_network(disturb):
        yield


@contextmanager
def _each_network(change: Callable[[Model], None]) -> Iterator[None]:
    """Every network is changed before it is trained."""
    whole = gbench.train.Loop.__init__

    def init(self: gbench.train.Loop, model: Model, *args: Any) -> None:
        change(model)
        whole(self, model, *args)

    with mock.patch.object(gbench.train.Loop, "__init__", init):
        yield


PLANTED: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "no target scaling": no_target_scaling,
    "shuffled edges": shuffled_edges,
    "dropped self-images": dropped_self_images,
    "frozen layer": frozen_layer,
    "slower collate": slower_collate,
}


def main() -> None:
    """Run the suite under each fault and without any; one line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("planted", nargs="*", metavar="PLANTED", default=list(PLANTED), help=", ".join(PLANTED))
    parser.add_argument("--reruns", type=int, default=10)
    parser.add_argument("--rounded", type=int, default=10)
    given = parser.parse_args()
    runs: list[tuple[str, AbstractContextManager[None], bool]] = []
    runs += [(name, PLANTED[name](), False) for name in given.planted]
    runs += [(f"unchanged, {number}", nullcontext(), True) for number in range(1, given.reruns + 1)]
    runs += [(f"other rounding, {seed}", other_rounding(seed), True) for seed in range(1, given.rounded + 1)]
    wrong = 0
    for name, fault, well in runs:
        with fault:
            report = run_suite(SUITE)
        wrong += report.ok != well
        print(f"{name}: {_words(report)}; {report.seconds:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"{wrong} of {len(runs)} verdicts are wrong")
    raise SystemExit(min(wrong, 1))


def _words(report: Report) -> str:
    failed = [f"{check.kind} {check.name} {check.found}" for check in report.failed]
    return " | ".join(failed) or "nothing found"


if __name__ == "__main__":
    main()
