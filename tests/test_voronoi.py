"""Voronoi neighbours and solid angles are those of geometry, and of pymatgen on real crystals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.spatial.transform import Rotation
from structures import lattices, one

from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.errors import DataError, GraphError
from gbench.graphs import Graphs, build_graphs
from gbench.spec import GraphSpec

SPEC = GraphSpec(kind="voronoi", cutoff=20.0)
CUBE = np.eye(3) * 3.0
FCC = [[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]]
BCC = [[-1.5, 1.5, 1.5], [1.5, -1.5, 1.5], [1.5, 1.5, -1.5]]


def weights(graphs: Graphs) -> NDArray[np.float32]:
    assert graphs.weight is not None
    return graphs.weight


def totals(graphs: Graphs) -> NDArray[np.float64]:
    """(atoms,) sums of the weights of each atom's edges."""
    return np.asarray(np.bincount(graphs.dst, weights(graphs), len(graphs.crystals.numbers)), dtype=np.float64)


class TestPerfectLattices:
    def test_simple_cubic_has_six_equal_faces(self) -> None:
        graphs = build_graphs(one([84], [[0, 0, 0]], CUBE), SPEC)
        assert graphs.distance == pytest.approx([3.0] * 6)
        assert weights(graphs) == pytest.approx([1 / 6] * 6)

    def test_face_centred_cubic_has_twelve_equal_faces(self) -> None:
        graphs = build_graphs(one([29], [[0, 0, 0]], FCC), SPEC)
        assert weights(graphs) == pytest.approx([1 / 12] * 12)

    def test_body_centred_cubic_has_eight_hexagons_and_six_squares(self) -> None:
        graphs = build_graphs(one([26], [[0, 0, 0]], BCC), SPEC)
        first = graphs.distance < 2.7
        assert (first.sum(), (~first).sum()) == (8, 6)
        assert np.ptp(weights(graphs)[first]) < 1e-6
        assert np.ptp(weights(graphs)[~first]) < 1e-6
        assert weights(graphs)[0] > 0.05
        assert totals(graphs) == pytest.approx([1.0])

    def test_faces_smaller_than_the_tolerance_are_left_out(self) -> None:
        coarse = build_graphs(one([26], [[0, 0, 0]], BCC), SPEC.model_copy(update={"tol": 0.06}))
        assert len(coarse.distance) == 8

    def test_turning_a_perfect_crystal_changes_no_edge(self) -> None:
        expected = build_graphs(one([29], [[0, 0, 0]], FCC), SPEC).edges_sha256
        for turn in Rotation.random(10, rng=np.random.default_rng(2)).as_matrix():
            turned = one([29], [[0.3, 0.1, 0.7]], np.array(FCC) @ turn)
            assert build_graphs(turned, SPEC).edges_sha256 == expected


def pymatgens(crystals: Crystals, row: int) -> list[dict[tuple[int, ...], float]]:
    """For each atom: (neighbour, image) -> solid angle over 4 pi, of faces above the tolerance."""
    from pymatgen.analysis.local_env import VoronoiNN

    structure: Any = crystals.to_pymatgen(row)
    finder: Any = VoronoiNN
    cells = finder(tol=0, compute_adj_neighbors=False).get_all_voronoi_polyhedra(structure)
    found = []
    for cell in cells:
        faces = {}
        for face in cell.values():
            away = face["site"].frac_coords - structure.frac_coords
            atom = int(np.abs(away - np.round(away)).sum(axis=1).argmin())
            share = face["solid_angle"] / (4 * np.pi)
            if share > 1e-3:
                faces[atom, *map(int, np.round(away[atom]))] = share
        found.append(faces)
    return found


