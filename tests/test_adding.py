"""A person's own data: every format reads the same, and what is wrong is refused, whole, in one sentence."""

import errno
import gzip
import json
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbench.added import remove
from gbench.adding import Added, Request, add
from gbench.content import user_datasets
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.errors import DataError, GbenchError, StorageError, UnknownNameError
from gbench.registry import dataset_card, dataset_names

NAMES = ("NaCl", "CsCl", "MgO", "LiF")
LABELS = (-2.1, -2.25, -3.0, 0.0)
CELLS = (5.64, 4.12, 4.21, 4.03)
MINE = Request(name="mine", target="e_form", unit="eV/atom")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GBENCH_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    dataset_card.cache_clear()
    yield
    dataset_card.cache_clear()


def frames() -> list[Atoms]:
    """Four crystals of two atoms."""
    made = []
    for name, edge in zip(NAMES, CELLS, strict=True):
        atoms = Atoms(name, positions=[[0, 0, 0], [edge / 2] * 3], cell=[edge] * 3, pbc=True)
        made.append(atoms)
    return made


@cache
def structures_text() -> str:
    crystals = Crystals.build(
        [
            {"id": name, "numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array}
            for name, atoms in zip(NAMES, frames(), strict=True)
        ]
    )
    return json.dumps([crystals.to_pymatgen(row).as_dict() for row in range(len(NAMES))])


def rows() -> list[dict[str, Any]]:
    return [
        {"material_id": name, "structure": structure, "e_form": label}
        for name, structure, label in zip(NAMES, json.loads(structures_text()), LABELS, strict=True)
    ]


def folder(place: Path, labels: str | None = None, kind: str = "cif") -> Path:
    """Structures with ``id_prop.csv``."""
    path = place / "set"
    path.mkdir()
    for name, atoms in zip(NAMES, frames(), strict=True):
        if kind == "cif":
            ase.io.write(path / f"{name}.cif", atoms)
        elif kind == "poscar":
            ase.io.write(path / f"POSCAR-{name}", atoms, format="vasp")
        else:
            (path / name).mkdir()
            ase.io.write(path / name / "POSCAR", atoms, format="vasp")
    if labels is None:
        labels = "".join(f"{name},{label}\n" for name, label in zip(NAMES, LABELS, strict=True))
    (path / "id_prop.csv").write_text(labels)
    return path


def xyz(place: Path, change: Callable[[int, Atoms], None] = lambda row, atoms: None) -> Path:
    path, made = place / "set.xyz", frames()
    for row, atoms in enumerate(made):
        atoms.info |= {"id": NAMES[row], "e_form": LABELS[row]}
        change(row, atoms)
    ase.io.write(path, made, format="extxyz")
    return path


def database(place: Path) -> Path:
    path = place / "set.db"
    database = ase.db.connect(path)
    for name, label, atoms in zip(NAMES, LABELS, frames(), strict=True):
        database.write(atoms, e_form=label, material_id=name)
    return path


def table(
    place: Path, orient: Any = "split", change: Callable[[list[dict[str, Any]]], None] = lambda rows: None
) -> Path:
    path, made = place / f"{orient}.json.gz", rows()
    change(made)
    pd.DataFrame(made).to_json(path, orient=orient)
    return path


def lines(place: Path) -> Path:
    path = place / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


def frame_parquet(place: Path) -> Path:
    path = place / "set.parquet"
    frame = pd.DataFrame(rows())
    frame.assign(structure=[json.dumps(structure) for structure in frame.structure]).to_parquet(path)
    return path


def our_parquet(place: Path) -> Path:
    path = place / "ours.parquet"
    records = [
        {"id": name, "numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array, "e_form": label}
        for name, atoms, label in zip(NAMES, frames(), LABELS, strict=True)
    ]
    Crystals.build(records, graph_targets=("e_form",)).write(path)
    return path


FORMATS: dict[str, Callable[[Path], Path]] = {
    "CIF folder": folder,
    "POSCAR folder": lambda place: folder(place, kind="poscar"),
    "folder of folders": lambda place: folder(place, kind="folders"),
    "extended XYZ": xyz,
    "ASE database": database,
    "split": lambda place: table(place, "split"),
    "records": lambda place: table(place, "records"),
    "columns": lambda place: table(place, "columns"),
    "index": lambda place: table(place, "index"),
    "lines": lines,
    "Parquet": frame_parquet,
    "our Parquet": our_parquet,
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_reads_the_same_crystals(kind: str, tmp_path: Path) -> None:
    added = add(FORMATS[kind](tmp_path), MINE)
    crystals = load("mine").crystals
    assert crystals.ids == NAMES
    assert crystals.labels("e_form").tolist() == pytest.approx(LABELS)
    assert crystals.pbc.all()
    for row, atoms in enumerate(frames()):
        read = crystals.to_ase(row)
        assert read.numbers.tolist() == atoms.numbers.tolist()
        assert np.sort(read.cell.lengths()) == pytest.approx(np.sort(atoms.cell.lengths()))
        assert read.get_distance(0, 1, mic=True) == pytest.approx(atoms.get_distance(0, 1, mic=True))
    assert added.card.targets["e_form"].level == "graph"
    assert added.card.crystals == 4


def test_a_dataset_is_one_file_and_a_card_that_states_what_is_known(tmp_path: Path) -> None:
    request = replace(MINE, licence="CC0-1.0", citation="Me, 2026", doi="10.1/x", method={"code": "VASP"})
    added = add(xyz(tmp_path), request)
    assert sorted(path.name for path in added.folder.iterdir()) == ["card.yaml", "crystals-1.parquet"]
    assert [path.name for path in user_datasets().iterdir()] == ["mine"]
    card = dataset_card("mine")
    assert (card.licence, card.citation.text, card.citation.doi) == ("CC0-1.0", "Me, 2026", "10.1/x")
    assert card.targets["e_form"].method == {"code": "VASP"}
    assert card.content_sha256 == load("mine").crystals.sha256()
    assert "mine" in dataset_names()
    assert add(xyz(tmp_path), replace(MINE, name="bare")).card.targets["e_form"].method == {"source": "not stated"}


def test_a_new_version_stands_beside_the_old_one(tmp_path: Path) -> None:
    first = add(xyz(tmp_path), MINE)
    data = (first.folder / "crystals-1.parquet").read_bytes()

    def move(row: int, atoms: Atoms) -> None:
        atoms.info["e_form"] += 1

    with pytest.raises(DataError, match=r"mine@1 exists, and a version never changes; give --version 2"):
        add(xyz(tmp_path, move), MINE)
    second = add(xyz(tmp_path, move), replace(MINE, version="2"))
    assert load("mine").card.version == "2"
    assert load("mine").labels("e_form").tolist() == pytest.approx([label + 1 for label in LABELS])
    assert (second.folder / "crystals-1.parquet").read_bytes() == data
    assert "version: '1'" in (second.folder / "card-1.yaml").read_text()
    with pytest.raises(DataError, match=r"mine@1 exists.*--version 3"):
        add(xyz(tmp_path), MINE)


def test_an_empty_value_is_a_missing_label(tmp_path: Path) -> None:
    labels = add(folder(tmp_path, "NaCl,-2\nCsCl,\nMgO,3\nLiF,4\n"), MINE).crystals.labels("e_form")
    assert np.array_equal(labels, [-2, np.nan, 3, 4], equal_nan=True)


class TestLevels:
    def test_node_labels_belong_to_sites(self, tmp_path: Path) -> None:
        added = add(folder(tmp_path, "NaCl,0,1.5\nNaCl,1,-1.5\nCsCl,1,0.5\nMgO,0,\nLiF,0,2\n"), MINE)
        values = added.crystals.labels("e_form")
        assert added.card.targets["e_form"].level == "node"
        assert np.array_equal(values, [1.5, -1.5, np.nan, 0.5, np.nan, np.nan, 2, np.nan], equal_nan=True)

    def test_edge_labels_belong_to_pairs(self, tmp_path: Path) -> None:
        text = "id,i,j,a,b,c,hop\nNaCl,0,1,0,0,0,0.3\nNaCl,0,0,1,0,0,0.4\nCsCl,0,1,-1,0,0,0.5\nMgO,0,1,0,0,0,\n"
        added = add(folder(tmp_path, text + "LiF,1,0,0,0,0,1\n"), replace(MINE, target="hop", unit="eV"))
        assert added.card.targets["hop"].level == "edge"
        assert not added.card.targets["hop"].directed
        crystals = added.crystals
        assert crystals.pairs.tolist() == [[0, 1], [0, 0], [2, 3], [4, 5], [7, 6]]
        assert crystals.pair_image[:3].tolist() == [[0, 0, 0], [1, 0, 0], [-1, 0, 0]]
        assert np.array_equal(crystals.labels("hop"), [0.3, 0.4, 0.5, np.nan, 1], equal_nan=True)

    def test_pairs_with_two_labels_are_directed(self, tmp_path: Path) -> None:
        def hop(row: list[dict[str, Any]]) -> None:
            for each in row:
                each["e_form"] = [[0, 1, 0.25], [1, 0, 0.5]]

        assert add(table(tmp_path, "records", hop), MINE).card.targets["e_form"].directed
        with pytest.raises(DataError, match="leave out --undirected"):
            add(table(tmp_path, "records", hop), replace(MINE, name="other", directed=False))

    def test_a_crystal_may_have_no_labelled_pair(self, tmp_path: Path) -> None:
        def few(made: list[dict[str, Any]]) -> None:
            for count, row in enumerate(made):
                row["e_form"] = [[0, 1, 0.5]] * (count > 0)

        crystals = add(table(tmp_path, "records", few), MINE).crystals
        assert crystals.crystal_of_pair.tolist() == [1, 2, 3]
        assert len(load("mine").crystals.pairs) == 3

    def test_site_properties_and_arrays_are_node_labels(self, tmp_path: Path) -> None:
        def charge(row: int, atoms: Atoms) -> None:
            atoms.arrays["q"] = np.array([1.0, np.nan if row else -1.0])

        added = add(xyz(tmp_path, charge), replace(MINE, target="q", unit="e"))
        assert np.isnan(added.crystals.labels("q")).sum() == 3

        def properties(made: list[dict[str, Any]]) -> None:
            for row in made:
                for site in row["structure"]["sites"]:
                    site["properties"] = {"magmom": 2.0}

        added = add(table(tmp_path, change=properties), Request(name="m", target="magmom", unit="mu_B"))
        assert added.card.targets["magmom"].level == "node"

    def test_molecules_and_slabs_keep_their_axes(self, tmp_path: Path) -> None:
        def cut(row: int, atoms: Atoms) -> None:
            atoms.pbc = [(True, True, True), (True, True, False), (False,) * 3, (False, False, True)][row]

        crystals = add(xyz(tmp_path, cut), MINE).crystals
        assert crystals.pbc.sum(axis=1).tolist() == [3, 2, 0, 1]
        assert (crystals.cell[~crystals.pbc] == 0).all()
        assert (np.abs(crystals.cell[crystals.pbc]).sum(axis=1) > 0).all()

    def test_classes_are_true_and_false_or_asked_for(self, tmp_path: Path) -> None:
        def metal(made: list[dict[str, Any]]) -> None:
            for count, row in enumerate(made):
                row |= {"metal": count > 1, "flag": count % 2}

        path = table(tmp_path, change=metal)
        assert add(path, Request(name="a", target="metal", unit="1")).card.targets["metal"].task == "classification"
        plain = add(path, Request(name="b", target="flag", unit="1"))
        assert plain.card.targets["flag"].task == "regression"
        assert any("--task classification" in note for note in plain.notes)
        with pytest.raises(DataError, match="the label -2.1; classes are 0 and 1"):
            add(path, Request(name="c", target="e_form", task="classification"))
        with pytest.raises(DataError, match="classes have no unit"):
            add(path, Request(name="c", target="flag", unit="eV", task="classification"))


class TestMethods:
    @staticmethod
    def mixed(row: int, atoms: Atoms) -> None:
        atoms.info["functional"] = "SCAN" if row == 3 else "PBE"

    def test_a_target_of_two_methods_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError,
            match=r"'e_form' mixes calculation methods \(functional: PBE 3, SCAN 1\); keep one with --where",
        ):
            add(xyz(tmp_path, self.mixed), MINE)

    def test_the_rows_of_one_method_are_kept_and_the_card_says_which(self, tmp_path: Path) -> None:
        added = add(xyz(tmp_path, self.mixed), replace(MINE, where={"functional": "PBE"}))
        assert len(added.crystals) == 3
        assert added.card.targets["e_form"].method == {"functional": "PBE"}
        with pytest.raises(DataError, match="no row has functional=LDA; the values are PBE, SCAN"):
            add(xyz(tmp_path, self.mixed), replace(MINE, name="x", where={"functional": "LDA"}))
        with pytest.raises(UnknownNameError, match="did you mean 'functional'"):
            add(xyz(tmp_path, self.mixed), replace(MINE, name="x", where={"functionl": "PBE"}))


def test_the_only_property_needs_no_name_and_a_wrong_one_is_corrected(tmp_path: Path) -> None:
    assert add(table(tmp_path), replace(MINE, target=None)).card.default_target == "e_form"
    with pytest.raises(UnknownNameError, match=r"no property of split.json.gz 'e_from'; did you mean 'e_form'\?"):
        add(table(tmp_path), replace(MINE, name="x", target="e_from"))
    renamed = add(table(tmp_path), replace(MINE, name="y", target="energy", column="e_form"))
    assert renamed.card.default_target == "energy"


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("a pickle was opened",))

    for name in ("set.pkl", "set.json", "set.parquet"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(DataError, match=f"{name}: is a pickle.*to_json"):
            add(tmp_path / name, MINE)


def refused(path: Path, message: str, request: Request = MINE) -> None:
    """Held to: one sentence, and nothing on disk."""
    with pytest.raises(GbenchError, match=message) as caught:
        add(path, request)
    assert "\n" not in str(caught.value)
    assert not [entry for entry in user_datasets().rglob("*") if entry.is_file()]


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


def test_any_name_of_a_file_is_read_and_it_may_be_packed(tmp_path: Path) -> None:
    plain = xyz(tmp_path)
    (tmp_path / "a@1 b.xyz").write_bytes(plain.read_bytes())
    assert len(add(tmp_path / "a@1 b.xyz", MINE).crystals) == 4
    (tmp_path / "set.xyz.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert len(add(tmp_path / "set.xyz.gz", replace(MINE, name="packed")).crystals) == 4


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


def test_what_was_added_can_be_removed_and_nothing_else(tmp_path: Path) -> None:
    added = add(xyz(tmp_path), MINE)
    assert remove("mine") == added.folder
    assert list(user_datasets().iterdir()) == []
    with pytest.raises(UnknownNameError, match="no dataset 'mine'"):
        remove("mine")
    with pytest.raises(DataError, match="comes with gbench and stays"):
        remove("pbe_prototypes")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every part of a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=JSON)
def test_any_change_of_a_table_is_read_or_refused(data: st.DataObject, value: Any, tmp_path: Path) -> None:
    made: Any = rows()
    *way, last = data.draw(st.sampled_from([path for path in places(made) if path]))
    part = made
    for key in way:
        part = part[key]
    part[last] = value
    (tmp_path / "set.json").write_text(json.dumps(made))
    dataset_card.cache_clear()
    try:
        add(tmp_path / "set.json", MINE)
    except GbenchError as error:
        assert "\n" not in str(error)
        assert not [entry for entry in user_datasets().rglob("*") if entry.is_file()]
    else:
        load("mine")
        remove("mine")


FIELD = st.one_of(
    st.sampled_from(
        ["NaCl", "CsCl", "MgO", "LiF", "id", "i", "j", "site", "value", "0", "1", "-1", "nan", "", '"', "1e400"]
    ),
    st.text(max_size=5),
)
TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.lists(FIELD, min_size=1, max_size=7), max_size=8).map(lambda rows: "\n".join(map(",".join, rows))),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_any_label_file_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    path = place / "set"
    path.mkdir()
    for name, atoms in zip(NAMES, frames(), strict=True):
        ase.io.write(path / f"POSCAR-{name}", atoms, format="vasp")
    (path / "id_prop.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GBENCH_DATASETS", str(place / "datasets"))
        dataset_card.cache_clear()
        try:
            added: Added = add(path, MINE)
        except GbenchError as error:
            assert "\n" not in str(error)
            assert not [entry for entry in (place / "datasets").rglob("*") if entry.is_file()]
        else:
            assert isinstance(load("mine"), Dataset)
            assert len(added.crystals) == 4
        dataset_card.cache_clear()
