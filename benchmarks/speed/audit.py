"""Split cards of random splits, each measured in a process of its own with an empty cache of cards and graphs.

    python -m benchmarks.speed.audit [DATASET ...]

Needs the datasets at hand (``GBENCH_MIRROR``). The seconds of a card begin when dataset and split are loaded; those of
the search for near-duplicates are among them. Whole processes include imports and loading.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

from benchmarks.speed.measure import Cost, print_table, process
from gbench.audit.card import Depth, Duplicates
from gbench.audit.facts import Progress
from gbench.content import cache_dir

DATASETS = ("pbe_prototypes", "matbench_phonons", "mp36k", "qm9")


def work(name: str, depth: Depth) -> None:
    """Measure one card; print test rows, rows searched, pairs compared, seconds, and those of the search."""
    from gbench.audit import Facts
    from gbench.audit import measure as measured
    from gbench.audit.duplicates import Search, find_duplicates
    from gbench.dataset import load
    from gbench.splitting import make_spec, make_split

    seconds = []

    def timed(search: Search, progress: Progress) -> Duplicates:
        started = time.perf_counter()
        found = find_duplicates(search, progress)
        seconds.append(time.perf_counter() - started)
        return found

    measured.__dict__["find_duplicates"] = timed
    dataset, spec = load(name), make_spec("random")
    split = make_split(dataset, spec)
    started = time.perf_counter()
    card = measured.audit(Facts(dataset), split, spec, dataset.card.default_target, depth)
    total = time.perf_counter() - started
    print(card.sizes.test, card.duplicates.checked, card.duplicates.compared, total, seconds[0])


def run(name: str, depth: Depth) -> tuple[Cost, list[float]]:
    """The whole process, and the numbers it reports."""
    with tempfile.TemporaryDirectory() as cache:
        # the dataset itself comes from the cache: reading archives is measured elsewhere
        (Path(cache) / "datasets").symlink_to(cache_dir() / "datasets")
        cost, output = process(
            [sys.executable, "-m", "benchmarks.speed.audit", "work", name, depth], GBENCH_CACHE=cache
        )
    return cost, [float(number) for number in output.split()]


def main(names: list[str]) -> None:
    """Time quick and full cards."""
    rows = []
    for name in names or DATASETS:
        for depth in get_args(Depth):
            cost, (test, checked, compared, total, search) = run(name, depth)
            rows.append(
                [
                    f"{name}, {depth}",
                    f"{total:.1f}",
                    f"{search:.1f}",
                    f"{checked:,.0f} of {test:,.0f}",
                    f"{compared:,.0f}",
                    f"{cost.wall:.0f}",
                    f"{cost.cpu:.0f}",
                    f"{cost.peak_mb:.0f}",
                ]
            )
    header = ["card", "s", "search, s", "test rows searched", "pairs", "process, s", "CPU s", "peak MB"]
    print_table("Split cards of random splits, fold 0", header, rows)


if __name__ == "__main__":
    work(sys.argv[2], "full" if sys.argv[3] == "full" else "quick") if sys.argv[1:2] == ["work"] else main(sys.argv[1:])