def test_faces_of_real_crystals_are_pymatgens(prototypes: Dataset) -> None:
    crystals = prototypes.crystals.take(range(0, 828, 90))
    graphs = build_graphs(crystals, SPEC)
    for row in range(len(crystals)):
        first = crystals.ptr[row]
        for atom, expected in enumerate(pymatgens(crystals, row), start=first):
            own = slice(graphs.atom_ptr[atom], graphs.atom_ptr[atom + 1])
            keys = np.column_stack([graphs.src[own] - first, graphs.image[own]]).tolist()
            found = dict(zip(map(tuple, keys), weights(graphs)[own].tolist(), strict=True))
            assert found == pytest.approx(expected, abs=1e-5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(crystals=lattices())
def test_weights_sum_to_one_and_are_equal_at_both_ends(crystals: Crystals) -> None:
    graphs = build_graphs(crystals, GraphSpec(kind="voronoi", cutoff=30.0, tol=0.0))
    assert totals(graphs) == pytest.approx(np.ones(len(crystals.numbers)), abs=1e-5)
    keys = map(tuple, np.column_stack([graphs.dst, graphs.src, graphs.image]).tolist())
    weight = dict(zip(keys, weights(graphs).tolist(), strict=True))
    assume(min(weight.values()) > 1e-5)
    for (i, j, *image), value in weight.items():
        assert weight[j, i, *(-step for step in image)] == pytest.approx(value, abs=1e-5)


class TestOpenAxes:
    def test_two_atoms_share_a_face_that_fills_half_the_sphere(self) -> None:
        graphs = build_graphs(one([1, 1], [[0, 0, 0], [0.3, 0.5, 0.4]], None), SPEC)
        assert weights(graphs) == pytest.approx([0.5, 0.5], abs=1e-5)

    def test_a_flat_molecule_has_cells(self) -> None:
        angle = np.arange(6) * np.pi / 3
        ring = one([6] * 6, 1.4 * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(6)]), None)
        graphs = build_graphs(ring, SPEC)
        # the two neighbours in the ring: wedges whose sides meet at 60 degrees
        assert np.bincount(graphs.dst).tolist() == [2] * 6
        assert totals(graphs) == pytest.approx([5 / 6] * 6, abs=1e-5)

    def test_the_vacuum_over_a_slab_belongs_to_no_edge(self) -> None:
        layers = one([29] * 3, [[0, 0, 0], [0, 0, 3], [0, 0, 6]], CUBE, pbc=[True, True, False])
        graphs = build_graphs(layers, SPEC)
        assert not graphs.image[:, 2].any()
        assert np.bincount(graphs.dst).tolist() == [5, 6, 5]
        assert totals(graphs)[1] == pytest.approx(1.0, abs=1e-5)
        # a square column that is open above: only straight up nothing is met
        column = weights(graphs)[graphs.dst == 0]
        assert column.min() == pytest.approx(1 / 6, abs=1e-5)
        assert totals(graphs)[0] == pytest.approx(1.0, abs=1e-3)

    def test_turning_a_molecule_changes_no_weight(self) -> None:
        positions = np.random.default_rng(0).normal(size=(9, 3)) * 3
        turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
        before, after = (build_graphs(one([6] * 9, x, None), SPEC) for x in (positions, positions @ turn))
        assert before.edges_sha256 == after.edges_sha256
        assert weights(after) == pytest.approx(weights(before), abs=1e-5)


def test_edges_are_shorter_than_the_cutoff(prototypes: Dataset) -> None:
    crystals = prototypes.crystals.take(range(0, 828, 60))
    everything = build_graphs(crystals, SPEC)
    some = build_graphs(crystals, GraphSpec(kind="voronoi", cutoff=3.0, on_short="pad"))
    near = np.round(everything.distance, 8) < 3.0
    assert np.array_equal(some.src, everything.src[near])
    assert np.array_equal(weights(some), weights(everything)[near])


def test_overlapping_atoms_and_vacuum_are_refused() -> None:
    with pytest.raises(DataError, match=r"atoms 0 and 1 are 0\.100 Å apart"):
        build_graphs(one([11, 17], [[0, 0, 0], [0.1, 0, 0]], np.eye(3) * 4.0), SPEC)
    with pytest.raises(GraphError, match="no end within 60 Å.*set pbc to false"):
        build_graphs(one([2], [[0, 0, 0]], np.eye(3) * 200.0), SPEC)


def test_the_spec_says_which_settings_belong_to_which_kind() -> None:
    assert SPEC.tol == 1e-3
    assert GraphSpec.model_validate(SPEC.model_dump()) == SPEC
    assert "tol" in SPEC.model_dump()
    assert "tol" not in GraphSpec().model_dump()
    with pytest.raises(ValidationError, match="tol belongs to kind 'voronoi'"):
        GraphSpec(tol=0.1)
    with pytest.raises(ValidationError, match="a voronoi graph keeps all that share a face"):
        GraphSpec(kind="voronoi", neighbors=12)
