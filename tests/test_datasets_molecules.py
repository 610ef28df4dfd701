"""QM9 as published, and the sample of it that comes with gbench."""

import sys
from pathlib import Path

import numpy as np
import pytest
from available import loaded
from gbench.datasets.qm9 import load as qm9_load
from gbench.datasets.qm9_mini import recipe
from typer.testing import CliRunner

import gbench.dataset
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.elements import element_property
from gbench.errors import DataError, GbenchError

HEADER = (
    "Index,N_atoms,Elements,XYZ_Ang,Mulliken_pop,Dipole_debye,Polarizability_bohr3,HOMO_au,LUMO_au,HOMO_LUMO_gap_au,"
    "ZPVE_au,InternalEnergy_0K_au,GibbsFreeEnergy_298K_au,Heatcapacity_Cv_cal_mol_K"
)
HYDROGEN = '{index},2,"[\'H\',\'H\']","[[0.,0.,0.],[0.,0.,0.74]]","[0.,0.]",0.,5.,-0.4,0.1,0.5,0.01,-1.1,-1.2,5.'


@pytest.fixture(scope="session")
def qm9() -> Dataset:
    """qm9, where the cache, a mirror or a package index has it."""
    return loaded("qm9")


@pytest.fixture(scope="module")
def mini() -> Dataset:
    return load("qm9_mini")


def tables(folder: Path, rows: list[str]) -> Path:
    """A folder of members in which the first part holds ``rows``."""
    data = folder / "qm9pack/data"
    data.mkdir(parents=True)
    for part, held in enumerate([rows, [HYDROGEN.format(index=8)], [HYDROGEN.format(index=9)]], start=1):
        (data / f"qm9_part{part}.csv").write_text("\n".join([HEADER, *held]) + "\n", encoding="utf-8")
    return folder


