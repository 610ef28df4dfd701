"""The electrostatic labels are exact, and the same everywhere."""

from itertools import product

import numpy as np
import pytest
from gbench.datasets.madelung.load import CHARGES, COULOMB_EV_ANGSTROM, DECIMALS, charges, ewald, shuffled
from pymatgen.core import Structure
from pymatgen.optimization.neighbors import find_points_in_spheres
from scipy.constants import e as elementary_charge

import gbench.dataset
from gbench.crystals import Crystals, FloatArray
from gbench.dataset import Dataset, load

SIMPLE = np.eye(3)
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
PEROVSKITE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


@pytest.fixture(scope="module")
def madelung() -> Dataset:
    return load("madelung")


def evjen(positions: FloatArray, charge: FloatArray, site: int, shells: int) -> float:
    """Potential in e/Å from whole cubes around ``site`` of a simple cubic cell of edge 1, their faces shared out."""
    steps = np.arange(-shells - 1, shells + 2)
    images = np.array(list(product(steps, repeat=3)))
    total = 0.0
    for position, q in zip(positions, charge, strict=True):
        vectors = position - positions[site] + images
        edge = np.abs(np.abs(vectors) - shells) < 1e-9
        weight = np.where((np.abs(vectors) < shells + 1e-9).all(axis=1), 0.5 ** edge.sum(axis=1), 0)
        distance = np.linalg.norm(vectors, axis=1)
        own = distance < 1e-9
        total += q * float((weight[~own] / distance[~own]).sum())
    return total


def structure(crystals: Crystals, row: int) -> Structure:
    made = crystals.to_pymatgen(row)
    assert isinstance(made, Structure)
    return made


def error_of_local_fit(dataset: Dataset, rows: range, radius: int) -> float:
    """Mean error, V, on every fifth crystal of a linear fit to the charges within ``radius`` Å of a site."""
    crystals, charge = dataset.crystals, charges()[dataset.crystals.numbers]
    parts = []
    for row in rows:
        atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
        own, lattice = charge[atoms], np.ascontiguousarray(crystals.cell[row])
        search = (
            crystals.positions[atoms],
            crystals.positions[atoms],
            float(radius),
            np.ones(3, dtype=np.int64),
            lattice,
        )
        centre, other, _, distance = find_points_in_spheres(*search, 1e-8)
        far = distance > 1e-6
        sums = np.zeros((2, radius, len(own)))
        place = (distance[far].astype(int), centre[far])
        np.add.at(sums[0], place, own[other[far]])
        np.add.at(sums[1], place, own[other[far]] / distance[far])
        length = (crystals.volume[row] / len(own)) ** (1 / 3)
        parts.append(np.column_stack([*sums.reshape(-1, len(own)), own, own / length, np.ones(len(own))]))
    known = np.concatenate(parts)
    labels = np.concatenate([dataset.labels("potential")[crystals.ptr[row] : crystals.ptr[row + 1]] for row in rows])
    held_out = np.repeat(np.arange(len(parts)) % 5 == 0, [len(part) for part in parts])
    fit = np.linalg.lstsq(known[~held_out], labels[~held_out], rcond=None)[0]
    return float(np.abs(known[held_out] @ fit - labels[held_out]).mean())


