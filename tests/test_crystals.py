"""Crystals survive the disk and the other libraries, and refuse unusable numbers."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structures import crystal, one

from gbench.crystals import Crystals, ranges
from gbench.dataset import Dataset
from gbench.errors import DataError, StorageError
from gbench.storage import atomic_path

CUBE = np.eye(3) * 4.0


def test_parquet_gives_back_every_byte(prototypes: Dataset, tmp_path: Path) -> None:
    prototypes.crystals.write(tmp_path / "c.parquet")
    assert Crystals.read(tmp_path / "c.parquet").sha256() == prototypes.crystals.sha256()
    assert list(tmp_path.iterdir()) == [tmp_path / "c.parquet"]


def test_the_hash_ignores_the_sign_of_zero_and_sees_everything_else() -> None:
    made = one([11, 17], [[0, 0, 0], [2, 2, 2]], CUBE)
    assert dataclasses.replace(made, positions=made.positions * -1 * -1 - 0.0).sha256() == made.sha256()
    moved = made.positions.copy()
    moved[0, 0] = 1e-12
    assert dataclasses.replace(made, positions=moved).sha256() != made.sha256()
    assert dataclasses.replace(made, ids=("y",)).sha256() != made.sha256()


def test_taking_rows_takes_their_atoms_and_labels(prototypes: Dataset) -> None:
    rows = [5, 3, 700]
    taken = prototypes.crystals.take(rows)
    for place, row in enumerate(rows):
        alone = prototypes.crystals.take([row])
        assert taken.take([place]).sha256() == alone.sha256()
        assert alone.ids == (prototypes.crystals.ids[row],)


def test_ranges_equal_the_loop(rng: np.random.Generator) -> None:
    starts = rng.integers(0, 50, 20)
    stops = starts + rng.integers(0, 5, 20)
    expected = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
    np.testing.assert_array_equal(ranges(starts, stops), expected)


def test_pymatgen_and_back(prototypes: Dataset) -> None:
    rows = [0, 400, 827]
    structures = [prototypes.crystals.to_pymatgen(row) for row in rows]
    back = Crystals.from_pymatgen(structures, ids=[prototypes.crystals.ids[row] for row in rows])
    expected = prototypes.crystals.take(rows)
    np.testing.assert_array_equal(back.numbers, expected.numbers)
    np.testing.assert_allclose(back.positions, expected.positions, atol=1e-12)
    np.testing.assert_allclose(back.cell, expected.cell, atol=1e-12)
    assert structures[0].site_properties["hirshfeld"] == expected.take([0]).node_targets["hirshfeld"].tolist()


def test_molecules_become_pymatgen_molecules_and_back() -> None:
    water = one([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], None)
    back = Crystals.from_pymatgen([water.to_pymatgen(0)], ids=["x"])
    assert back.sha256() == water.sha256()


def test_ase_sees_the_same_crystal(prototypes: Dataset) -> None:
    atoms = prototypes.crystals.to_ase(10)
    expected = prototypes.crystals.take([10])
    np.testing.assert_array_equal(atoms.numbers, expected.numbers)
    np.testing.assert_allclose(atoms.positions, expected.positions)
    assert atoms.pbc.all()


def test_the_frame_has_a_row_per_crystal(prototypes: Dataset) -> None:
    frame = prototypes.crystals.to_frame()
    assert list(frame.columns) == ["formula", "n_atoms", "volume", "e_form", "gap"]
    assert len(frame) == 828


BAD: list[tuple[dict[str, Any], str]] = [
    ({"positions": [[0, 0, np.nan], [2, 2, 2]]}, "crystal 'b' has a coordinate that is NaN or infinite"),
    ({"positions": [[0, 0, np.inf], [2, 2, 2]]}, "coordinate that is NaN or infinite"),
    ({"cell": CUBE * np.nan}, "cell that is NaN"),
    ({"cell": np.zeros((3, 3))}, "its cell has no volume"),
    ({"numbers": [0, 17]}, "atomic number outside 1-103"),
    ({"numbers": [], "positions": []}, "has no atoms"),
    ({"e": np.inf}, "infinite label for 'e'"),
    ({"id": "a"}, "id 'a' appears more than once"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_unusable_numbers_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    good = crystal([11, 17], [[0, 0, 0], [2, 2, 2]], CUBE, "a", e=1.0)
    with pytest.raises(DataError, match=message):
        Crystals.build([good, {**good, "id": "b", **change}], graph_targets=("e",))


def test_a_missing_label_is_nan() -> None:
    made = Crystals.build([crystal([11], [[0, 0, 0]], CUBE, e=None)], graph_targets=("e",))
    assert np.isnan(made.labels("e")).all()


def test_arrays_that_do_not_fit_are_refused(prototypes: Dataset) -> None:
    with pytest.raises(DataError, match=r"pbc has shape \(1, 3\), expected \(828, 3\)"):
        dataclasses.replace(prototypes.crystals, pbc=np.ones((1, 3), bool)).check()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"), atomic_path(tmp_path / "file" / "x"):
        pass
