"""Which atoms are neighbours, what becomes of atoms that have too few, and what is refused."""

import dataclasses

import numpy as np
import pytest
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


def edge_set(edges: Graphs) -> set[tuple[int, ...]]:
    return {tuple(row) for row in np.column_stack([edges.dst, edges.src, edges.image]).astype(int).tolist()}


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


FAR = one([55], [[0, 0, 0]], np.eye(3) * 12.0)
LONELY = one([55, 9], [[0, 0, 0], [1.5, 0, 0]], np.eye(3) * 12.0)
# a pair and a lone atom in one cell
PAIR_AND_ONE = one([1, 1, 55], [[0, 0, 0], [0.8, 0, 0], [0, 0, 7.0]], np.eye(3) * 14.0)
RADIUS = GraphSpec()
KNN = GraphSpec(kind="knn", neighbors=3)
VORONOI = GraphSpec(kind="voronoi")


def short(spec: GraphSpec, what: str) -> GraphSpec:
    return spec.model_copy(update={"on_short": what})


class TestOnShort:
    @pytest.mark.parametrize("spec", [RADIUS, VORONOI], ids=["radius", "voronoi"])
    def test_error_names_the_atom_and_the_fix(self, spec: GraphSpec) -> None:
        message = r"crystal 'x': atom 0 \(Cs\) has no neighbour within 5.0 Å.*graph.cutoff=7.0.*graph.on_short=grow"
        with pytest.raises(GraphError, match=message):
            build_graphs(FAR, spec)

    def test_error_counts_what_knn_lacks(self) -> None:
        with pytest.raises(GraphError, match=r"atom 0 \(Cs\) has 1 of 3 neighbours within 5.0 Å \(2 such atoms"):
            build_graphs(LONELY, KNN)

    @pytest.mark.parametrize("spec", [RADIUS, VORONOI, KNN], ids=["radius", "voronoi", "knn"])
    def test_pad_leaves_an_atom_as_short_as_it_is(self, spec: GraphSpec) -> None:
        assert build_graphs(FAR, short(spec, "pad")).n_edges == 0
        assert build_graphs(LONELY, short(spec, "pad")).distance == pytest.approx([1.5, 1.5])

    @pytest.mark.parametrize("spec", [RADIUS, VORONOI, KNN], ids=["radius", "voronoi", "knn"])
    def test_grow_takes_the_nearest_shell_whole(self, spec: GraphSpec) -> None:
        assert build_graphs(FAR, short(spec, "grow")).distance == pytest.approx([12.0] * 6)

    @pytest.mark.parametrize("spec", [RADIUS, VORONOI], ids=["radius", "voronoi"])
    def test_grow_leaves_atoms_that_have_neighbours_alone(self, spec: GraphSpec) -> None:
        grown = build_graphs(PAIR_AND_ONE, short(spec, "grow"))
        assert grown.distance[grown.dst < 2] == pytest.approx([0.8, 0.8])
        # two images of the atom at the origin are 7 Å away, those of the other a little farther
        assert grown.distance[grown.dst == 2] == pytest.approx([7.0, 7.0])
        assert grown.src[grown.dst == 2].tolist() == [0, 0]

    def test_grow_gives_knn_k_neighbours_at_least(self) -> None:
        grown = build_graphs(LONELY, short(KNN, "grow"))
        # the third nearest is one of six images of the atom itself
        expected = [1.5, 10.5, *[12.0] * 6]
        for atom in (0, 1):
            assert np.sort(grown.distance[grown.dst == atom]) == pytest.approx(expected)

    def test_radius_grows_for_the_short_atom_alone_under_knn(self) -> None:
        spec = GraphSpec(kind="knn", neighbors=1, cutoff=5.0, on_short="grow")
        grown = build_graphs(PAIR_AND_ONE, spec)
        assert np.bincount(grown.dst).tolist() == [1, 1, 2]

    def test_a_molecule_has_no_more_neighbours_than_other_atoms(self) -> None:
        water = one([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], None)
        knn = GraphSpec(kind="knn", neighbors=12)
        with pytest.raises(GraphError, match=r"'x' is a molecule of 3 atoms.*12 neighbours.*on_short=pad"):
            build_graphs(water, knn)
        assert build_graphs(water, short(knn, "pad")).n_edges == 6
        assert build_graphs(water, short(knn, "grow")).n_edges == 6

    @pytest.mark.parametrize("spec", [RADIUS, VORONOI, KNN], ids=["radius", "voronoi", "knn"])
    def test_a_lone_atom_has_nothing_to_grow_to(self, spec: GraphSpec) -> None:
        helium = one([2], [[0, 0, 0]], None)
        with pytest.raises(GraphError, match="lone atom without images.*on_short=pad"):
            build_graphs(helium, spec)
        assert build_graphs(helium, short(spec, "pad")).n_edges == 0
        assert build_graphs(helium, short(spec, "grow")).n_edges == 0

    @pytest.mark.parametrize("spec", [RADIUS, VORONOI], ids=["radius", "voronoi"])
    def test_a_crystal_of_vacuum_is_refused(self, spec: GraphSpec) -> None:
        with pytest.raises(GraphError, match="crystal 'x': .*60 Å.*mostly vacuum"):
            build_graphs(one([2], [[0, 0, 0]], np.eye(3) * 200.0), short(spec, "grow"))


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