class TestEwald:
    @pytest.mark.parametrize(
        ("cell", "fractional", "charge", "nearest", "constant"),
        [
            # energy of a formula unit is -constant e^2 / (4 pi epsilon_0 nearest), nearest in lattice constants
            pytest.param(FCC, [[0, 0, 0], [0.5] * 3], [1, -1], 0.5, 1.7475645946, id="rocksalt"),
            pytest.param(SIMPLE, [[0, 0, 0], [0.5] * 3], [1, -1], 3**0.5 / 2, 1.7626747731, id="cscl"),
            pytest.param(FCC, [[0, 0, 0], [0.25] * 3], [1, -1], 3**0.5 / 4, 1.6380550534, id="zincblende"),
            pytest.param(FCC, [[0, 0, 0], [0.25] * 3, [0.75] * 3], [2, -1, -1], 3**0.5 / 4, 5.03878488, id="fluorite"),
        ],
    )
    def test_madelung_constants_are_those_of_the_literature(
        self, cell: FloatArray, fractional: list[list[float]], charge: list[int], nearest: float, constant: float
    ) -> None:
        lattice_constant = 4.1
        scaled = lattice_constant * cell
        found = ewald(scaled, np.array(fractional) @ scaled, np.array(charge, dtype=float))
        unit = COULOMB_EV_ANGSTROM / (nearest * lattice_constant)
        assert -found.energy * len(charge) / unit == pytest.approx(constant, abs=1e-9)

    def test_perovskite_equals_a_direct_sum(self) -> None:
        charge = np.array([2.0, 4.0, -2.0, -2.0, -2.0])
        found = ewald(SIMPLE, PEROVSKITE, charge)
        # a cube has a quadrupole that shifts its potentials all alike: compare differences of sites of cubic symmetry
        direct = evjen(PEROVSKITE, charge, 1, 12) - evjen(PEROVSKITE, charge, 0, 12)
        ours = (found.potential[1] - found.potential[0]) / COULOMB_EV_ANGSTROM
        assert ours == pytest.approx(direct, abs=1e-5)
        assert -found.energy * 5 / COULOMB_EV_ANGSTROM == pytest.approx(2 * 24.75494, abs=1e-4)

    def test_energy_is_half_the_charges_times_the_potentials(self) -> None:
        charge = np.array([1.0, 5.0, -2.0, -2.0, -2.0])
        found = ewald(3.9 * SIMPLE, 3.9 * PEROVSKITE, charge)
        assert found.energy * 5 == pytest.approx(0.5 * float((charge * found.potential).sum()), rel=1e-12)

    def test_a_supercell_has_the_same_energy_per_atom(self) -> None:
        cell = np.diag([2.0, 1.0, 1.0])
        twice = np.concatenate([PEROVSKITE, PEROVSKITE + [1, 0, 0]])
        charge = np.array([2.0, 4.0, -2.0, -2.0, -2.0])
        found = ewald(4 * cell, 4 * twice, np.tile(charge, 2))
        assert found.energy == pytest.approx(ewald(4 * SIMPLE, 4 * PEROVSKITE, charge).energy, abs=1e-10)

    def test_the_constant_is_that_of_codata_2018(self) -> None:
        permittivity = 8.8541878128e-12
        exact = elementary_charge / (4 * np.pi * permittivity) * 1e10
        assert exact == pytest.approx(COULOMB_EV_ANGSTROM, abs=1e-11)


class TestDataset:
    def test_every_cell_is_neutral_and_of_known_charges(self, madelung: Dataset) -> None:
        formal = charges()[madelung.crystals.numbers]
        assert not np.isnan(formal).any()
        assert (np.add.reduceat(formal, madelung.crystals.ptr[:-1]) == 0).all()
        assert len(CHARGES) == len(set(madelung.crystals.numbers.tolist()))

    def test_ordered_half_is_that_of_the_embedded_dataset(self, madelung: Dataset, prototypes: Dataset) -> None:
        half = len(madelung.crystals) // 2
        ordered = madelung.crystals.take(range(half))
        same = prototypes.crystals.take([prototypes.row_of_id[name] for name in ordered.ids])
        assert (ordered.positions == same.positions).all()
        assert (ordered.numbers == same.numbers).all()
        assert [f"{name}-shuffled" for name in ordered.ids] == list(madelung.crystals.ids[half:])

    def test_potentials_belong_to_their_sites(self, madelung: Dataset) -> None:
        crystals = madelung.crystals
        site = charges()[crystals.numbers] * madelung.labels("potential") / 2
        energy = np.add.reduceat(site, crystals.ptr[:-1]) / crystals.n_atoms
        # half a unit of the last decimal, times the largest charge
        np.testing.assert_allclose(energy, madelung.labels("energy"), atol=5 * 10.0**-DECIMALS)

    def test_labels_of_scaled_copies_go_as_the_inverse_length(self, madelung: Dataset) -> None:
        rows = [madelung.row_of_id[f"perovskite-Sr-Ti-O-{scale}"] for scale in ("0.94", "1.00", "1.06")]
        scaled = madelung.labels("energy")[rows] * madelung.crystals.volume[rows] ** (1 / 3)
        np.testing.assert_allclose(scaled, scaled[0], rtol=1e-6)

    def test_shuffling_keeps_sites_and_composition(self, prototypes: Dataset) -> None:
        few = prototypes.crystals.take([0, 400, 827])
        dealt = shuffled(few)
        for row in range(len(few)):
            whole, ours = structure(few, row), structure(dealt, row)
            whole.make_supercell(2)
            assert whole.composition == ours.composition
            distance = whole.lattice.get_all_distances(whole.frac_coords, ours.frac_coords)
            assert distance.min(axis=0).max() < 1e-8
            assert distance.min(axis=1).max() < 1e-8
        assert shuffled(few).sha256() == dealt.sha256()

    def test_shuffled_half_asks_for_range_and_ordered_half_does_not(self, madelung: Dataset) -> None:
        half = len(madelung.crystals) // 2
        ordered, shuffled_half = range(0, half, 3), range(half, 2 * half, 3)
        near, far = (error_of_local_fit(madelung, shuffled_half, radius) for radius in (3, 8))
        assert near > 2
        assert far < near / 5
        assert error_of_local_fit(madelung, ordered, 3) < near / 4

    def test_second_load_reads_the_cache(self, madelung: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: str) -> Crystals:
            raise AssertionError("computed again")

        monkeypatch.setattr(gbench.dataset, "loader", refuse)
        assert load("madelung").crystals.sha256() == madelung.sha256
