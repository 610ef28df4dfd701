"""Over random lattices, the edges are ASE's and pymatgen's, and belong to the crystal, not to how it is written."""

import itertools
from collections import Counter
from typing import Any

import ase.neighborlist
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from structures import lattices, one

from gbench.batch import GraphTensors
from gbench.crystals import Crystals
from gbench.graphs import Graphs, build_graphs
from gbench.spec import GraphSpec

settings.register_profile(
    "graphs", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
GRAPHS = settings.get_profile("graphs")
CUTOFFS = st.floats(1.0, 9.0)
"""Up to several times the smallest distance between faces of the cell."""
SPECS = [
    GraphSpec(cutoff=4.0, on_short="pad"),
    GraphSpec(kind="knn", neighbors=6, cutoff=4.0, on_short="grow"),
    GraphSpec(kind="voronoi", cutoff=4.0, on_short="grow"),
]
KINDS = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
OPEN_AXES: st.SearchStrategy[tuple[bool, ...]] = st.sampled_from(list(itertools.product([True, False], repeat=3)))

Key = tuple[int, ...]


def keys(dst: Any, src: Any, image: Any) -> list[Key]:
    return [tuple(row) for row in np.column_stack([dst, src, image]).astype(int).tolist()]


def edges(graphs: Graphs) -> list[Key]:
    """(centre, neighbour, image) of each edge."""
    return keys(graphs.dst, graphs.src, graphs.image)


def close_calls(crystals: Crystals, spec: GraphSpec) -> bool:
    """Whether rounding noise may decide: a distance on the cut-off or on a shell's end, a face just large enough."""
    d = ase.neighborlist.neighbor_list("d", crystals.to_ase(0), 9.0)
    if spec.kind == "knn":
        gaps: NDArray[np.float64] = np.diff(np.sort(d))
        return bool((np.abs(d - spec.cutoff) < 1e-6).any() or (np.abs(gaps - 1e-3) < 1e-6).any())
    if spec.kind == "voronoi":
        fine = build_graphs(crystals, GraphSpec(kind="voronoi", cutoff=30.0, tol=5e-4, on_short="pad"))
        assert fine.weight is not None
        return bool((np.abs(fine.weight - 1e-3) < 1e-5).any() or (np.abs(d - spec.cutoff) < 1e-6).any())
    return bool((np.abs(d - spec.cutoff) < 1e-6).any())


def sure(crystals: Crystals, spec: GraphSpec) -> Graphs:
    """The graph, of a crystal where noise decides nothing."""
    assume(not close_calls(crystals, spec))
    return build_graphs(crystals, spec)


def compare(graphs: Graphs, expected: list[Key], distances: NDArray[np.float64], cutoff: float) -> None:
    """The edges are the expected ones, but for those that lie on the cut-off, and stand in order."""
    found = edges(graphs)
    assert found == sorted(found)
    clear = np.abs(distances - cutoff) > 1e-6
    certain = {key for key, is_clear in zip(expected, clear, strict=True) if is_clear}
    assert certain <= set(found) <= set(expected)
    assert len(found) == len(set(found))


@GRAPHS
@given(crystals=lattices(), cutoff=CUTOFFS)
def test_edges_equal_ases(crystals: Crystals, cutoff: float) -> None:
    i, j, image, d = ase.neighborlist.neighbor_list("ijSd", crystals.to_ase(0), cutoff + 1e-6)
    compare(build_graphs(crystals, GraphSpec(cutoff=cutoff, on_short="pad")), keys(i, j, image), d, cutoff)


@GRAPHS
@given(crystals=lattices(), cutoff=CUTOFFS)
def test_edges_equal_pymatgens(crystals: Crystals, cutoff: float) -> None:
    structure: Any = crystals.to_pymatgen(0)
    i, j, image, d = structure.get_neighbor_list(cutoff + 1e-6, exclude_self=True)
    compare(build_graphs(crystals, GraphSpec(cutoff=cutoff, on_short="pad")), keys(i, j, image), d, cutoff)


@GRAPHS
@given(crystals=lattices(pbc=OPEN_AXES), cutoff=CUTOFFS)
def test_no_edge_crosses_an_axis_that_is_not_periodic(crystals: Crystals, cutoff: float) -> None:
    i, j, image, d = ase.neighborlist.neighbor_list("ijSd", crystals.to_ase(0), cutoff + 1e-6)
    graphs = build_graphs(crystals, GraphSpec(cutoff=cutoff, on_short="pad"))
    compare(graphs, keys(i, j, image), d, cutoff)
    assert not graphs.image[:, ~crystals.pbc[0]].any()


@GRAPHS
@given(crystals=lattices(pbc=OPEN_AXES), spec=st.sampled_from([SPECS[0], SPECS[2].model_copy(update={"cutoff": 30.0})]))
def test_radius_and_voronoi_edges_go_both_ways(crystals: Crystals, spec: GraphSpec) -> None:
    graphs = sure(crystals, spec)
    assert set(edges(graphs)) == set(keys(graphs.src, graphs.dst, -graphs.image))


@KINDS
@GRAPHS
@given(crystals=lattices(pbc=OPEN_AXES), data=st.data())
def test_permuting_atoms_permutes_the_edges(spec: GraphSpec, crystals: Crystals, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(crystals.numbers)))))
    pbc = crystals.pbc[0].tolist()
    other = build_graphs(one([8] * len(order), crystals.positions[order], crystals.cell[0], pbc=pbc), spec)
    assert set(keys(order[other.dst], order[other.src], other.image)) == set(edges(sure(crystals, spec)))


