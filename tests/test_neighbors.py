"""The edges are those of ASE and pymatgen, and do not depend on how a crystal is written down."""

import dataclasses

import ase.neighborlist
import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation
from structures import one

from gbench.crystals import Crystals
from gbench.errors import DataError, GraphError
from gbench.graphs import Graphs, build_graphs
from gbench.spec import GraphSpec

CUTOFF = 4.2
CELL = [[4.0, 0.0, 0.0], [1.3, 3.7, 0.0], [-0.8, 0.9, 5.1]]
# distinct sites in general positions, one of them outside the cell
SITES = [[0.1, 0.2, 0.3], [0.55, 0.7, 0.9], [1.4, -0.35, 0.6]]


def reference() -> Crystals:
    return one([11, 17, 8], np.array(SITES) @ np.array(CELL), CELL)


@st.composite
def lattices(draw: st.DrawFn) -> Crystals:
    """Random crystals: skewed, left-handed, tiny cells; atoms outside the cell."""
    numbers = st.floats(-1, 1).map(lambda x: round(x, 3))
    while True:
        cell = np.array([[draw(numbers) * 3 for _ in range(3)] for _ in range(3)])
        cell += np.diag([draw(st.floats(2.0, 4.0)) * draw(st.sampled_from([1, -1])) for _ in range(3)])
        heights = np.abs(np.linalg.det(cell)) / np.array(
            [np.linalg.norm(np.cross(cell[(k + 1) % 3], cell[(k + 2) % 3])) for k in range(3)]
        )
        if heights.min() > 1.2:
            break
    count = draw(st.integers(1, 4))
    fractional = np.array([[draw(st.floats(-1.5, 1.5)) for _ in range(3)] for _ in range(count)])
    return one([8] * count, fractional @ cell, cell)


def edge_set(edges: Graphs) -> set[tuple[int, ...]]:
    return {tuple(row) for row in np.column_stack([edges.dst, edges.src, edges.image]).astype(int).tolist()}


def no_overlap(crystals: Crystals) -> bool:
    d = ase.neighborlist.neighbor_list("d", to_ase(crystals), 0.6)
    return len(d) == 0


def to_ase(crystals: Crystals) -> Atoms:
    return crystals.to_ase(0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(crystals=lattices().filter(no_overlap), cutoff=st.floats(2.0, 7.0))
def test_edges_equal_ases(crystals: Crystals, cutoff: float) -> None:
    edges = build_graphs(crystals, GraphSpec(cutoff=cutoff, on_short="pad"))
    i, j, image, d = ase.neighborlist.neighbor_list("ijSd", to_ase(crystals), cutoff)
    clear = np.abs(d - cutoff) > 1e-6
    expected = {(int(a), int(b), *map(int, s)) for a, b, s in zip(i[clear], j[clear], image[clear], strict=True)}
    ours = edge_set(edges)
    assert expected <= ours
    assert len(ours - expected) <= int((~clear).sum())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(crystals=lattices().filter(no_overlap))
def test_radius_edges_go_both_ways(crystals: Crystals) -> None:
    edges = build_graphs(crystals, GraphSpec(cutoff=CUTOFF, on_short="pad"))
    reverse = np.column_stack([edges.src, edges.dst, -edges.image]).astype(int).tolist()
    assert edge_set(edges) == {tuple(row) for row in reverse}


def test_edges_equal_pymatgens() -> None:
    crystals = reference()
    structure = Structure(Lattice(CELL), ["Na", "Cl", "O"], crystals.positions, coords_are_cartesian=True)
    centre, neighbor, image, _ = structure.get_neighbor_list(CUTOFF, exclude_self=True)
    expected = {(int(a), int(b), *map(int, s)) for a, b, s in zip(centre, neighbor, image, strict=True)}
    assert edge_set(build_graphs(crystals, GraphSpec(cutoff=CUTOFF))) == expected


def test_edges_are_sorted_and_reach_what_they_say() -> None:
    crystals = reference()
    edges = build_graphs(crystals, GraphSpec(cutoff=CUTOFF))
    keys = np.column_stack([edges.dst, edges.src, edges.image]).tolist()
    assert keys == sorted(keys)
    vector = crystals.positions[edges.src] + edges.image @ crystals.cell[0] - crystals.positions[edges.dst]
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), edges.distance, atol=1e-7)
    assert edges.distance.max() < CUTOFF


def shells(crystals: Crystals, spec: GraphSpec) -> list[NDArray[np.float64]]:
    """Sorted distances seen by each atom."""
    edges = build_graphs(crystals, spec)
    return [np.sort(edges.distance[edges.dst == atom]) for atom in range(len(crystals.numbers))]


