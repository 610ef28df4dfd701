"""Whether ``torch.compile`` pays: CPU time of an epoch of training with and without it, and what compiling costs.

640 five-atom perovskites (``GBENCH_MIRROR`` with cdvae/perov_5_val.csv: real ones), 12 neighbours within 8 Å, batches
of 128, one thread. Shapes are declared dynamic: batches differ in edges, distances and angles. Needs a C++ compiler.
"""

import argparse
import os
import sys
import time
import warnings
from typing import NamedTuple

import torch

from benchmarks.speed import cgcnn_epoch as common
from benchmarks.speed.measure import Cost, in_turn, print_table, ratio, typical
from benchmarks.speed.models import Graphs
from benchmarks.speed.peers import ours

CRYSTALS = 640
MODELS = ("schnet", "cgcnn", "megnet", "alignn")


class Found(NamedTuple):
    """One network's epochs, and what came before the first of them."""

    eager: list[Cost]
    compiled: list[Cost]
    compiling_seconds: float
    """CPU time of this process and of the compilers it starts."""


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measured(name: str, graphs: Graphs, rounds: int) -> Found:
    """Costs of a network's epochs."""
    model = ours(name)
    given, labels = graphs.given_to(model), torch.randn(CRYSTALS)
    eager = common.Training(model, given, labels)
    again = ours(name)
    again.compile(dynamic=True)
    compiled = common.Training(again, given, labels)
    started = cpu_seconds()
    # twice: what the first epoch found not to hold is compiled anew in the second
    compiled.epoch()
    compiled.epoch()
    compiling = cpu_seconds() - started
    costs = in_turn({"eager": eager.epoch, "compiled": compiled.epoch}, rounds)
    return Found(costs["eager"], costs["compiled"], compiling - 2 * typical(costs["compiled"]).cpu)


def main() -> None:
    """Time what the command names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.compiler.config.force_disable_caches = True
    crystals, source = common.perovskites()
    graphs, cells = Graphs.of(crystals.take(range(CRYSTALS)), whole=False), []
    for name in given.models:
        started = time.perf_counter()
        found = measured(name, graphs, given.rounds)
        eager, compiled = typical(found.eager).cpu, typical(found.compiled).cpu
        saved = eager - compiled
        even = f"{CRYSTALS * found.compiling_seconds / saved:,.0f}" if saved > 0 else "never"
        cells.append(
            [name, f"{eager:.3f}", f"{compiled:.3f}", f"{ratio(found.eager, found.compiled):.2f}",
             f"{found.compiling_seconds:.0f}", even]
        )  # fmt: skip
        print(f"{', '.join(cells[-1])}; all in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    columns = ["network", "CPU s", "compiled", "times as fast", "compiling, CPU s", "pays after crystals"]
    print_table(f"torch.compile, {CRYSTALS} crystals an epoch, one thread; {source}", columns, cells)


if __name__ == "__main__":
    main()
