"""Graphs have one identity everywhere, and a cache that cannot be damaged."""

import json
import multiprocessing
import multiprocessing.synchronize
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.graphs import build_graphs, cached_graphs
from gbench.spec import GraphSpec

SPEC = GraphSpec(cutoff=4.0, on_short="grow")


@pytest.fixture(scope="module")
def few(prototypes: Dataset) -> Crystals:
    return prototypes.crystals.take(range(0, 828, 60))


def test_pointers_delimit_the_edges_of_atoms_and_crystals(few: Crystals) -> None:
    graphs = build_graphs(few, SPEC)
    for atom in range(len(few.numbers)):
        assert (graphs.dst[graphs.atom_ptr[atom] : graphs.atom_ptr[atom + 1]] == atom).all()
    crystal = few.crystal_of_atom
    for row in range(len(few)):
        edges = slice(graphs.edge_ptr[row], graphs.edge_ptr[row + 1])
        assert (crystal[graphs.src[edges]] == row).all()
        assert (crystal[graphs.dst[edges]] == row).all()


def test_vectors_reach_from_centre_to_neighbour(few: Crystals) -> None:
    graphs = build_graphs(few, SPEC)
    for edge in range(0, len(graphs.src), 97):
        row = few.crystal_of_atom[graphs.dst[edge]]
        expected = (
            few.positions[graphs.src[edge]] + graphs.image[edge] @ few.cell[row] - few.positions[graphs.dst[edge]]
        )
        np.testing.assert_allclose(graphs.vector[edge], expected, atol=1e-12)


def test_the_cache_gives_back_the_same_graph(few: Crystals, tmp_path: Path) -> None:
    built = cached_graphs(few, SPEC, tmp_path)
    read = cached_graphs(few, SPEC, tmp_path)
    assert built.sha256 == read.sha256 == build_graphs(few, SPEC).sha256
    assert len(list(tmp_path.iterdir())) == 1
    assert not read.edges.src.flags.writeable


def test_a_flipped_bit_is_noticed(few: Crystals, tmp_path: Path, rng: np.random.Generator) -> None:
    expected = cached_graphs(few, SPEC, tmp_path).sha256
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert cached_graphs(few, SPEC, tmp_path).sha256 == expected


def test_another_spec_or_crystal_is_another_graph(few: Crystals) -> None:
    base = build_graphs(few, SPEC).sha256
    assert build_graphs(few, SPEC.model_copy(update={"cutoff": 4.5})).sha256 != base
    assert build_graphs(few.take(range(len(few) - 1)), SPEC).sha256 != base


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"not arrow" * 100])
def test_a_damaged_cache_file_is_replaced(few: Crystals, tmp_path: Path, damage: object) -> None:
    expected = cached_graphs(few, SPEC, tmp_path).sha256
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(damage(data))  # type: ignore[operator]
    assert cached_graphs(few, SPEC, tmp_path).sha256 == expected
    assert path.read_bytes() == data


def test_the_hash_is_equal_in_other_processes_with_other_thread_counts(prototypes: Dataset) -> None:
    code = (
        "from gbench.dataset import load; from gbench.graphs import build_graphs; from gbench.spec import GraphSpec;"
        "print(build_graphs(load('pbe_prototypes').crystals, GraphSpec()).sha256)"
    )
    expected = build_graphs(prototypes.crystals, GraphSpec()).sha256
    for threads in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": threads}, capture_output=True, text=True
        )
        assert found.stdout.strip() == expected, found.stderr


def _fill(folder: Path, barrier: "multiprocessing.synchronize.Barrier", answers: "multiprocessing.Queue[str]") -> None:
    crystals = load("pbe_prototypes").crystals
    barrier.wait()
    answers.put(cached_graphs(crystals, SPEC, folder).sha256)


def test_processes_may_fill_the_cache_at_once(prototypes: Dataset, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_fill, args=(tmp_path, barrier, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    hashes = {answers.get(timeout=120) for _ in workers}
    for worker in workers:
        worker.join()
    assert hashes == {build_graphs(prototypes.crystals, SPEC).sha256}
    assert len(list(tmp_path.iterdir())) == 1


def test_cut_shells_carry_a_warning(few: Crystals) -> None:
    spec = GraphSpec(kind="knn", neighbors=8, cutoff=8.0)
    assert build_graphs(few, spec).warnings == ()
    assert "choice of cell" in build_graphs(few, spec.model_copy(update={"shells": "cut"})).warnings[0]


def test_the_spec_survives_json() -> None:
    assert GraphSpec.model_validate(json.loads(SPEC.model_dump_json())) == SPEC
