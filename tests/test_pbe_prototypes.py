"""The embedded dataset is what its card says, and follows from its raw energies."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from gbench.datasets.pbe_prototypes.recipe import labels
from gbench.datasets.pbe_prototypes.recipe.__main__ import all_structures, app
from gbench.datasets.pbe_prototypes.recipe.calculations import Calculation, merge, read_lines, read_table, write_table
from gbench.datasets.pbe_prototypes.recipe.candidates import enumerate_candidates, relax
from gbench.datasets.pbe_prototypes.recipe.compute import Budget, compute, k_grid, single_point
from gbench.datasets.pbe_prototypes.recipe.structures import (
    CANDIDATES,
    Candidate,
    FloatArray,
    Structure,
    read_candidates,
    write_candidates,
)
from typer.testing import CliRunner

from gbench.cards import DatasetCard, read_card
from gbench.content import content
from gbench.crystals import Crystals
from gbench.errors import DataError, GbenchError, UnknownNameError

FOLDER = content("datasets") / "pbe_prototypes"
# eV/atom, from an independent fit to the same rows
REFERENCE_ENERGIES = """
Ag -2.830805 Al -3.745940 As -4.668002 Au -3.136975 Ba -1.818211 Be -3.696244 Br -1.459788 C -8.992004 Ca -1.984676
Cd -0.849243 Cl -1.713807 Cs -0.818921 Cu -3.544893 F -0.637775 Ga -2.904135 Ge -4.510523 Hf -7.511551 I -1.274543
In -2.656936 K -1.176096 La -4.695028 Li -1.904295 Mg -1.564669 N -6.605784 Na -1.327030 Nb -10.334842 O -3.386192
P -5.207028 Pb -3.750044 Rb -0.903278 S -3.886221 Sb -4.287196 Sc -4.661120 Se -3.477841 Si -5.398505 Sn -3.932187
Sr -1.655015 Ta -9.862444 Te -3.194754 Ti -6.612121 V -8.490842 Y -4.681046 Zn -1.143714 Zr -7.347638
"""


@pytest.fixture(scope="module")
def card() -> DatasetCard:
    return read_card(DatasetCard, FOLDER / "card.yaml")


@pytest.fixture(scope="module")
def crystals(card: DatasetCard) -> Crystals:
    return Crystals.read(FOLDER / card.sources[0].file)


@pytest.fixture(scope="module")
def calculations() -> list[Calculation]:
    rows: list[Calculation] = read_table(FOLDER / "calculations.parquet")
    return rows


def label(crystals: Crystals, target: str, name: str) -> float:
    return float(crystals.graph_targets[target][crystals.ids.index(name)])


class TestCard:
    def test_file_is_the_one_on_the_card(self, card: DatasetCard) -> None:
        (source,) = card.sources
        raw = (FOLDER / source.file).read_bytes()
        assert len(raw) == source.size
        assert hashlib.sha256(raw).hexdigest() == source.sha256

    def test_content_is_the_one_on_the_card(self, card: DatasetCard, crystals: Crystals) -> None:
        assert crystals.check().sha256() == card.content_sha256
        assert len(crystals) == card.crystals == 828

    def test_targets_are_the_ones_on_the_card(self, card: DatasetCard, crystals: Crystals) -> None:
        assert set(crystals.graph_targets) == {name for name, t in card.targets.items() if t.level == "graph"}
        assert set(crystals.node_targets) == {name for name, t in card.targets.items() if t.level == "node"}

    def test_description_counts_right(self, card: DatasetCard, crystals: Crystals) -> None:
        prototypes = Counter(name.split("-")[0] for name in crystals.ids)
        compounds = {name.rsplit("-", 1)[0] for name in crystals.ids}
        elements = set(crystals.numbers.tolist())
        facts = [
            f"{len(compounds)} compounds",
            f"{len(crystals)} crystals",
            f"{len(crystals.numbers):,} atoms of {len(elements)} elements in six prototypes",
            *(f"({prototypes[name]}" for name in prototypes),
        ]
        assert len(prototypes) == 6
        assert [fact for fact in facts if fact not in card.description] == []

    def test_target_descriptions_count_right(self, card: DatasetCard, crystals: Crystals) -> None:
        e_form, gap = crystals.graph_targets["e_form"], crystals.graph_targets["gap"]
        spread = f"{e_form.min():.2f} to {e_form.max():.2f}, mean {e_form.mean():.2f}"
        assert f"{spread}, standard deviation {e_form.std():.2f}" in card.targets["e_form"].description
        alloys = [name for name in crystals.ids if not labels.GAP_FORMERS & set(name.split("-"))]
        assert f"{len(alloys)} crystals that are alloys" in card.targets["gap"].description
        assert f"{np.mean(gap > 0.1):.0%}".replace("%", " %") in card.targets["gap"].description

    def test_every_failure_and_every_flag_is_counted(
        self, card: DatasetCard, crystals: Crystals, calculations: list[Calculation]
    ) -> None:
        dropped, flagged = card.errata
        assert (dropped.action, dropped.count) == ("dropped", sum(row.error is not None for row in calculations))
        assert (flagged.action, flagged.count) == ("flagged", sum("-Ba-" in name for name in crystals.ids))

    def test_folder_stays_small(self) -> None:
        assert sum(path.stat().st_size for path in FOLDER.glob("*.*")) < 300_000


class TestContent:
    def test_rows_are_sorted_by_id(self, crystals: Crystals) -> None:
        assert list(crystals.ids) == sorted(crystals.ids)

    def test_every_label_is_there(self, crystals: Crystals) -> None:
        for values in (*crystals.graph_targets.values(), *crystals.node_targets.values()):
            assert np.isfinite(values).all()

    def test_every_compound_has_its_three_volumes(self, crystals: Crystals) -> None:
        volume = dict(zip(crystals.ids, crystals.volume, strict=True))
        for compound in {name.rsplit("-", 1)[0] for name in crystals.ids}:
            middle = volume[f"{compound}-1.00"]
            assert volume[f"{compound}-0.94"] / middle == pytest.approx(0.94)
            assert volume[f"{compound}-1.06"] / middle == pytest.approx(1.06)

    def test_charges_of_a_cell_sum_to_nothing(self, crystals: Crystals) -> None:
        charge = np.add.reduceat(crystals.node_targets["hirshfeld"], crystals.ptr[:-1])
        assert np.abs(charge).max() < 0.03

    @pytest.mark.parametrize(
        ("name", "e_form", "gap"), [("rocksalt-Na-Cl-1.00", -1.85, 5.0), ("fluorite-Ca-F-1.00", -3.97, 7.1)]
    )
    def test_known_compounds_have_their_uncorrected_pbe_values(
        self, crystals: Crystals, name: str, e_form: float, gap: float
    ) -> None:
        assert label(crystals, "e_form", name) == pytest.approx(e_form, abs=0.01)
        assert label(crystals, "gap", name) == pytest.approx(gap, abs=0.05)


class TestLabels:
    def test_published_crystals_follow_from_the_raw_energies(
        self, card: DatasetCard, calculations: list[Calculation]
    ) -> None:
        assert labels.crystals(calculations).sha256() == card.content_sha256

    def test_reference_energies_are_the_minima_of_the_scans(self, calculations: list[Calculation]) -> None:
        words = REFERENCE_ENERGIES.split()
        expected = dict(zip(words[::2], map(float, words[1::2]), strict=True))
        assert labels.reference_energies(calculations) == pytest.approx(expected, abs=1e-6)

    def test_all_elemental_rows_are_published(self, calculations: list[Calculation]) -> None:
        assert Counter(row.kind for row in calculations) == {"crystal": 828, "reference": 111, "molecule": 7}

    def test_zintl_semiconductor_keeps_its_gap(self, crystals: Crystals) -> None:
        assert label(crystals, "gap", "fluorite-Sn-Ca-1.00") == pytest.approx(1.0, abs=0.05)

    def test_metal_has_no_gap_whatever_the_grid_says(self, crystals: Crystals, calculations: list[Calculation]) -> None:
        raw = {row.key: row.gap for row in calculations}
        assert raw["cscl-Y-Cd-0.94"] == pytest.approx(0.28, abs=0.01)
        assert label(crystals, "gap", "cscl-Y-Cd-0.94") == 0

    def test_failed_row_stays_out(self, calculations: list[Calculation]) -> None:
        failed = [
            row.model_copy(update={"error": "KohnShamConvergenceError", "energy": None, "gap": None})
            if row.key == "rocksalt-Na-Cl-1.00"
            else row
            for row in calculations
        ]
        ids = labels.crystals(failed).ids
        assert len(ids) == 827
        assert "rocksalt-Na-Cl-1.00" not in ids

    def test_missing_reference_is_named(self, calculations: list[Calculation]) -> None:
        without = [row for row in calculations if row.key != "ref-Cl-mol"]
        with pytest.raises(DataError, match="no reference energy for Cl"):
            labels.crystals(without)

    def test_half_a_volume_scan_is_refused(self, calculations: list[Calculation]) -> None:
        without = [row for row in calculations if row.key != "ref-Na-bcc-1.06"]
        with pytest.raises(DataError, match="the phase has 2 computed volumes"):
            labels.reference_energies(without)


class TestFiles:
    def test_calculations_survive_both_formats(self, calculations: list[Calculation], tmp_path: Path) -> None:
        sample = calculations[::50]
        write_table(sample, tmp_path / "rows.parquet")
        lines = "".join(row.model_dump_json() + "\n" for row in sample)
        (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
        assert read_table(tmp_path / "rows.parquet") == sample
        assert read_lines(tmp_path / "rows.jsonl") == sample

    def test_line_that_is_cut_off_is_named(self, calculations: list[Calculation], tmp_path: Path) -> None:
        line = calculations[0].model_dump_json()
        (tmp_path / "rows.jsonl").write_text(f"{line}\n{line[:50]}", encoding="utf-8")
        with pytest.raises(DataError, match="line 2 is not a calculation"):
            read_lines(tmp_path / "rows.jsonl")

    def test_success_replaces_a_failure_and_nothing_else(self, calculations: list[Calculation]) -> None:
        good = calculations[0]
        failed = good.model_copy(update={"error": "MemoryError", "energy": None})
        again = good.model_copy(update={"energy": 0.0})
        assert merge([failed, good]) == [good]
        assert merge([good, failed]) == [good]
        assert merge([good, again]) == [good]

    def test_other_cut_off_is_refused(self, calculations: list[Calculation]) -> None:
        tight = calculations[0].model_copy(update={"ecut": 500.0})
        with pytest.raises(DataError, match="computed at 500 eV, expected 400 eV"):
            merge([tight])


class TestStructures:
    def test_enumeration_gives_the_published_candidates_in_order(self) -> None:
        assert [c.name for c in enumerate_candidates()] == [c.name for c in read_candidates()]

    def test_candidates_survive_the_file(self, tmp_path: Path) -> None:
        write_candidates(read_candidates(), tmp_path / "candidates.csv")
        assert (tmp_path / "candidates.csv").read_bytes() == CANDIDATES.read_bytes()

    def test_every_published_structure_is_made_again(self, calculations: list[Calculation]) -> None:
        structures = {structure.key: structure for structure in all_structures()}
        assert len(structures) == 118 + 3 * 518
        for row in calculations:
            structure = structures[row.key]
            assert (structure.kind, structure.numbers) == (row.kind, row.numbers)
            np.testing.assert_allclose(structure.cell, row.cell, rtol=0, atol=1e-12)
            np.testing.assert_allclose(structure.frac, row.frac, rtol=0, atol=1e-12)

    def test_every_published_grid_is_chosen_again(self, calculations: list[Calculation]) -> None:
        structures = {structure.key: structure for structure in all_structures()}
        grids = {row.key: k_grid(structures[row.key]) for row in calculations if row.kind != "molecule"}
        assert grids == {row.key: row.kgrid for row in calculations if row.kind != "molecule"}

    @pytest.mark.parametrize("start", [4.2, 5.0, 5.9])
    def test_relaxing_finds_the_minimum_from_a_rough_start(self, start: float) -> None:
        def energies(candidate: Candidate, constants: FloatArray) -> FloatArray:
            return (constants / 5.0) ** -6 - 2 * (constants / 5.0) ** -3

        relaxed = relax(Candidate("rocksalt", ("Na", "Cl"), start), energies)
        assert relaxed.lattice_constant == pytest.approx(5.0, abs=0.02)


def pretend(structure: Structure) -> Calculation:
    """A calculation without DFT; runs in another process."""
    return Calculation(
        key=structure.key,
        kind=structure.kind,
        numbers=structure.numbers,
        cell=structure.cell.tolist(),
        frac=structure.frac.tolist(),
        energy=-1.0,
        seconds=0.0,
    )


class TestCompute:
    def test_rows_are_in_the_file_when_they_are_reported(self, tmp_path: Path) -> None:
        out = tmp_path / "rows.jsonl"
        seen = []
        for row in compute(all_structures()[:3], out, Budget(seconds=600, workers=1), pretend):
            seen.append(row)
            assert read_lines(out) == seen
        assert [row.key for row in seen] == [structure.key for structure in all_structures()[:3]]

    def test_nothing_is_begun_after_the_deadline(self, tmp_path: Path) -> None:
        assert list(compute(all_structures(), tmp_path / "rows.jsonl", Budget(seconds=0, workers=1), pretend)) == []

    def test_failure_becomes_a_row_with_its_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ArithmeticError("did not converge")

        monkeypatch.setattr("gbench.datasets.pbe_prototypes.recipe.compute._gpaw", fail)
        row = single_point(all_structures()[-1])
        assert row.error == "ArithmeticError: did not converge"
        assert row.energy is None


class TestCommands:
    def test_export_adds_new_rows_and_leaves_published_ones(
        self, calculations: list[Calculation], tmp_path: Path
    ) -> None:
        held_back = "rocksalt-Na-Cl-1.00"
        write_table([row for row in calculations if row.key != held_back], tmp_path / "calculations.parquet")
        lines = "".join(row.model_dump_json() + "\n" for row in calculations if row.key.startswith("rocksalt-Na"))
        (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
        done = CliRunner().invoke(app, ["export", str(tmp_path / "rows.jsonl"), "--folder", str(tmp_path)])
        assert done.exit_code == 0, done.output
        assert "crystals: 828" in done.output
        assert read_table(tmp_path / "calculations.parquet") == calculations

    def test_unknown_key_is_answered_with_the_nearest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
        arguments = [
            "compute",
            "--seconds",
            "1",
            "--out",
            str(tmp_path / "rows.jsonl"),
            "--only",
            "rocksalt-Na-Cl-1.01",
        ]
        done = CliRunner().invoke(app, arguments)
        assert isinstance(done.exception, UnknownNameError)
        assert "did you mean 'rocksalt-Na-Cl-1.0" in str(done.exception)

    def test_missing_gpaw_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        done = CliRunner().invoke(app, ["compute", "--seconds", "1", "--out", str(tmp_path / "rows.jsonl")])
        assert isinstance(done.exception, GbenchError)
        assert "gpaw is not installed" in str(done.exception)
