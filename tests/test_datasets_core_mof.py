"""CoRE MOF 2019 as published, without what the card drops."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from available import loaded
from gbench.datasets.core_mof_asr import load as core_mof_load
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from pymatgen.optimization.neighbors import find_points_in_spheres

import gbench.dataset
from gbench.cards import DatasetCard
from gbench.content import content
from gbench.dataset import Dataset, load
from gbench.errors import DataError
from gbench.fetch import fetch
from gbench.reading.cif import read_cif
from gbench.registry import dataset_card
from gbench.search import OVERLAP_ANGSTROM

CIF = """data_cell
_space_group_name_H-M_alt 'P 1'
_cell_length_a 9
_cell_length_b 9
_cell_length_c 9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Zn 0 0 0
O 0.25 0 0
"""
TABLE = "filename,LCD,PLD,AV_VF,ASA_m2_g,All_Metals\nNEW_clean,7.5,4.1,0.6,800,Zn\n"


@pytest.fixture(scope="module")
def mofs() -> Dataset:
    return loaded("core_mof_asr")


@pytest.fixture(scope="module")
def card() -> DatasetCard:
    return dataset_card("core_mof_asr")


@pytest.fixture(scope="module")
def cifs(mofs: Dataset) -> dict[str, str]:
    """The texts of some published frameworks: every 400th, and every 20th of those that are dropped."""
    folder = fetch(mofs.card.sources[0], content("datasets") / "core_mof_asr", download=False)
    wanted = {*mofs.crystals.ids[::400], *sorted(mofs.card.dropped)[::20], "SOTXEG_neutral"}
    return dict(members(folder / core_mof_load.ARCHIVE, wanted))


def members(archive: Path, wanted: set[str]) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as packed:
        for member in packed:
            name = Path(member.name).stem
            if name in wanted and (reader := packed.extractfile(member)):
                yield name, reader.read().decode("latin-1")


def shortest(positions: np.ndarray, cell: np.ndarray) -> float:
    """The shortest distance between two atoms that are closer than 1 Å, or 1."""
    search = (positions, positions, 1.0, np.ones(3, dtype=np.int64), np.ascontiguousarray(cell), 1e-8)
    centre, neighbour, _, distance = find_points_in_spheres(*search)
    other = (centre != neighbour) | (distance > 1e-8)
    return float(distance[other].min(initial=1.0))


def folder(path: Path, table: str = TABLE, **cifs: str) -> Path:
    """A folder of members as the wheel's: a table, and an archive of these CIFs."""
    data = path / "CoRE_MOF/data"
    data.mkdir(parents=True)
    (path / core_mof_load.TABLE).write_text(table, encoding="utf-8")
    with tarfile.open(path / core_mof_load.ARCHIVE, "w:xz") as packed:
        for name, text in cifs.items():
            (data / f"{name}.cif").write_text(text, encoding="utf-8")
            packed.add(data / f"{name}.cif", f"{name}.cif")
    return path