class TestQm9:
    def test_every_molecule_is_there_in_the_order_of_its_index(self, qm9: Dataset) -> None:
        crystals = qm9.crystals
        assert len(crystals) == 130_831
        assert len(crystals.numbers) == 2_359_210
        assert (crystals.ids[0], crystals.ids[-1]) == ("qm9-000001", "qm9-133885")
        assert list(crystals.ids) == sorted(crystals.ids)
        assert set(crystals.numbers.tolist()) == {1, 6, 7, 8, 9}
        assert not crystals.pbc.any()
        assert not any(np.isnan(values).any() for values in crystals.targets.values())

    @pytest.mark.parametrize(
        ("name", "numbers", "published"),
        [
            # the files of the original deposit, in its units; total energies of methane in hartree
            ("qm9-000001", [6, 1, 1, 1, 1], {"u0": -40.47893, "g": -40.498597, "zpve": 0.044749, "gap": 0.5048}),
            ("qm9-000003", [8, 1, 1], {"homo": -0.2928, "lumo": 0.0687, "gap": 0.3615, "zpve": 0.021375}),
        ],
    )
    def test_hartree_becomes_electronvolt(
        self, qm9: Dataset, name: str, numbers: list[int], published: dict[str, float]
    ) -> None:
        row = qm9.row_of_id[name]
        assert qm9.crystals.take([row]).numbers.tolist() == numbers
        for target, hartree in published.items():
            assert qm9.labels(target)[row] == pytest.approx(hartree * 27.2114, rel=1e-6)

    @pytest.mark.parametrize(("target", "value"), [("mu", 1.8511), ("alpha", 6.31), ("cv", 6.002)])
    def test_water_keeps_the_published_units(self, qm9: Dataset, target: str, value: float) -> None:
        assert qm9.labels(target)[qm9.row_of_id["qm9-000003"]] == value

    def test_gap_is_lumo_minus_homo(self, qm9: Dataset) -> None:
        difference = qm9.labels("lumo") - qm9.labels("homo") - qm9.labels("gap")
        # each is published to 1e-4 hartree
        assert np.abs(difference).max() < 1.5e-4 * 27.3

    def test_charges_belong_to_their_molecule_and_atom(self, qm9: Dataset) -> None:
        charges = np.add.reduceat(qm9.labels("charge"), qm9.crystals.ptr[:-1])
        assert np.abs(charges).max() < 1e-5
        numbers = qm9.crystals.numbers
        hydrogen, oxygen, fluorine = (qm9.labels("charge")[numbers == z] for z in (1, 8, 9))
        assert (hydrogen > 0).mean() > 0.99
        assert (oxygen < 0).mean() > 0.99
        assert (fluorine < 0).mean() > 0.99

    def test_distances_equal_ase(self, qm9: Dataset) -> None:
        for row in (0, 2, 70_000, 130_830):
            atoms = slice(qm9.crystals.ptr[row], qm9.crystals.ptr[row + 1])
            positions = qm9.crystals.positions[atoms]
            ours = np.linalg.norm(positions[:, None] - positions, axis=-1)
            np.testing.assert_allclose(ours, qm9.crystals.to_ase(row).get_all_distances(), atol=1e-12)
        water = qm9.crystals.to_ase(2)
        assert water.get_distance(0, 1) == pytest.approx(0.962, abs=1e-3)
        assert water.get_angle(1, 0, 2) == pytest.approx(103.6, abs=0.5)

    def test_second_load_reads_the_cache(self, qm9: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> Path:
            raise AssertionError("fetched again")

        monkeypatch.setattr(gbench.dataset, "fetch", refuse)
        assert load("qm9").crystals.ids == qm9.crystals.ids


class TestQm9Tables:
    def test_small_tables_are_read(self, tmp_path: Path) -> None:
        crystals = qm9_load.load([tables(tmp_path, [HYDROGEN.format(index=1)])])
        assert crystals.ids == ("qm9-000001", "qm9-000008", "qm9-000009")
        assert crystals.positions[5].tolist() == [0, 0, 0.74]

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("0.74", "O.74", "XYZ_Ang holds what is no number"),
            ("[0.,0.]", "[0.]", "molecule 1 has 1 values in Mulliken_pop, expected 2"),
            ("'H'", "'Hx'", "'Hx' is no element"),
            (",5.,", ",five,", "qm9_part1.csv: not the table of qm9pack 1.0.3"),
        ],
    )
    def test_damaged_row_is_refused_in_words(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        folder = tables(tmp_path, [HYDROGEN.format(index=1).replace(old, new)])
        with pytest.raises(DataError, match=message):
            qm9_load.load([folder])

    def test_missing_column_is_named(self, tmp_path: Path) -> None:
        folder = tables(tmp_path, [])
        path = folder / "qm9pack/data/qm9_part2.csv"
        path.write_text(path.read_text().replace("ZPVE_au", "ZPVE"), encoding="utf-8")
        with pytest.raises(DataError, match="ZPVE_au"):
            qm9_load.load([folder])


class TestMini:
    def test_every_level_is_labelled(self, mini: Dataset) -> None:
        crystals = mini.crystals
        assert (len(crystals), len(crystals.numbers), len(crystals.pairs)) == (3000, 54_017, 56_014)
        assert {target.level for target in mini.card.targets.values()} == {"graph", "node", "edge"}
        assert not any(np.isnan(values).any() for values in crystals.targets.values())
        assert not crystals.pbc.any()
        assert not crystals.pair_image.any()

    def test_labels_are_those_of_qm9(self, mini: Dataset, qm9: Dataset) -> None:
        again = recipe.rounded(recipe.sample(qm9.crystals))
        assert again.ids == mini.crystals.ids
        for name in ("numbers", "positions", "ptr"):
            np.testing.assert_array_equal(getattr(again, name), getattr(mini.crystals, name))
        assert set(again.targets) == set(mini.crystals.targets) - {"bond_order"}
        for name, values in again.targets.items():
            np.testing.assert_array_equal(values, mini.labels(name))

    def test_bond_orders_are_computed_again(self, mini: Dataset) -> None:
        few = mini.crystals.take(range(0, 3000, 300))
        again = recipe.labelled(few)
        np.testing.assert_array_equal(again.pairs, few.pairs)
        # another processor may round the other way
        np.testing.assert_allclose(again.edge_targets["bond_order"], few.edge_targets["bond_order"], atol=1.1e-4)

    def test_bonds_are_those_of_chemistry(self, mini: Dataset) -> None:
        crystals, orders = mini.crystals, mini.labels("bond_order")
        numbers = crystals.numbers[crystals.pairs]
        hydrogen = (numbers == 1).any(axis=1) & (orders > 0.5)
        assert 0.75 < orders[hydrogen].min() <= orders[hydrogen].max() < 1.05
        # no atom of C, N, O or F has more than about four bonds' worth
        valence = np.zeros(len(crystals.numbers))
        np.add.at(valence, crystals.pairs, orders[:, None])
        assert valence.max() < 4.3
        assert valence.min() > 0.7

    def test_pairs_do_not_depend_on_the_bond_order(self, mini: Dataset) -> None:
        crystals = mini.crystals
        for row in range(0, 3000, 500):
            atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
            numbers, distances = crystals.numbers[atoms], crystals.to_ase(row).get_all_distances()
            radius = element_property("covalent_radius")[numbers]
            expected = np.argwhere(np.triu(distances < 1.3 * (radius + radius[:, None]), 1))
            own = crystals.pairs[crystals.crystal_of_pair == row] - crystals.ptr[row]
            np.testing.assert_array_equal(own, expected)


class TestMiniRecipe:
    def test_methane_has_four_single_bonds(self) -> None:
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 1.09 / 3**0.5
        numbers, positions = np.array([6, 1, 1, 1, 1]), np.concatenate([np.zeros((1, 3)), corners])
        assert recipe.bonded_pairs(numbers, positions).tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]
        orders = recipe.bond_orders(numbers, positions)
        np.testing.assert_allclose(orders, orders.T)
        np.testing.assert_allclose(orders[0, 1:], 1, atol=0.01)

    def test_draw_does_not_depend_on_the_order_of_rows(self, mini: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recipe, "SIZE", 10)
        crystals: Crystals = mini.crystals
        backwards = crystals.take(range(2999, -1, -1))
        assert recipe.sample(backwards).ids == recipe.sample(crystals).ids[::-1]

    def test_missing_tblite_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "tblite.interface", None)
        with pytest.raises(GbenchError, match=r"tblite is not installed; pip install 'gbench\[recipe\]'"):
            recipe.main(tmp_path / "crystals.parquet")
        assert not list(tmp_path.iterdir())

    def test_command_writes_what_it_prints(self, qm9: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(recipe, "SIZE", 5)
        monkeypatch.setattr(recipe, "load", lambda _: qm9)
        done = CliRunner().invoke(recipe.app, ["--out", str(tmp_path / "few.parquet")])
        assert done.exit_code == 0, done.output
        few = Crystals.read(tmp_path / "few.parquet")
        assert len(few) == 5
        assert few.sha256() in done.output
