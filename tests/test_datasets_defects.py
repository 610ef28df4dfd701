"""Labels of vacancies land on the sites and hops that were computed."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from available import loaded
from gbench.datasets.vacancy_formation import load as formation_load
from gbench.datasets.vacancy_migration import load as migration_load
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

import gbench.dataset
from gbench.cards import DatasetCard
from gbench.content import content
from gbench.dataset import Dataset, load
from gbench.elements import symbols
from gbench.errors import DataError
from gbench.fetch import fetch
from gbench.registry import dataset_card

CIF = """data_cell
_space_group_name_H-M_alt 'P 1'
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Mg 0 0 0
O 0.5 0.5 0.5
O 0.5 0 0
"""
HOP = "mgo:1-2,1,2,1.0,1.5,3.0,1.5,1.1," + ",".join("0" * 15)


@pytest.fixture(scope="module")
def formation() -> Dataset:
    return loaded("vacancy_formation")


@pytest.fixture(scope="module")
def migration() -> Dataset:
    return loaded("vacancy_migration")


def members(card: DatasetCard) -> Path:
    return fetch(card.sources[0], content("datasets") / card.name, download=False)


def published_hops(migration: Dataset) -> list[migration_load.Hop]:
    return [hop for name in migration_load.LABELS for hop in migration_load.read_hops(members(migration.card) / name)]


def folder(path: Path, **files: str) -> Path:
    """A folder of one CIF and these label files, by ``load.py``'s names for them."""
    (path / "mgo.cif").write_text(CIF, encoding="utf-8")
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


class TestFormation:
    def test_counts_are_those_of_the_card(self, formation: Dataset) -> None:
        labels = formation.labels()
        assert (len(formation.crystals), len(labels)) == (212, 5756)
        assert np.count_nonzero(~np.isnan(labels)) == 1531
        assert len(formation.labelled_rows("formation_energy")) == 212
        assert (np.nanmin(labels), np.nanmax(labels)) == (0.2815, 17.2156)

    def test_every_line_is_on_a_site_of_its_element(self, formation: Dataset) -> None:
        crystals, seen = formation.crystals, set()
        for name in formation_load.LABELS:
            lines = (members(formation.card) / name).read_text(encoding="utf-8").splitlines()
            for line, site, energy in csv.reader(lines):
                host, label = line.split(":")
                atom = crystals.ptr[formation.row_of_id[host]] + int(site)
                assert symbols()[crystals.numbers[atom] - 1] == label.rstrip("0123456789")
                assert formation.labels()[atom] == float(energy)
                seen.add(int(atom))
        assert seen == set(np.flatnonzero(~np.isnan(formation.labels())).tolist())

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ("mgo:O1,1", "train_k1, line 1: 'mgo:O1,1' is not host:site,index,energy"),
            ("mgo:O1,1,much", "train_k1, line 1: 'mgo:O1,1,much' is not host:site,index,energy"),
            ("mgo:Mg1,0,7\nmgo:O1,0,5", "train_k1, line 2: site 0 of mgo.cif is no O"),
            ("mgo:O1,3,5", "site 3 of mgo.cif is no O"),
            ("cao:O1,1,5", "there is no cao.cif"),
            ("mgo:O1,1,5\nmgo:O1,1,6", "line 2: site 1 of mgo has 6.0 eV here and 5.0 eV on another line"),
        ],
    )
    def test_bad_line_is_named(self, tmp_path: Path, lines: str, message: str) -> None:
        train, hold = formation_load.LABELS
        with pytest.raises(DataError, match=message):
            formation_load.load([folder(tmp_path, **{train: lines + "\n", hold: ""})])

    def test_line_that_repeats_another_counts_once(self, tmp_path: Path) -> None:
        train, hold = formation_load.LABELS
        crystals = formation_load.load([folder(tmp_path, **{train: "mgo:O1,1,5\n", hold: "mgo:O1,1,5\n"})])
        np.testing.assert_equal(crystals.node_targets["formation_energy"], [np.nan, 5.0, np.nan])