class TestContent:
    def test_counts_are_those_of_the_card(self, mofs: Dataset, card: DatasetCard) -> None:
        crystals = mofs.crystals
        assert (len(crystals), len(crystals.numbers)) == (11_191, 3_364_466)
        assert len(crystals) + sum(e.count for e in card.errata if e.action == "dropped") == 12_020
        assert all(e.count == len(e.ids) for e in card.errata if e.action == "dropped")
        assert not card.dropped & set(crystals.ids)
        assert np.count_nonzero(crystals.n_atoms > 1000) == 427
        assert not any(np.isnan(values).any() for values in crystals.targets.values())

    def test_a_known_framework_has_its_pores(self, mofs: Dataset) -> None:
        """HKUST-1: cages of 13.2 Å, windows of 6.7 Å, Cu3(C9H3O6)2."""
        row = mofs.row_of_id["FIQCEN_clean"]
        assert mofs.labels("lcd")[row] == pytest.approx(13.2, abs=0.1)
        assert mofs.labels("pld")[row] == pytest.approx(6.7, abs=0.1)
        assert mofs.labels("asa")[row] == pytest.approx(2405.35)
        assert mofs.labels("void_fraction")[row] == pytest.approx(0.72, abs=0.01)
        framework = mofs.crystals.to_pymatgen(row)
        assert framework.composition.reduced_formula == "CuH2(C3O2)2"

    def test_no_sphere_travels_that_does_not_fit(self, mofs: Dataset) -> None:
        assert (mofs.labels("pld") <= mofs.labels("lcd") + 1e-4).all()
        closed = mofs.labels("asa") == 0
        assert mofs.labels("pld")[closed].max() < 3.32
        assert mofs.labels("pld")[~closed].min() > 3.31

    def test_structures_equal_the_reading_of_pymatgen(self, mofs: Dataset, cifs: dict[str, str]) -> None:
        compared = 0
        for name in mofs.crystals.ids[::400]:
            row = mofs.row_of_id[name]
            if mofs.crystals.n_atoms[row] > 400:
                continue
            ours = mofs.crystals.to_pymatgen(row)
            # frac_tolerance: pymatgen would make thirds of coordinates such as 0.3333
            (theirs,) = CifParser.from_str(cifs[name], frac_tolerance=0).parse_structures(primitive=False)
            assert isinstance(ours, Structure)
            assert ours.composition == theirs.composition
            first, second = (np.sort(structure.distance_matrix, axis=None) for structure in (ours, theirs))
            np.testing.assert_allclose(first, second, atol=1e-6)
            compared += 1
        assert compared > 20

    def test_what_is_dropped_deserves_it(self, cifs: dict[str, str], card: DatasetCard) -> None:
        damaged, merged, close = (set(erratum.ids) for erratum in card.errata[:3])
        for name in cifs.keys() & card.dropped:
            if name in close:
                read = read_cif(cifs[name], name)
                assert 0.1 <= shortest(read.positions, read.cell) < OVERLAP_ANGSTROM
            else:
                why = "line 9 is not CIF" if name in damaged else "lie on one place"
                with pytest.raises(DataError, match=why):
                    read_cif(cifs[name], name)
        assert damaged <= cifs.keys()
        assert cifs.keys() & merged

    def test_what_stays_does_not_overlap(self, mofs: Dataset) -> None:
        crystals = mofs.crystals
        for row in range(0, len(crystals), 50):
            atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
            assert shortest(crystals.positions[atoms], crystals.cell[row]) >= OVERLAP_ANGSTROM

    def test_second_load_reads_the_cache(self, mofs: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> Path:
            raise AssertionError("fetched again")

        monkeypatch.setattr(gbench.dataset, "fetch", refuse)
        assert load("core_mof_asr").crystals.ids == mofs.crystals.ids


class TestFiles:
    def test_small_archive_is_read(self, tmp_path: Path) -> None:
        crystals = core_mof_load.load([folder(tmp_path / "members", NEW_clean=CIF)])
        assert crystals.ids == ("NEW_clean",)
        assert crystals.graph_targets["lcd"].tolist() == [7.5]
        assert [path.name for path in tmp_path.iterdir()] == ["members"]

    def test_framework_without_a_cif_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"2019-ASR.tar.xz lacks 'NEW_clean'"):
            core_mof_load.load([folder(tmp_path / "members", OLD_clean=CIF, table=TABLE + "OLD_clean,1,1,1,1,Zn\n")])

    def test_cif_without_a_line_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"2019-ASR.csv lacks 'OLD_clean'"):
            core_mof_load.load([folder(tmp_path / "members", NEW_clean=CIF, OLD_clean=CIF)])

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (TABLE.replace("AV_VF", "VF"), "2019-ASR.csv: not the table of core-mof 2019.1"),
            (TABLE.replace("7.5", "wide"), "2019-ASR.csv: not the table of core-mof 2019.1"),
            (TABLE + "NEW_clean,1,1,1,1,Zn\n", "'NEW_clean' is there twice"),
        ],
    )
    def test_damaged_table_is_refused(self, tmp_path: Path, table: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            core_mof_load.load([folder(tmp_path / "members", table, NEW_clean=CIF)])

    def test_unreadable_framework_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"NEW_clean.*occupancy"):
            partly = CIF.replace("_fract_z\n", "_fract_z\n_atom_site_occupancy\n").replace("0 0\n", "0 0 0.5\n")
            core_mof_load.load([folder(tmp_path / "members", NEW_clean=partly)])
