"""Graphs have one identity everywhere, and a cache that cannot be damaged."""

import dataclasses
import json
import multiprocessing
import multiprocessing.synchronize
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gbench.content import content
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.errors import GraphError
from gbench.graphs import build_graphs, cached_graphs
from gbench.spec import GraphSpec, RunSpec

SPEC = GraphSpec(cutoff=4.0, on_short="grow")
ALL_KINDS = [
    SPEC,
    GraphSpec(kind="knn", neighbors=6, cutoff=4.0, on_short="grow"),
    GraphSpec(kind="voronoi", cutoff=4.0, on_short="grow"),
]


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


def test_distances_are_held_once_per_crystal(few: Crystals, monkeypatch: pytest.MonkeyPatch) -> None:
    # blocks of a crystal or two
    monkeypatch.setattr("gbench.graphs.BLOCK_EDGES", 500)
    graphs = build_graphs(few, SPEC)
    found = graphs.distinct_distances()
    assert found.of_edge.dtype == np.int16
    for row in range(len(few)):
        edges = slice(graphs.edge_ptr[row], graphs.edge_ptr[row + 1])
        own = found.angstrom[found.ptr[row] : found.ptr[row + 1]]
        assert (np.diff(np.rint(own / 1e-8)) > 0).all()
        np.testing.assert_allclose(own[found.of_edge[edges]], graphs.distance[edges], atol=1e-8, rtol=0)
        assert set(found.of_edge[edges]) == set(range(len(own)))


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


def published() -> list[tuple[str, RunSpec, str | None]]:
    """Run id, spec and graph hash of every result in the leaderboard that was made on graphs."""
    found = []
    for path in sorted(content("leaderboard").glob("results/**/result.json")):
        result = json.loads(path.read_text())
        found.append((result["run_id"], RunSpec.model_validate(result["spec"]), (result["graph"] or {}).get("sha256")))
    return found


def test_published_specs_keep_their_run_ids() -> None:
    assert len(published()) > 50
    for run_id, spec, _ in published():
        assert spec.run_id == run_id


@pytest.mark.parametrize("name", ["prototypes", "phonons"])
def test_published_graphs_keep_their_hashes(name: str, request: pytest.FixtureRequest) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    hashes = {
        spec.graph.model_dump_json(): sha256
        for _, spec, sha256 in published()
        if spec.graph and spec.dataset == dataset.card.name
    }
    assert hashes
    for spec, expected in hashes.items():
        assert build_graphs(dataset.crystals, GraphSpec.model_validate_json(spec)).sha256 == expected


@pytest.mark.parametrize("spec", ALL_KINDS, ids=lambda spec: spec.kind)
def test_rounding_noise_changes_no_edge_even_on_the_cutoff(
    prototypes: Dataset, rng: np.random.Generator, spec: GraphSpec
) -> None:
    cell = np.array([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])
    # the second shell of rock salt lies exactly on this cut-off
    records = [{"id": "x", "numbers": [11, 17], "positions": [[0, 0, 0], [2.8, 0, 0]], "cell": cell}]
    on_the_edge = spec.model_copy(update={"cutoff": float(np.sqrt(2) * 2.8)})
    for crystals, chosen in ((Crystals.build(records), on_the_edge), (prototypes.crystals, spec)):
        expected = build_graphs(crystals, chosen)
        for _ in range(3):
            noise = rng.normal(scale=1e-12, size=crystals.positions.shape)
            noisy = build_graphs(dataclasses.replace(crystals, positions=crystals.positions + noise), chosen)
            assert noisy.edges_sha256 == expected.edges_sha256
            # the structures are hashed as they are
            assert noisy.sha256 != expected.sha256


@pytest.mark.parametrize("spec", ALL_KINDS, ids=lambda spec: spec.kind)
def test_processes_and_chunks_change_nothing(few: Crystals, spec: GraphSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = build_graphs(few, spec)
    monkeypatch.setattr("gbench.search.CHUNK_EDGES", 100)
    done: list[int] = []
    for workers in (1, 2):
        graphs = build_graphs(few, spec, workers=workers, progress=done.append)
        assert graphs.edges_sha256 == expected.edges_sha256
        np.testing.assert_array_equal(graphs.weight, expected.weight)
    assert len(done) > 4
    assert sum(done) == 2 * len(few)


def test_a_mistake_found_by_another_process_is_told_as_such(few: Crystals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbench.search.CHUNK_EDGES", 100)
    with pytest.raises(GraphError, match="has no neighbour within 1.0 Å"):
        build_graphs(few, GraphSpec(cutoff=1.0), workers=2)


def test_a_full_disk_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    """Files may not grow beyond 20 kB in a child process: the graphs do not fit."""
    done = subprocess.run(
        [sys.executable, "-c", "from gbench.cli import main; main()", "graphs", "build"],
        env={**os.environ, "GBENCH_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'graphs'}: cannot write (File too large); set GBENCH_CACHE to")
    assert done.stderr.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_cache_keeps_weights(few: Crystals, tmp_path: Path) -> None:
    spec = ALL_KINDS[2]
    expected = build_graphs(few, spec)
    for _ in range(2):
        np.testing.assert_array_equal(cached_graphs(few, spec, tmp_path).weight, expected.weight)


def test_edges_take_few_bytes(few: Crystals, tmp_path: Path) -> None:
    graphs = cached_graphs(few, SPEC, tmp_path)
    assert graphs.edges.src.dtype == np.uint8
    assert graphs.edges.image.dtype == np.int8
    assert [array.dtype for array in (graphs.src, graphs.dst, graphs.image)] == [np.int64, np.int64, np.int32]


def test_far_images_are_held_in_wider_numbers(few: Crystals, tmp_path: Path) -> None:
    moved = few.positions.copy()
    moved[0] += 300 * few.cell[0, 0]
    far = dataclasses.replace(few, positions=moved)
    graphs = cached_graphs(far, SPEC, tmp_path)
    assert graphs.edges.image.dtype == np.int16
    assert np.abs(graphs.image).max() > 290
    np.testing.assert_allclose(graphs.distance, build_graphs(few, SPEC).distance, atol=1e-8)


def test_blocks_change_nothing(few: Crystals, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = build_graphs(few, SPEC)
    vector, distance, sha256 = expected.vector, expected.distance, expected.edges_sha256
    monkeypatch.setattr("gbench.graphs.BLOCK_EDGES", 100)
    graphs = build_graphs(few, SPEC)
    np.testing.assert_array_equal(graphs.vector, vector)
    np.testing.assert_array_equal(graphs.distance, distance)
    assert graphs.edges_sha256 == sha256
    np.testing.assert_allclose(distance, np.linalg.norm(vector, axis=1), atol=1e-12)


def test_cut_shells_carry_a_warning(few: Crystals) -> None:
    spec = GraphSpec(kind="knn", neighbors=8, cutoff=8.0)
    assert build_graphs(few, spec).warnings == ()
    assert "choice of cell" in build_graphs(few, spec.model_copy(update={"shells": "cut"})).warnings[0]


def test_the_spec_survives_json() -> None:
    assert GraphSpec.model_validate(json.loads(SPEC.model_dump_json())) == SPEC
