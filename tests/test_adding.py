"""A person's own data: every format reads the same, and what was read can be used."""

import gzip
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from added_sets import FORMATS, LABELS, MINE, NAMES, folder, frames, table, xyz
from ase import Atoms

from gbench.added import remove
from gbench.adding import Request, add
from gbench.content import user_datasets
from gbench.dataset import load
from gbench.errors import DataError, UnknownNameError
from gbench.registry import dataset_card, dataset_names

pytestmark = pytest.mark.usefixtures("own_folders")


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


def test_any_name_of_a_file_is_read_and_it_may_be_packed(tmp_path: Path) -> None:
    plain = xyz(tmp_path)
    (tmp_path / "a@1 b.xyz").write_bytes(plain.read_bytes())
    assert len(add(tmp_path / "a@1 b.xyz", MINE).crystals) == 4
    (tmp_path / "set.xyz.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert len(add(tmp_path / "set.xyz.gz", replace(MINE, name="packed")).crystals) == 4


def test_what_was_added_can_be_removed_and_nothing_else(tmp_path: Path) -> None:
    added = add(xyz(tmp_path), MINE)
    assert remove("mine") == added.folder
    assert list(user_datasets().iterdir()) == []
    with pytest.raises(UnknownNameError, match="no dataset 'mine'"):
        remove("mine")
    with pytest.raises(DataError, match="comes with gbench and stays"):
        remove("pbe_prototypes")