class TestMigration:
    def test_counts_are_those_of_the_card(self, migration: Dataset) -> None:
        crystals = migration.crystals
        assert (len(crystals), len(crystals.numbers), len(crystals.pairs)) == (272, 35_034, 622)
        assert (crystals.numbers[crystals.pairs] == 8).all()
        assert (crystals.n_atoms.min(), crystals.n_atoms.max()) == (80, 192)
        assert migration.labels().min() == 0

    def test_barrier_and_image_are_those_of_the_published_path(self, migration: Dataset) -> None:
        crystals, cell = migration.crystals, migration.crystals.cell[migration.crystals.crystal_of_pair]
        place = {
            (crystals.ids[row], int(i - crystals.ptr[row]), int(j - crystals.ptr[row])): pair
            for pair, (row, (i, j)) in enumerate(zip(crystals.crystal_of_pair, crystals.pairs, strict=True))
        }
        hops = [
            hop for name in migration_load.LABELS for hop in migration_load.read_hops(members(migration.card) / name)
        ]
        assert len(hops) == len(place) == 622
        for hop in hops:
            pair = place[hop.host, hop.i, hop.j]
            # the atom moves against the vacancy; coordinates are published to 1e-3 Å or better
            path = (hop.path[0] - hop.path[-1]) @ cell[pair]
            np.testing.assert_allclose(crystals.pair_vector[pair], path, atol=3e-3)
            assert migration.labels()[pair] == max(hop.energies) - hop.energies[0]

    def test_hops_from_one_site_start_at_one_energy(self, migration: Dataset) -> None:
        """The first image is the vacancy at i: the direction of the label."""
        first: dict[tuple[str, int], list[float]] = {}
        for hop in published_hops(migration):
            first.setdefault((hop.host, hop.i), []).append(hop.energies[0])
        spread = [np.ptp(energies) for energies in first.values() if len(energies) > 1]
        assert len(spread) > 100
        assert np.median(spread) < 1e-3
        assert max(spread) < 0.1

    def test_no_image_is_closer_according_to_pymatgen(self, migration: Dataset) -> None:
        crystals = migration.crystals
        for row in range(0, 272, 25):
            structure = crystals.to_pymatgen(row)
            assert isinstance(structure, Structure)
            for pair in np.flatnonzero(crystals.crystal_of_pair == row):
                i, j = (crystals.pairs[pair] - crystals.ptr[row]).tolist()
                length = float(np.linalg.norm(crystals.pair_vector[pair]))
                assert length == pytest.approx(structure.get_distance(i, j), abs=1e-6)

    def test_flagged_hops_are_those_without_a_saddle(self, migration: Dataset) -> None:
        ends = {
            hop.host for hop in published_hops(migration) if max(hop.energies) in (hop.energies[0], hop.energies[-1])
        }
        (flagged,) = migration.card.errata
        assert ends == set(flagged.ids)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (HOP[:-2], "outer.train, line 1: expected host:i-j,i,j, 5 energies and 5 points"),
            (HOP.replace("1.5,", "x,"), "outer.train, line 1: expected host:i-j"),
            (HOP.replace(":1-2", ":2-1"), "outer.train, line 1: expected host:i-j"),
            (HOP.replace("1-2,1,2", "1-3,1,3"), "mgo.cif has no sites 1 and 3"),
            (HOP.replace("mgo", "cao"), "there is no cao.cif"),
        ],
    )
    def test_bad_line_is_named(self, tmp_path: Path, line: str, message: str) -> None:
        train, test = migration_load.LABELS
        with pytest.raises(DataError, match=message):
            migration_load.load([folder(tmp_path, **{train: f"{line}\n", test: ""})])

    def test_hop_goes_from_the_vacancy_to_the_atom(self, tmp_path: Path) -> None:
        train, test = migration_load.LABELS
        crystals = migration_load.load([folder(tmp_path, **{train: "", test: f"{HOP}\n"})])
        assert crystals.pairs.tolist() == [[1, 2]]
        assert crystals.edge_targets["barrier"].tolist() == [2.0]


coordinate = st.floats(-3, 3).map(lambda value: round(value, 3))


class TestShortestImage:
    @settings(max_examples=60, deadline=None)
    @given(shear=st.tuples(*[coordinate] * 3), vector=st.tuples(*[coordinate] * 3))
    def test_no_image_within_six_cells_is_shorter(
        self, shear: tuple[float, float, float], vector: tuple[float, float, float]
    ) -> None:
        cell = np.array([[3.0, 0, 0], [shear[0], 2.0, 0], [shear[1], shear[2], 2.5]])
        found = migration_load.shortest_image(cell, np.array(vector))
        everywhere = np.array(list(product(range(-6, 7), repeat=3)))
        lengths = np.linalg.norm(np.array(vector) + everywhere @ cell, axis=1)
        assert np.linalg.norm(np.array(vector) + found @ cell) <= lengths.min() + 1e-7

    def test_first_of_equals_is_taken(self) -> None:
        assert migration_load.shortest_image(np.eye(3), np.array([0.5, 0.0, 0.0])).tolist() == [-1, 0, 0]


@pytest.mark.parametrize("name", ["vacancy_formation", "vacancy_migration"])
class TestBoth:
    def test_structures_equal_the_reading_of_pymatgen(self, name: str) -> None:
        dataset = loaded(name)
        for row in range(0, len(dataset.crystals), 60):
            ours = dataset.crystals.to_pymatgen(row)
            theirs = Structure.from_file(members(dataset_card(name)) / f"{dataset.crystals.ids[row]}.cif")
            assert isinstance(ours, Structure)
            # pymatgen sorts the sites by element
            assert ours.composition == theirs.composition
            first, second = (np.sort(structure.distance_matrix, axis=None) for structure in (ours, theirs))
            np.testing.assert_allclose(first, second, atol=1e-6)
            np.testing.assert_allclose(ours.lattice.parameters, theirs.lattice.parameters, atol=1e-9)

    def test_second_load_reads_the_cache(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        first = loaded(name)

        def refuse(*_: object, **__: object) -> Path:
            raise AssertionError("fetched again")

        monkeypatch.setattr(gbench.dataset, "fetch", refuse)
        assert load(name).crystals.sha256() == first.sha256