SPECS = [GraphSpec(cutoff=CUTOFF), GraphSpec(kind="knn", neighbors=7, cutoff=8.0)]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.describe())
class TestWritingACrystalOtherwiseChangesNothing:
    def same(self, spec: GraphSpec, other: Crystals, order: list[int] | None = None) -> None:
        expected = shells(reference(), spec)
        found = shells(other, spec)
        for atom in range(len(found)):
            np.testing.assert_allclose(found[atom], expected[(order or [0, 1, 2])[atom % 3]], atol=1e-6)

    def test_permutation(self, spec: GraphSpec) -> None:
        order = [2, 0, 1]
        base = reference()
        self.same(spec, one(base.numbers[order].tolist(), base.positions[order], CELL), order)

    def test_rotation(self, spec: GraphSpec) -> None:
        turn = Rotation.random(rng=np.random.default_rng(3)).as_matrix()
        self.same(spec, one([11, 17, 8], reference().positions @ turn, np.array(CELL) @ turn))

    def test_translation(self, spec: GraphSpec) -> None:
        self.same(spec, one([11, 17, 8], reference().positions + [3.3, -8.1, 0.7], CELL))

    def test_cell_choice(self, spec: GraphSpec) -> None:
        skew = np.array([[1, 1, 0], [0, 1, 0], [-2, 1, 1]]) @ np.array(CELL)
        self.same(spec, one([11, 17, 8], reference().positions, skew))

    def test_wrapping_atoms(self, spec: GraphSpec) -> None:
        self.same(spec, one([11, 17, 8], (np.array(SITES) % 1.0) @ np.array(CELL), CELL))

    def test_supercell(self, spec: GraphSpec) -> None:
        base = reference()
        shifts = [np.array(CELL).T @ [a, b, 0] for a in range(2) for b in range(2)]
        positions = np.concatenate([base.positions + shift for shift in shifts])
        self.same(spec, one([11, 17, 8] * 4, positions, np.diag([2, 2, 1]) @ np.array(CELL)))


ROCKSALT = ([11, 17], [[0, 0, 0], [2.8, 0, 0]], [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])


def test_a_shell_on_the_cutoff_is_out_whatever_the_rounding() -> None:
    for turn in (np.eye(3), *Rotation.random(20, rng=np.random.default_rng(1)).as_matrix()):
        numbers, positions, cell = ROCKSALT
        crystals = one(numbers, np.array(positions) @ turn, np.array(cell) @ turn)
        assert len(build_graphs(crystals, GraphSpec(cutoff=2.8, on_short="pad")).src) == 0
        assert len(build_graphs(crystals, GraphSpec(cutoff=2.8000001)).src) == 12


def test_whole_shells_keep_ties_and_cut_shells_do_not() -> None:
    crystals = one(*ROCKSALT)
    whole = build_graphs(crystals, GraphSpec(kind="knn", neighbors=8, cutoff=6.0))
    cut = build_graphs(crystals, GraphSpec(kind="knn", neighbors=8, cutoff=6.0, shells="cut"))
    assert np.bincount(whole.dst).tolist() == [18, 18]
    assert np.bincount(cut.dst).tolist() == [8, 8]


def test_one_atom_sees_its_own_images() -> None:
    edges = build_graphs(one([84], [[0, 0, 0]], np.eye(3) * 3.0), GraphSpec(cutoff=3.5))
    assert len(edges.src) == 6
    assert set(edges.src) == set(edges.dst) == {0}


LONELY = one([55, 9], [[0, 0, 0], [1.5, 0, 0]], np.eye(3) * 12.0)


def test_an_atom_without_neighbour_is_named_with_the_fix() -> None:
    far = one([55], [[0, 0, 0]], np.eye(3) * 12.0)
    with pytest.raises(GraphError, match=r"crystal 'x': atom 0 \(Cs\) has no neighbour within 5.0 Å.*graph.cutoff=7.0"):
        build_graphs(far, GraphSpec())
    assert len(build_graphs(far, GraphSpec(on_short="pad")).src) == 0
    grown = build_graphs(far, GraphSpec(on_short="grow"))
    assert grown.distance == pytest.approx([12.0] * 6)


def test_too_few_neighbours_grow_to_whole_shells_or_stay_short() -> None:
    spec = GraphSpec(kind="knn", neighbors=3, cutoff=5.0)
    with pytest.raises(GraphError, match="has 1 of 3 neighbours within 5.0 Å"):
        build_graphs(LONELY, spec)
    assert len(build_graphs(LONELY, spec.model_copy(update={"on_short": "pad"})).src) == 2
    grown = build_graphs(LONELY, spec.model_copy(update={"on_short": "grow"}))
    assert np.bincount(grown.dst).min() >= 3


def test_growing_leaves_atoms_that_have_neighbours_alone() -> None:
    # a pair and a lone atom in one cell: only the lone atom's radius grows
    crystals = one([1, 1, 55], [[0, 0, 0], [0.8, 0, 0], [0, 0, 7.0]], np.eye(3) * 14.0)
    grown = build_graphs(crystals, GraphSpec(cutoff=5.0, on_short="grow"))
    assert grown.distance[grown.dst == 0] == pytest.approx([0.8])
    assert len(grown.dst[grown.dst == 2]) >= 1


def test_overlapping_atoms_are_named() -> None:
    crystals = one([11, 17], [[0, 0, 0], [0.1, 0, 0]], np.eye(3) * 4.0)
    with pytest.raises(DataError, match=r"crystal 'x': atoms 0 and 1 are 0.100 Å apart"):
        build_graphs(crystals, GraphSpec())


def test_molecules_and_slabs_have_no_edges_across_open_axes() -> None:
    water = one([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], None)
    assert len(build_graphs(water, GraphSpec()).src) == 6
    slab = one([29], [[0, 0, 0]], np.eye(3) * 2.5)
    slab = dataclasses.replace(slab, pbc=np.array([[True, True, False]]))
    edges = build_graphs(slab, GraphSpec(cutoff=3.0))
    assert len(edges.src) == 4
    assert not edges.image[:, 2].any()
    flat = dataclasses.replace(slab, cell=np.array([[[2.5, 0, 0], [0, 2.5, 0], [0, 0, 0]]]))
    assert len(build_graphs(flat, GraphSpec(cutoff=3.0)).src) == 4
