"""Graphs from CIF texts and cached ones, against pymatgen; how cost grows with atoms; the large datasets.

Needs ``GBENCH_MIRROR`` with ``cdvae/perov_5_{val,test}.csv``; datasets that cannot be had there, or in the cache, are
left out. One core, but for the large datasets, where gbench may start processes.
"""

import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.measure import Cost, in_turn, print_table, process, typical
from gbench.crystals import Crystals
from gbench.errors import GbenchError
from gbench.graphs import build_graphs, cached_graphs
from gbench.reading.cif import read_cif
from gbench.spec import GraphSpec

ROUNDS = 5
SPEC = GraphSpec(cutoff=5.0, on_short="grow")
SAMPLE = 150
"""Structures for what takes milliseconds each."""
LARGE = ("mp36k", "qm9", "core_mof_asr")


def perovskites() -> list[str]:
    """CIF texts."""
    folder = Path(os.environ.get("GBENCH_MIRROR", "")) / "cdvae"
    texts = []
    for part in ("val", "test"):
        with (folder / f"perov_5_{part}.csv").open(newline="") as file:
            texts += [row["cif"] for row in csv.DictReader(file)]
    return texts


def read(texts: Sequence[str]) -> Crystals:
    """Crystals of CIF texts."""
    records = []
    for number, text in enumerate(texts):
        found = read_cif(text, str(number))
        records.append({"id": str(number), "numbers": found.numbers, "positions": found.positions, "cell": found.cell})
    return Crystals.build(records)


