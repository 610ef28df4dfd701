"""matbench_phonons from the raw file to cached graphs (radius 5 Å, all 1,265), then again from the cache.

Each measurement is a process of its own on a temporary cache, as a user's would be. The seconds of the work exclude
imports; the whole process includes them. Needs the raw file: ``GBENCH_MIRROR``, or the network for the first round.
"""

import sys
import tempfile
import time

from benchmarks.speed.measure import Cost, print_table, process, typical

ROUNDS = 5


def work() -> None:
    """Load and build once; print the seconds."""
    # everything the work would import lazily, so that only the work is timed
    import pymatgen.optimization.neighbors  # noqa: F401

    import gbench.registry
    from gbench.dataset import load
    from gbench.spec import GraphSpec

    gbench.registry.loader("matbench_phonons")
    started = time.perf_counter()
    dataset = load("matbench_phonons")
    loaded = time.perf_counter()
    graphs = dataset.graphs(GraphSpec(cutoff=5.0, on_short="grow"))
    print(len(graphs.src), loaded - started, time.perf_counter() - loaded)


def run(cache: str) -> tuple[Cost, list[float]]:
    """The whole process, and the (edges, seconds to crystals, seconds to graphs) it reports."""
    cost, output = process([sys.executable, "-m", "benchmarks.speed.preprocess", "work"], GBENCH_CACHE=cache)
    return cost, [float(number) for number in output.split()]


def main() -> None:
    """Time both loads."""
    rows: dict[str, list[tuple[Cost, list[float]]]] = {"raw file to cached graphs": [], "second load": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            for counted in rows.values():
                counted.append(run(cache))

    def row(name: str, counted: list[tuple[Cost, list[float]]]) -> list[str]:
        whole = typical([cost for cost, _ in counted])
        parts = typical([Cost(reported[1], reported[2]) for _, reported in counted])
        work_seconds = typical([Cost(reported[1] + reported[2], 0) for _, reported in counted])
        return [
            name,
            f"{work_seconds.wall:.2f}",
            f"{parts[0]:.2f} + {parts[1]:.2f}",
            f"{whole.wall:.2f}",
            f"{whole.cpu:.2f}",
            f"{whole.peak_mb:.0f}",
        ]

    edges = int(rows["second load"][0][1][0])
    print_table(
        f"matbench_phonons, 1,265 crystals, {edges} edges (medians of {ROUNDS}); imports excluded from the first two",
        ["", "work, s", "crystals + graphs, s", "whole process, s", "its CPU s", "its peak MB"],
        [row(name, counted) for name, counted in rows.items()],
    )


if __name__ == "__main__":
    work() if sys.argv[1:] == ["work"] else main()
