"""A batch holds its members' graphs, and PyG and DGL see the same memory."""

from typing import Any

import numpy as np
import pytest
import torch

from gbench.batch import GraphTensors
from gbench.dataset import Dataset
from gbench.graphs import Graphs
from gbench.spec import GraphSpec

ROWS = torch.tensor([7, 500, 3, 3, 827])


@pytest.fixture(scope="module")
def graphs(prototypes: Dataset) -> Graphs:
    return prototypes.graphs(GraphSpec(cutoff=4.0, on_short="grow"))


@pytest.fixture(scope="module")
def tensors(graphs: Graphs) -> GraphTensors:
    return GraphTensors(graphs, dtype=torch.float64)


def test_a_batch_is_its_members_side_by_side(graphs: Graphs, tensors: GraphTensors) -> None:
    batch = tensors.batch(ROWS)
    crystals = graphs.crystals
    assert batch.n_graphs == len(ROWS)
    for place, row in enumerate(ROWS.tolist()):
        atoms, edges = slice(crystals.ptr[row], crystals.ptr[row + 1]), slice(*graphs.edge_ptr[row : row + 2])
        here = slice(*batch.atom_ptr[place : place + 2].tolist())
        there = slice(*batch.edge_ptr[place : place + 2].tolist())
        np.testing.assert_array_equal(batch.numbers[here], crystals.numbers[atoms])
        np.testing.assert_array_equal(batch.positions[here], crystals.positions[atoms])
        np.testing.assert_array_equal(batch.src[there] - here.start, graphs.src[edges] - atoms.start)
        np.testing.assert_array_equal(batch.dst[there] - here.start, graphs.dst[edges] - atoms.start)
        np.testing.assert_array_equal(batch.vector[there], graphs.vector[edges])
        assert (batch.graph_of_atom[here] == place).all()
        assert (batch.graph_of_edge[there] == place).all()


def test_distances_and_moved_atoms(graphs: Graphs, tensors: GraphTensors) -> None:
    batch = tensors.batch(ROWS)
    torch.testing.assert_close(batch.distance, batch.vector.norm(dim=1))
    again = batch.with_positions(batch.positions)
    torch.testing.assert_close(again.vector, batch.vector, atol=1e-12, rtol=0)
    positions = batch.positions.clone().requires_grad_()
    batch.with_positions(positions).distance.sum().backward()
    assert positions.grad is not None
    assert torch.isfinite(positions.grad).all()


def test_a_radial_function_is_worked_out_once_per_distance(tensors: GraphTensors) -> None:
    batch = tensors.batch(ROWS)
    assert batch.distances is not None
    # every edge has a way back of the same length
    assert 2 * len(batch.distances) <= len(batch.distance)
    seen = []

    def function(distance: torch.Tensor) -> torch.Tensor:
        seen.append(len(distance))
        return torch.stack([distance, distance.square()], dim=1)

    torch.testing.assert_close(batch.radial(function), function(batch.distance), atol=1e-7, rtol=0)
    # atoms that move take every edge along on its own, and gradients reach all of them
    positions = batch.positions.clone().requires_grad_()
    moved = batch.with_positions(positions)
    (ours,) = torch.autograd.grad(moved.radial(function).sum(), positions, retain_graph=True)
    (expected,) = torch.autograd.grad(function(moved.distance).sum(), positions)
    torch.testing.assert_close(ours, expected)
    assert seen[0] == len(batch.distances) and seen[2] == len(batch.distance)


def test_pyg_shares_the_memory(tensors: GraphTensors) -> None:
    batch = tensors.batch(ROWS)
    data: Any = batch.pyg()
    assert data.edge_index.data_ptr() == batch.edge_index.data_ptr()
    assert data.pos.data_ptr() == batch.positions.data_ptr()
    assert torch.equal(data.batch.unique(), torch.arange(batch.n_graphs))
    assert data.num_nodes == batch.n_atoms
    assert data.validate()


def test_dgl_has_the_same_edges_in_the_same_order(tensors: GraphTensors) -> None:
    pytest.importorskip("dgl", reason="DGL has no wheel for this Python")
    batch = tensors.batch(ROWS)
    graph: Any = batch.dgl()
    src, dst = graph.edges(order="eid")
    assert torch.equal(src, batch.src)
    assert torch.equal(dst, batch.dst)
    assert graph.batch_size == batch.n_graphs
    assert torch.equal(graph.batch_num_edges(), torch.diff(batch.edge_ptr))
    assert graph.edata["vec"].data_ptr() == batch.vector.data_ptr()
    assert graph.ndata["z"].data_ptr() == batch.numbers.data_ptr()
