"""Every split scheme of large datasets, each made in a process of its own with empty caches of graphs and space groups.

    python -m benchmarks.speed.splits [DATASET ...]

Needs the datasets at hand (``GBENCH_MIRROR``). The seconds begin when the dataset is loaded.
"""

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.measure import print_table, process
from gbench.content import cache_dir

DATASETS = ("mp36k", "qm9")


def work(name: str, scheme: str) -> None:
    """Make one split; print its seconds and the sizes of its parts, or why it cannot be made."""
    from gbench.dataset import load
    from gbench.errors import GbenchError
    from gbench.splitting import make_spec, make_split

    dataset = load(name)
    started = time.perf_counter()
    try:
        split = make_split(dataset, make_spec(scheme))
    except GbenchError as error:
        print(f"- {str(error).split(';')[0]}")
        return
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} {len(split.train)} / {len(split.val)} / {len(split.test)}")


def main(names: list[str]) -> None:
    """Time all schemes."""
    from gbench.splitting import schemes

    rows = []
    for name in names:
        for scheme in schemes():
            with tempfile.TemporaryDirectory() as cache:
                # the dataset itself comes from the cache: reading archives is measured elsewhere
                (Path(cache) / "datasets").symlink_to(cache_dir() / "datasets")
                command = [sys.executable, "-m", "benchmarks.speed.splits", "work", name, scheme]
                cost, output = process(command, GBENCH_CACHE=cache)
            seconds, _, parts = output.strip().partition(" ")
            rows.append([name, scheme, seconds, parts, f"{cost.peak_mb / 1000:.1f}"])
    print_table("Making splits", ["dataset", "scheme", "s", "train / val / test", "peak memory, GB"], rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(*sys.argv[2:4])
    else:
        main(sys.argv[1:] or list(DATASETS))
