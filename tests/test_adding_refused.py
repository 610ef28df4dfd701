"""What is wrong with a person's own data is refused, whole, in one sentence."""

import errno
import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from added_sets import (
    MINE,
    folder,
    our_parquet,
    refused,
    rows,
    table,
    xyz,
)

from gbench.adding import Request, add
from gbench.errors import StorageError

pytestmark = pytest.mark.usefixtures("own_folders")


FOLDERS = [
    ("NaCl,1\nCsCl,2\nMgO,3\n", "LiF.cif: id 'LiF' has no line in id_prop.csv; add `LiF,`"),
    ("NaCl,1\nCsCl,2\nMgO,3\nLiF,4\nKBr,5\n", "id_prop.csv, line 5: there is no structure file for id 'KBr'"),
    ("NaCl,1\nCsCl,2\nMgO,3\nLiF,4\nNaCl,5\n", "id_prop.csv, line 5: id 'NaCl' appears before, in line 1"),
    ("NaCl,1\nCsCl,x\nMgO,3\nLiF,4\n", "id_prop.csv, line 2: the label of 'CsCl' is 'x', expected a number"),
    ("NaCl,1\nCsCl,nan\nMgO,3\nLiF,4\n", "id_prop.csv, line 2: the label of 'CsCl' is 'nan', expected a number"),
    ("NaCl,inf\nCsCl,2\nMgO,3\nLiF,4\n", "id_prop.csv, line 1: the label of 'NaCl' is 'inf'"),
    ("NaCl,1e999\nCsCl,2\nMgO,3\nLiF,4\n", "id_prop.csv, line 1: the label of 'NaCl' is inf; labels are finite"),
    ("NaCl,1_0\nCsCl,2\nMgO,3\nLiF,4\n", "id_prop.csv, line 1: the label of 'NaCl' is '1_0'"),
    ("NaCl,1\nCsCl,2,3\nMgO,3\nLiF,4\n", "id_prop.csv, line 2: 3 columns, expected 2"),
    ("NaCl,\nCsCl,\nMgO,\nLiF,\n", "no row has a value for 'e_form'; there is nothing to learn"),
    ("", "id_prop.csv: the table has no rows"),
    ("id,e_form\n", "id_prop.csv: the table has no rows"),
    ("id,gap,dos\nNaCl,1,2\n", "no column of id_prop.csv 'e_form'; known: dos, gap"),
    ("id,gap,gap\nNaCl,1,2\n", "id_prop.csv, line 1: column 'gap' appears twice"),
    (",1\nNaCl,1\n", "id_prop.csv, line 1: the id is empty"),
    ("NaCl,0,1\nNaCl,2,1\nCsCl,0,1\nMgO,0,1\nLiF,0,1\n", "id_prop.csv, line 2: site 2 does not exist; sites are "
     "counted from 0 and the structure has 2"),
    ("NaCl,0,1\nNaCl,-1,1\n", "id_prop.csv"),
    ("NaCl,0,1\nNaCl,0.5,1\n", "id_prop.csv, line 2: site or image '0.5' is not a whole number"),
    ("NaCl,0,1\nNaCl,0,1\nCsCl,0,1\nMgO,0,1\nLiF,0,1\n", "line 2: site 0 of 'NaCl' has a label before, in line 1"),
    ("NaCl,0,1\nCsCl,0,1\nMgO,0,1\nLiF,0,1\n", "line 1: 3 columns may be a node label or several properties"),
    ("NaCl,1,1,5\nNaCl,0,1,5\nCsCl,0,1,1\nMgO,0,1,1\nLiF,0,1,1\n", "id_prop.csv, line 1: sites 1 and 1 are one atom"),
    ("NaCl,0,1,5\nNaCl,0,9,5\nCsCl,0,1,1\nMgO,0,1,1\nLiF,0,1,1\n", "id_prop.csv, line 2: site 9 does not exist"),
    ("NaCl,0,1,5\nNaCl,0,1,6\nCsCl,0,1,1\nMgO,0,1,1\nLiF,0,1,1\n", "pair 0,1 .* of 'NaCl' has two labels"),
    ('NaCl,"1\n', "id_prop.csv, line 1: not CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "message"), FOLDERS)
def test_label_files_that_do_not_fit_are_refused_with_their_line(labels: str, message: str, tmp_path: Path) -> None:
    refused(folder(tmp_path, labels), message)


def test_folders_that_are_no_dataset_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere: no such file or folder; give a folder of CIF")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "empty: holds no CIF or POSCAR files")
    path = folder(tmp_path)
    (path / "CsCl.vasp").write_text("x")
    refused(path, r"CsCl.cif and CsCl.vasp are both the structure of id 'CsCl'; keep one")
    (path / "CsCl.vasp").unlink()
    cif = (path / "MgO.cif").read_text()
    (path / "MgO.cif").write_text(cif.replace("Mg  ", "Qq  "))
    refused(path, r"MgO.cif: site .*Qq")
    (path / "MgO.cif").write_text("hello")
    refused(path, r"MgO.cif: ")
    (path / "MgO.cif").write_text(cif)
    refused(path, "the label file cannot be read", replace(MINE, labels="nowhere.csv"))
    refused(path, "leave out --id-column", replace(MINE, id_column="x"))
    (path / "id_prop.csv").unlink()
    refused(path, r"holds 4 structures but no id_prop.csv")
    (tmp_path / "set.txt").write_text("x")
    refused(tmp_path / "set.txt", "files of this kind are not read; give")
    refused(xyz(tmp_path), "--labels belongs to a folder", replace(MINE, labels="x.csv"))


def test_poscars_without_symbols_or_whole_cells_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, kind="poscar")
    good = (path / "POSCAR-MgO").read_text().splitlines(keepends=True)
    for change, message in (
        ({5: ""}, "POSCAR-MgO, line 6: expected element symbols"),
        ({5: " Mg Qq\n"}, "POSCAR-MgO, line 6: 'Qq' is not an element"),
        ({8: "x y z\n"}, "POSCAR-MgO: not a POSCAR that can be read"),
        ({2: "0 0 0\n"}, "POSCAR-MgO: the cell is missing, flat or not finite"),
    ):
        (path / "POSCAR-MgO").write_text("".join(change.get(row, line) for row, line in enumerate(good)))
        refused(path, message)


def changed(**values: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Change of the third row of a table."""

    def change(made: list[dict[str, Any]]) -> None:
        made[2] |= values

    return change


TABLES = [
    ({"structure": None}, "split.json.gz, row 2: there is no 'structure'"),
    ({"structure": {"sites": []}}, "row 2: 'MgO' has no atoms"),
    (
        {"structure": {"sites": [{"species": [{"element": "Qq", "occu": 1}], "xyz": [0, 0, 0]}]}},
        "row 2: 'Qq' is not an ",
    ),
    (
        {"structure": {"sites": [{"species": [{"element": "H", "occu": 0.5}], "xyz": [0, 0, 0]}]}},
        "row 2: site 0 is disord",
    ),
    (
        {"structure": {"sites": [{"species": [{"element": "H", "occu": 1}], "xyz": [0, 0]}]}},
        "row 2: the structure cannot",
    ),
    ({"structure": "hello"}, "row 2: the structure is text, but neither JSON nor CIF"),
    ({"structure": 5}, "row 2: the structure is 5; expected a pymatgen"),
    ({"e_form": "big"}, "row 2: 'e_form' of 'MgO' is 'big', expected a number"),
    ({"e_form": {"x": 1}}, r"row 2: 'e_form' of 'MgO' is {'x': 1}, expected a number"),
    ({"e_form": [1, 2]}, r"row 2: 'e_form' of 'MgO' has shape \(2,\), expected one number for a graph target"),
    ({"material_id": "NaCl"}, "row 2: id 'NaCl' appears before, in split.json.gz, row 0"),
    ({"material_id": ""}, "row 2: there is no 'material_id'; every row needs an id"),
]


@pytest.mark.parametrize(("values", "message"), TABLES)
def test_rows_that_do_not_fit_are_refused_by_number(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(table(tmp_path, change=changed(**values)), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"5", "expected a list of rows"),
        (b"[]", "the table has no rows"),
        (b"[5]", "row 0: expected an object"),
        (b'[{"a": 1}]', "no column of structures"),
        (b'{"columns": ["a", "b"], "data": [[1]]}', "row 0: expected 2 values"),
        (b"\x1f\x8b\x08\x00", "truncated or damaged"),
        (gzip.compress(b"[" * 1000)[:-9], "truncated or damaged"),
        (b"\xff\xfe\xfd", "not UTF-8 text"),
        (b'[{"structure": {"@module": "os", "@class": "system", "sites": 1}, "e_form": 1}]', "cannot be read"),
    ],
)
def test_files_that_are_no_table_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "set.json").write_bytes(content)
    refused(tmp_path / "set.json", f"set.json.*{message}")


def test_labels_of_not_a_number_are_refused_and_nulls_are_missing(tmp_path: Path) -> None:
    made = rows()
    made[1]["e_form"] = float("nan")
    (tmp_path / "set.json").write_text(json.dumps(made))
    refused(tmp_path / "set.json", "row 1: 'e_form' of 'CsCl' is nan; labels are finite, and a missing one is left out")
    made[1]["e_form"] = None
    (tmp_path / "set.json").write_text(json.dumps(made))
    assert np.isnan(add(tmp_path / "set.json", MINE).crystals.labels("e_form")).tolist() == [False, True, False, False]


def test_broken_binary_files_are_refused(tmp_path: Path) -> None:
    for name in ("set.db", "set.parquet", "set.xyz"):
        (tmp_path / name).write_bytes(b"not what it says" * 100)
        refused(tmp_path / name, f"{name}.*(not an ASE database|not a Parquet|cannot be read)")
    whole = our_parquet(tmp_path)
    refused(whole, "no target of ours.parquet 'gap'", replace(MINE, target="gap"))
    refused(whole, "is a graph target, not node", replace(MINE, level="node"))
    (tmp_path / "cut.xyz").write_text(xyz(tmp_path).read_text()[:-40])
    refused(tmp_path / "cut.xyz", "cut.xyz, frame 3: cannot be read")


def test_other_databases_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table mine (a int)")
    for content in (path.read_bytes(), b""):
        path.write_bytes(content)
        refused(path, "other.db: not an ASE database")
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (replace(MINE, unit=None), r"the unit of e_form is missing; give --unit, e.g. --unit eV/atom, or --unit 1"),
        (replace(MINE, unit=" "), "the unit of e_form is missing"),
        (replace(MINE, name="a/b"), "--name 'a/b': a name is up to 64 letters"),
        (replace(MINE, name="../x"), "a name is up to"),
        (replace(MINE, name=""), "a name is up to"),
        (replace(MINE, name="pbe_prototypes"), "gbench has a dataset of that name; choose another"),
        (replace(MINE, name="QM9"), "differs from dataset 'qm9' in case alone"),
        (replace(MINE, version="../2"), "--version '../2': a version is up to"),
        (replace(MINE, target=" "), "--target is empty"),
        (replace(MINE, level="node"), "expected one value for each of its 2 sites"),
        (replace(MINE, level="edge"), r"expected pairs \(i, j, value\) for an edge target"),
        (replace(MINE, directed=True), "--directed belongs to edge targets"),
        (replace(MINE, id_column="uid"), "there is no 'uid' to be the id; keys are e_form, id"),
    ],
)
def test_requests_that_do_not_fit_are_refused(request_: Request, message: str, tmp_path: Path) -> None:
    refused(xyz(tmp_path), message, request_)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = xyz(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GBENCH_DATASETS", str(tmp_path / "file" / "datasets"))
    with pytest.raises(StorageError, match="cannot write .*; set GBENCH_DATASETS to another folder"):
        add(path, MINE)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = xyz(tmp_path)
    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(StorageError, match="No space left on device"):
        add(path, MINE)
    monkeypatch.undo()
    assert list((tmp_path / "datasets").iterdir()) == []