@KINDS
@GRAPHS
@given(crystals=lattices(pbc=OPEN_AXES), seed=st.integers(0, 99), shift=st.tuples(*[st.floats(-20, 20)] * 3))
def test_rotation_and_translation_change_no_edge(
    spec: GraphSpec, crystals: Crystals, seed: int, shift: tuple[float, float, float]
) -> None:
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    positions, pbc = crystals.positions @ turn + shift, crystals.pbc[0].tolist()
    moved = one(crystals.numbers.tolist(), positions, crystals.cell[0] @ turn, pbc=pbc)
    assert edges(build_graphs(moved, spec)) == edges(sure(crystals, spec))


@KINDS
@GRAPHS
@given(crystals=lattices(), entries=st.tuples(*[st.integers(-2, 2)] * 3), flip=st.booleans())
def test_another_choice_of_cell_changes_no_edge(
    spec: GraphSpec, crystals: Crystals, entries: tuple[int, int, int], flip: bool
) -> None:
    a, b, c = entries
    change = np.array([[1, a, b], [0, 1, c], [0, 0, -1 if flip else 1]])
    other = build_graphs(one(crystals.numbers.tolist(), crystals.positions, change @ crystals.cell[0]), spec)
    # the same translation, counted in the vectors of the first cell
    assert set(keys(other.dst, other.src, other.image @ change)) == set(edges(sure(crystals, spec)))


@KINDS
@GRAPHS
@given(crystals=lattices(), data=st.data())
def test_moving_atoms_by_lattice_vectors_changes_images_only(
    spec: GraphSpec, crystals: Crystals, data: st.DataObject
) -> None:
    vectors = st.tuples(*[st.integers(-3, 3)] * 3)
    moved = np.array([data.draw(vectors) for _ in crystals.numbers])
    other = build_graphs(
        one(crystals.numbers.tolist(), crystals.positions + moved @ crystals.cell[0], crystals.cell[0]), spec
    )
    image = other.image + moved[other.src] - moved[other.dst]
    assert set(keys(other.dst, other.src, image)) == set(edges(sure(crystals, spec)))


@KINDS
@GRAPHS
@given(crystals=lattices(), repeats=st.tuples(*[st.integers(1, 2)] * 3))
def test_a_supercell_repeats_the_edges_exactly(
    spec: GraphSpec, crystals: Crystals, repeats: tuple[int, int, int]
) -> None:
    graphs = sure(crystals, spec)
    corners = np.array(list(itertools.product(*map(range, repeats))))
    positions = np.concatenate([crystals.positions + corner @ crystals.cell[0] for corner in corners])
    numbers = np.tile(crystals.numbers, len(corners)).tolist()
    large = build_graphs(one(numbers, positions, np.diag(repeats) @ crystals.cell[0]), spec)
    size = len(crystals.numbers)
    corner_of, atom_of = np.divmod(np.arange(len(numbers)), size)
    # each edge of the supercell, counted in cells of the crystal it repeats
    image = large.image * repeats + corners[corner_of[large.src]] - corners[corner_of[large.dst]]
    found = Counter(keys(atom_of[large.dst], atom_of[large.src], image))
    assert found == dict.fromkeys(edges(graphs), len(corners))


@KINDS
@GRAPHS
@given(crystals=st.lists(lattices(), min_size=1, max_size=3))
def test_pyg_and_dgl_see_the_edges_in_order(spec: GraphSpec, crystals: list[Crystals]) -> None:
    pytest.importorskip("dgl", reason="DGL has no wheel for this Python")
    records = [
        {"id": str(row), "numbers": c.numbers, "positions": c.positions, "cell": c.cell[0]}
        for row, c in enumerate(crystals)
    ]
    graphs = build_graphs(Crystals.build(records), spec)
    batch = GraphTensors(graphs, dtype=torch.float64).batch(torch.arange(len(crystals)))
    data: Any = batch.pyg()
    view: Any = batch.dgl()
    expected = torch.as_tensor(np.stack([graphs.src, graphs.dst]))
    assert torch.equal(data.edge_index, expected)
    assert torch.equal(torch.stack(view.edges(order="eid")), expected)
    np.testing.assert_array_equal(view.edata["vec"], graphs.vector)
    np.testing.assert_array_equal(batch.image, graphs.image)
    if spec.kind == "voronoi":
        assert torch.equal(data.edge_weight, view.edata["weight"])
        np.testing.assert_array_equal(data.edge_weight, graphs.weight)
    else:
        assert data.edge_weight is None


@KINDS
@GRAPHS
@given(crystals=st.lists(lattices(pbc=OPEN_AXES), min_size=2, max_size=5))
def test_a_crystal_has_the_same_edges_in_company_and_alone(spec: GraphSpec, crystals: list[Crystals]) -> None:
    records = [
        {"id": str(row), "numbers": c.numbers, "positions": c.positions, "cell": c.cell[0], "pbc": c.pbc[0].tolist()}
        for row, c in enumerate(crystals)
    ]
    together = build_graphs(Crystals.build(records), spec)
    expected = [
        (dst + first, src + first, *image)
        for c, first in zip(crystals, together.crystals.ptr.tolist(), strict=False)
        for dst, src, *image in edges(build_graphs(c, spec))
    ]
    assert edges(together) == expected
