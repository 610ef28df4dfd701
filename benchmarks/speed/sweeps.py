"""What a sweep costs besides training, for each of many tiny runs.

    python -m benchmarks.speed.sweeps [--runs 1000] [--model dummy|cgcnn] [--executor local|ray]

One training has one thread; there are two at once. ``ray`` starts a cluster of two nodes on this machine. CPU seconds
are those of workers (of Ray all its processes), without the start of the workers, which one run each warms up.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from gbench.result import read_result
from gbench.sweep.executor import Executor
from gbench.sweep.expand import Training, expand
from gbench.sweep.local import Local
from gbench.sweep.plan import make_plan
from gbench.sweep.suite import Suite
from gbench.sweep.sweep import Sweep

TINY = {"training.epochs": 1, "model.hidden": 8, "model.layers": 1}


def suite(model: str, runs: int) -> Suite:
    """Runs that differ by their seed."""
    base = {"model": model, "dataset": "pbe_prototypes", "split": "formula", **(TINY if model == "cgcnn" else {})}
    return Suite(about="tiny runs", base=base, vary={"seed": list(range(runs))})


@contextmanager
def executor(name: str, results: Path) -> Iterator[Executor]:
    """Two trainings at once."""
    if name == "local":
        with Local(2, 1) as local:
            yield local
        return
    from ray.cluster_utils import Cluster

    from gbench.sweep.on_ray import OnRay

    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    with OnRay(cluster.address, results) as ray:
        yield ray
    cluster.shutdown()


def main() -> None:
    """Print one line of a Markdown table, and the load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--model", default="dummy", choices=("dummy", "cgcnn"))
    parser.add_argument("--executor", default="local", choices=("local", "ray"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        started = time.perf_counter()
        trainings = expand(suite(chosen.model, chosen.runs))
        expanded = time.perf_counter() - started
        with executor(chosen.executor, results) as workers:
            Sweep(results, workers).run(trainings[:8])
            timed = _timed(trainings[8:], results, workers)
        started = time.perf_counter()
        make_plan(trainings, results)
        planned = time.perf_counter() - started
        costs = [cost for one in trainings if (cost := read_result(results / one.run_id).cost)]
        train = sum(cost.train_cpu_seconds or 0.0 for cost in costs)
        each = [1e3 * seconds / chosen.runs for seconds in (*timed, train, expanded, planned)]
    print("| executor | model | wall | CPU, workers | CPU, sweep | CPU, training | expand | plan, all done | load |")
    print("|---" * 9 + "|")
    numbers = " | ".join(f"{number:.1f}" for number in each)
    print(
        f"| {chosen.executor} | {chosen.model} | {numbers} | {os.getloadavg()[0]:.1f} |   ms per run of {chosen.runs}"
    )


def _timed(trainings: list[Training], results: Path, workers: Executor) -> tuple[float, float, float]:
    """Seconds on the clock, of CPU in workers, of CPU here."""
    before, own, started = _cpu_of_children(), time.process_time(), time.perf_counter()
    Sweep(results, workers).run(trainings)
    wall = time.perf_counter() - started
    return wall, _cpu_of_children() - before, time.process_time() - own


def _cpu_of_children() -> float:
    times = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    main()