def texts_to_graphs() -> None:
    """CIF text to cached graph, ours and pymatgen's way, in turns; and what ours consists of."""
    from pymatgen.core import Structure

    texts = perovskites()
    crystals = read(texts)
    sample = texts[:: len(texts) // SAMPLE]

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            cached_graphs(read(texts), SPEC, Path(folder), workers=1)

    def pymatgens() -> None:
        for text in sample:
            Structure.from_str(text, fmt="cif").get_neighbor_list(SPEC.cutoff, exclude_self=True)

    with tempfile.TemporaryDirectory() as kept:
        cached_graphs(crystals, SPEC, Path(kept), workers=1)
        costs = in_turn(
            {
                "CIF text to cached graph": ours,
                "of that, reading": lambda: read(texts),
                "of that, edges": lambda: build_graphs(crystals, SPEC, workers=1),
                "cached graph, opened and checked": lambda: cached_graphs(crystals, SPEC, Path(kept)).sha256,
                "pymatgen: from_str, get_neighbor_list": pymatgens,
            },
            ROUNDS,
        )
    sizes = dict.fromkeys(costs, len(texts)) | {"pymatgen: from_str, get_neighbor_list": len(sample)}
    base = typical(costs["CIF text to cached graph"]).cpu / len(texts)
    rows = []
    for name, counted in costs.items():
        cost = typical(counted)
        each = cost.cpu / sizes[name]
        rows.append(
            [name, str(sizes[name]), f"{1e6 * each:.1f}", f"{sizes[name] / cost.wall:,.0f}", f"{each / base:.2f}"]
        )
    print_table(
        f"Perovskites of five atoms, radius 5 Å, one core (medians of {ROUNDS} rounds)",
        ["", "structures", "CPU us each", "structures/s (wall)", "CPU ratio"],
        rows,
    )


def kinds() -> None:
    """Each kind of graph, and pymatgen's Voronoi neighbours, on the embedded dataset."""
    from pymatgen.analysis.local_env import VoronoiNN

    from gbench.dataset import load

    crystals = load("pbe_prototypes").crystals
    few = [crystals.to_pymatgen(row) for row in range(0, len(crystals), 90)]
    specs = {
        "radius 5 Å": SPEC,
        "knn 12, whole shells": GraphSpec(kind="knn", neighbors=12, cutoff=8.0, on_short="grow"),
        "voronoi": GraphSpec(kind="voronoi", cutoff=10.0, on_short="grow"),
    }
    finder: Any = VoronoiNN

    def pymatgens() -> None:
        for structure in few:
            finder(compute_adj_neighbors=False).get_all_voronoi_polyhedra(structure)

    variants: dict[str, Callable[[], object]] = {
        name: partial(build_graphs, crystals, spec, workers=1) for name, spec in specs.items()
    }
    costs = in_turn({**variants, "pymatgen VoronoiNN": pymatgens}, ROUNDS)
    atoms = dict.fromkeys(costs, len(crystals.numbers)) | {"pymatgen VoronoiNN": sum(len(one) for one in few)}
    print_table(
        f"Kinds of graphs of pbe_prototypes, one core (medians of {ROUNDS} rounds)",
        ["", "atoms", "CPU us/atom"],
        [[name, str(atoms[name]), f"{1e6 * typical(cost).cpu / atoms[name]:.1f}"] for name, cost in costs.items()],
    )


def supercell(crystals: Crystals, repeats: int) -> Crystals:
    """The first crystal, repeated along each axis."""
    one = crystals.take([0])
    steps = np.stack(np.meshgrid(*[np.arange(repeats)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = (one.positions + steps @ one.cell[0]).reshape(-1, 3)
    numbers = np.tile(one.numbers, repeats**3)
    return Crystals.build(
        [{"id": str(repeats), "numbers": numbers, "positions": positions, "cell": one.cell[0] * repeats}]
    )


def growth() -> None:
    """Cost against atoms: supercells of a perovskite."""
    crystals = read(perovskites()[:1])
    rows = []
    for repeats in (1, 3, 6, 13, 27):
        cell = supercell(crystals, repeats)
        count = max(1, 20_000 // len(cell.numbers))
        # small cells are met in numbers: many of them make one measurement
        many = cell if count == 1 else read_copies(cell, count)
        (costs,) = in_turn({"": partial(build_graphs, many, SPEC, workers=1)}, ROUNDS).values()
        edges = build_graphs(cell, SPEC, workers=1).n_edges
        cost = typical(costs).cpu / count
        rows.append(
            [f"{len(cell.numbers):,}", f"{edges:,}", f"{1e3 * cost:.3g}", f"{1e6 * cost / len(cell.numbers):.2f}"]
        )
    print_table(
        f"Supercells of one perovskite, radius 5 Å, one core (medians of {ROUNDS} rounds)",
        ["atoms", "edges", "CPU ms", "CPU us/atom"],
        rows,
    )


def read_copies(crystals: Crystals, count: int) -> Crystals:
    """The first crystal, many times over."""
    cell, numbers, positions = crystals.cell[0], crystals.numbers, crystals.positions
    return Crystals.build(
        [{"id": str(copy), "numbers": numbers, "positions": positions, "cell": cell} for copy in range(count)]
    )


def sizes() -> None:
    """Cost against atoms: real frameworks, by size of the cell."""
    from gbench.dataset import load

    try:
        crystals = load("core_mof_asr").crystals
    except GbenchError as error:
        print(f"core_mof_asr is left out: {error}\n")
        return
    rows = []
    for low, high in pairwise((10, 50, 100, 200, 400, 800, 10_000)):
        some = crystals.take(np.flatnonzero((crystals.n_atoms >= low) & (crystals.n_atoms < high)))
        if not len(some):
            continue
        (costs,) = in_turn({"": partial(build_graphs, some, SPEC, workers=1)}, 3).values()
        made = build_graphs(some, SPEC, workers=1)
        cost = typical(costs).cpu
        rows.append(
            [
                f"{low} to {some.n_atoms.max()}",
                f"{len(some):,}",
                f"{len(some.numbers):,}",
                f"{made.edges_per_atom:.1f}",
                f"{1e6 * cost / len(some.numbers):.2f}",
                f"{1e9 * cost / made.n_edges:.0f}",
            ]
        )
    print_table(
        "core_mof_asr by atoms in the cell, radius 5 Å, one core (medians of 3 rounds)",
        ["atoms in the cell", "frameworks", "atoms", "edges/atom", "CPU us/atom", "CPU ns/edge"],
        rows,
    )


def work(name: str) -> None:
    """Raw files to cached graphs of a dataset, then the cached graphs again; print the figures."""
    from gbench.dataset import load

    started = time.perf_counter()
    dataset = load(name)
    loaded = time.perf_counter()
    graphs = dataset.graphs(SPEC)
    built = time.perf_counter()
    again = dataset.graphs(SPEC).sha256
    if again != graphs.sha256:
        raise RuntimeError("the cached graphs are not those that were built")
    print(len(graphs.crystals), len(graphs.crystals.numbers), graphs.n_edges)
    print(loaded - started, built - loaded, time.perf_counter() - built)


def large() -> None:
    """The large datasets, each in a process of its own on an empty cache."""
    rows = []
    for name in LARGE:
        with tempfile.TemporaryDirectory() as cache:
            try:
                cost, output = process(
                    [sys.executable, "-m", "benchmarks.speed.graphs", "work", name], GBENCH_CACHE=cache
                )
            except RuntimeError as error:
                print(f"{name} is left out: {error}\n")
                continue
        counts, seconds = (line.split() for line in output.strip().splitlines()[-2:])
        rows.append([name, *(f"{int(count):,}" for count in counts), *_large_row(seconds, cost)])
    print_table(
        "Raw files to cached graphs, radius 5 Å, an empty cache each (one round)",
        [
            "",
            "crystals",
            "atoms",
            "edges",
            "files to crystals, s",
            "to cached graphs, s",
            "again, s",
            "process, s",
            "MB",
        ],
        rows,
    )


def _large_row(seconds: Sequence[str], cost: Cost) -> list[str]:
    return [f"{float(part):.2f}" for part in seconds] + [f"{cost.wall:.1f}", f"{cost.peak_mb:.0f}"]


def main() -> None:
    """Time everything."""
    texts_to_graphs()
    kinds()
    growth()
    sizes()
    large()


if __name__ == "__main__":
    work(sys.argv[2]) if sys.argv[1:2] == ["work"] else main()
