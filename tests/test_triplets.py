"""Pairs of edges are those a plain loop finds, with the angles of the structure, in both frameworks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import CHANGES

from gbench.batch import Batch, GraphTensors
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.edgepairs import EdgePairs
from gbench.graphs import build_graphs
from gbench.spec import GraphSpec
from gbench.triplets import line_graph, triplets

SPECS = [
    GraphSpec(cutoff=3.5, on_short="pad"),
    GraphSpec(kind="knn", neighbors=4, cutoff=8.0),
    GraphSpec(kind="voronoi", cutoff=6.0, on_short="pad"),
]
BOTH: list[Callable[[Batch], EdgePairs]] = [triplets, line_graph]


@pytest.fixture(scope="module")
def few(prototypes: Dataset) -> Crystals:
    return prototypes.crystals.take([3, 200, 411, 700])


def batch_of(crystals: Crystals, spec: GraphSpec) -> Batch:
    return GraphTensors(build_graphs(crystals, spec), dtype=torch.float64).batch(torch.arange(len(crystals)))


def naive(batch: Batch, *, line: bool) -> dict[tuple[int, int], float]:
    """(first, second) -> cosine, by comparing every two edges."""
    src, dst, image, vector = (x.numpy() for x in (batch.src, batch.dst, batch.image, batch.vector))
    found = {}
    for second in range(len(src)):
        for first in range(len(src)):
            if line:
                meet = dst[first] == src[second]
                back = src[first] == dst[second] and (image[first] == -image[second]).all()
            else:
                meet, back = dst[first] == dst[second], first == second
            if meet and not back:
                a, b = vector[first], -vector[second] if line else vector[second]
                found[first, second] = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return found


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("pairs_of", BOTH)
def test_pairs_and_angles_are_those_of_a_plain_loop(
    few: Crystals, spec: GraphSpec, pairs_of: Callable[[Batch], EdgePairs]
) -> None:
    batch = batch_of(few.take([0, 2]), spec)
    pairs = pairs_of(batch)
    expected = naive(batch, line=pairs_of is line_graph)
    keys = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert keys == sorted(expected, key=lambda pair: pair[::-1])
    np.testing.assert_allclose(pairs.cosine, [expected[key] for key in keys], atol=1e-12)


def test_an_atom_with_d_edges_is_the_centre_of_d_times_d_minus_1(few: Crystals) -> None:
    batch = batch_of(few, SPECS[0])
    degree = torch.bincount(batch.dst, minlength=batch.n_atoms)
    centre = batch.dst[triplets(batch).first]
    assert torch.equal(torch.bincount(centre, minlength=batch.n_atoms), degree * (degree - 1))


@pytest.mark.parametrize("change", ["permutation", "rotation", "translation", "mirror", "cell"])
@pytest.mark.parametrize("pairs_of", BOTH)
def test_angles_do_not_depend_on_how_a_crystal_is_written(
    few: Crystals, change: str, pairs_of: Callable[[Batch], EdgePairs]
) -> None:
    before, after = (pairs_of(batch_of(crystals, SPECS[0])) for crystals in (few, CHANGES[change](few)))
    np.testing.assert_allclose(np.sort(after.cosine), np.sort(before.cosine), atol=1e-9)


@pytest.mark.parametrize("pairs_of", BOTH)
def test_a_supercell_has_the_same_angles_as_often_as_it_is_larger(
    few: Crystals, pairs_of: Callable[[Batch], EdgePairs]
) -> None:
    before, after = (pairs_of(batch_of(crystals, SPECS[0])) for crystals in (few, CHANGES["supercell"](few)))
    np.testing.assert_allclose(np.sort(after.cosine.numpy()), np.sort(np.repeat(before.cosine.numpy(), 4)), atol=1e-9)


def test_graphs_give_the_pairs_of_all_their_crystals(few: Crystals) -> None:
    graphs = build_graphs(few, SPECS[0])
    assert torch.equal(triplets(graphs).first, triplets(batch_of(few, SPECS[0])).first)


def test_gradients_reach_the_positions() -> None:
    positions = [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]
    water = Crystals.build([{"id": "water", "numbers": [8, 1, 1], "positions": positions, "cell": None}])
    batch = batch_of(water, SPECS[0])
    moved = batch.positions.clone().requires_grad_()
    line_graph(batch.with_positions(moved)).cosine.square().sum().backward()
    assert moved.grad is not None
    assert moved.grad.abs().max() > 0.1


def test_a_graph_without_edges_has_no_pairs() -> None:
    lone = Crystals.build([{"id": "He", "numbers": [2], "positions": [[0, 0, 0]], "cell": None}])
    batch = batch_of(lone, SPECS[0])
    assert len(triplets(batch).first) == len(line_graph(batch).first) == 0


@pytest.mark.parametrize("pairs_of", BOTH)
def test_pyg_and_dgl_see_the_same_pairs_in_the_same_order(
    few: Crystals, pairs_of: Callable[[Batch], EdgePairs]
) -> None:
    pairs = pairs_of(batch_of(few, SPECS[0]))
    data: Any = pairs.pyg()
    assert torch.equal(data.edge_index, torch.stack([pairs.first, pairs.second]))
    assert data.num_nodes == pairs.n_edges
    assert data.validate()
    pytest.importorskip("dgl", reason="DGL has no wheel for this Python")
    graph: Any = pairs.dgl()
    first, second = graph.edges(order="eid")
    assert torch.equal(first, pairs.first)
    assert torch.equal(second, pairs.second)
    assert torch.equal(graph.edata["cosine"], data.cosine)
    assert graph.batch_size == len(few)
    assert graph.batch_num_edges().sum() == graph.num_edges()


def test_a_molecules_line_graph_is_that_of_dgl() -> None:
    dgl = pytest.importorskip("dgl", reason="DGL has no wheel for this Python")
    positions = [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0], [0.1, 0.2, 2.4]]
    molecule = Crystals.build([{"id": "x", "numbers": [8, 1, 1, 8], "positions": positions, "cell": None}])
    batch = batch_of(molecule, GraphSpec(cutoff=3.0))
    pairs = line_graph(batch)
    first, second = dgl.line_graph(batch.dgl(), backtracking=False).edges()
    expected = set(zip(first.tolist(), second.tolist(), strict=True))
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == expected


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "graphs.md").read_text(encoding="utf-8")
    seen: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], seen)
    assert seen["data"].num_nodes == seen["batch"].edge_index.shape[1]
    assert seen["batch"].edge_weight is not None
