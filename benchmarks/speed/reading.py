"""CIF texts against pymatgen, and a large archive from the mirror to crystals.

Needs ``GBENCH_MIRROR`` with ``cdvae/perov_5_val.csv`` and the files of mp36k.
"""

import os
import resource
import sys
import tempfile
import time
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.speed.measure import in_turn, print_table, process, ratio, typical
from gbench.reading.cif import read_cif
from gbench.reading.tables import read_csv

ROUNDS = 7
SAMPLE = 200
"""Texts; pymatgen takes milliseconds each."""


def texts() -> None:
    """CIF texts of small and of larger cells, ours and pymatgen's reading in turns, on one core."""
    from pymatgen.core import Structure

    rows = []
    for name, cifs in {"perovskites, 5 atoms": perovskites(), "mp36k, 1 to 200 atoms": crystals()}.items():

        def ours(cifs: list[str] = cifs) -> None:
            for text in cifs:
                read_cif(text, "one")

        def pymatgens(cifs: list[str] = cifs) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for text in cifs:
                    Structure.from_str(text, fmt="cif")

        costs = in_turn({"gbench": ours, "pymatgen": pymatgens}, ROUNDS)
        each = {who: typical(counted).cpu / len(cifs) for who, counted in costs.items()}
        rows.append(
            [
                name,
                str(len(cifs)),
                *(f"{1e6 * seconds:.0f} ({1 / seconds:,.0f}/s)" for seconds in each.values()),
                f"{ratio(costs['pymatgen'], costs['gbench']):.0f}",
            ]
        )
    print_table(
        f"CIF texts to atoms, one core, CPU us each (medians of {ROUNDS} rounds)",
        ["", "texts", "gbench", "pymatgen", "ratio"],
        rows,
    )


def perovskites() -> list[str]:
    """CIF texts of cells of five atoms."""
    cifs = read_csv(Path(os.environ["GBENCH_MIRROR"]) / "cdvae" / "perov_5_val.csv").column("cif")
    return cifs[:: len(cifs) // SAMPLE]


def crystals() -> list[str]:
    """CIF texts of mp36k."""
    paths = sorted(_mp36k_sources()[0].glob("*.cif"))
    return [path.read_text() for path in paths[:: len(paths) // SAMPLE]]


def _mp36k_sources() -> list[Path]:
    from gbench.fetch import fetch
    from gbench.registry import dataset_card, dataset_folder

    return [fetch(source, dataset_folder("mp36k")) for source in dataset_card("mp36k").sources]


def work() -> None:
    """mp36k from its archive to crystals; print seconds of the steps, and peak memory of the processes that read."""
    from joblib import Parallel, delayed

    import gbench.dataset as module
    from gbench.registry import loader

    steps = [time.perf_counter()]
    files = _mp36k_sources()
    steps.append(time.perf_counter())
    made = loader("mp36k")(files)
    steps.append(time.perf_counter())
    module.load("mp36k")
    steps.append(time.perf_counter())
    module.load("mp36k")
    steps.append(time.perf_counter())
    # the processes are kept for a while: these calls meet those that have read
    workers = os.cpu_count() or 1
    peaks: Any = Parallel(workers)(delayed(_peak_mb)() for _ in range(workers))
    spans = [later - earlier for earlier, later in pairwise(steps)]
    print(len(made), *(f"{seconds:.2f}" for seconds in spans), f"{max(peaks):.0f}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def archive() -> None:
    """mp36k in a process of its own on an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        cost, output = process([sys.executable, "-m", "benchmarks.speed.reading", "work"], GBENCH_CACHE=cache)
    count, unpack, read, first, again, children = output.split()
    print_table(
        f"mp36k, archive to crystals, {os.cpu_count()} cores (one round)",
        [
            "crystals",
            "unpack and verify, s",
            "CIFs to arrays, s",
            "whole load, unpacked, s",
            "from the cache, s",
            "MB",
            "MB, a reading process",
        ],
        [[count, unpack, read, first, again, f"{cost.peak_mb:.0f}", children]],
    )


def main() -> None:
    """Time both."""
    texts()
    archive()


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["work"] else main()
