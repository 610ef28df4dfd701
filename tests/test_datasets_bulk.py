"""The datasets of crystals and slabs are what their cards say, and what pymatgen reads."""

import csv
import io
import re
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from available import loaded
from gbench.datasets.mp36k.load import load as load_mp36k
from gbench.datasets.slabs_cleavage.load import free_standing
from gbench.datasets.slabs_cleavage.load import load as load_slabs
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser

from gbench import dataset as dataset_module
from gbench.archives import tree_sha256
from gbench.audit.facts import Facts, Parts
from gbench.audit.shift import composition_distance
from gbench.content import content, entries
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.errors import DataError
from gbench.evaluate import independent_groups
from gbench.fetch import fetch
from gbench.reading.parallel import Structures
from gbench.registry import dataset_card, dataset_folder

SAMPLE = 60
NAMES = ("mp36k", "perov5_7k", "carbon24_4k", "slabs_cleavage")
CIF_TREE = "c7e574c61fbeb73535580c217f2e5f2fb8266f3ce111530b2830bfc1d46f3172"
"""Published hash of mp36k's CIFs."""


def sources(name: str) -> list[Path]:
    loaded(name)
    return [fetch(source, dataset_folder(name)) for source in dataset_card(name).sources]


def published_cifs(name: str, wanted: set[str]) -> Iterator[tuple[str, str]]:
    """Id and CIF text of rows, straight from the files."""
    files = sources(name)
    if name == "mp36k":
        rows = csv.reader(io.StringIO((files[0] / "material_id_hash.csv").read_text()))
        yield from ((key, (files[0] / f"{row}.cif").read_text()) for row, key in rows if key in wanted)
    elif name == "slabs_cleavage":
        yield from ((key, (files[0] / f"{key}.cif").read_text()) for key in wanted)
    else:
        prefix = "perov5-" if name == "perov5_7k" else ""
        for path in files:
            for row in csv.DictReader(io.StringIO(path.read_text())):
                if prefix + row["material_id"] in wanted:
                    yield prefix + row["material_id"], row["cif"]


def by_pymatgen(text: str) -> Structure:
    with warnings.catch_warnings():
        # about rounded coordinates
        warnings.simplefilter("ignore")
        # no atoms merged, no coordinates moved to special positions
        structures = CifParser.from_str(text, site_tolerance=1e-10, frac_tolerance=0).parse_structures(primitive=False)
    return structures[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_read_as_pymatgen_reads_it(name: str, rng: np.random.Generator) -> None:
    dataset = loaded(name)
    sample = set(rng.choice(dataset.crystals.ids, SAMPLE, replace=False).tolist())
    seen = 0
    for key, text in published_cifs(name, sample):
        ours, theirs = dataset.crystals.to_pymatgen(dataset.row_of_id[key]), by_pymatgen(text)
        assert isinstance(ours, Structure)
        # 20 Å of vacuum: what is nearer than 15 Å is so in the plane
        slab = name == "slabs_cleavage"
        assert ours.lattice.pbc == (True, True, not slab)
        same_distances(ours, theirs, within=15.0 if slab else np.inf)
        sizes = slice(2 if slab else 3)
        assert ours.lattice.lengths[sizes] == pytest.approx(theirs.lattice.lengths[sizes], abs=1e-6)
        seen += 1
    assert seen == SAMPLE


def same_distances(ours: Structure, theirs: Structure, within: float) -> None:
    """The same distances between the same species, in whatever order."""
    assert sorted(ours.atomic_numbers) == sorted(theirs.atomic_numbers)
    for pair in {(min(pair), max(pair)) for pair in product(ours.atomic_numbers, repeat=2)}:
        mine, other = between(ours, pair), between(theirs, pair)
        near = other < within
        assert mine[near] == pytest.approx(other[near], abs=1e-5)


def between(structure: Structure, pair: tuple[int, int]) -> NDArray[np.float64]:
    """Distances of the atoms of one element to those of another, in ascending order."""
    numbers = np.array(structure.atomic_numbers)
    return np.sort(structure.distance_matrix[numbers == pair[0]][:, numbers == pair[1]], axis=None)


@pytest.mark.parametrize("name", NAMES)
def test_the_description_counts_right(name: str) -> None:
    dataset = loaded(name)
    crystals = dataset.crystals
    text = f"{dataset.card.title} {dataset.card.description} {dataset.card.near_duplicates}"
    assert f"{len(crystals):,}" in text
    elements = len(set(crystals.numbers.tolist()))
    assert f"{elements} elements" in text or (elements == 1 and "One composition" in text)
    assert dataset.crystals.sha256() == dataset.card.content_sha256
    for target, values in crystals.graph_targets.items():
        said = re.search(r"mean (-?[\d.]*\d)", dataset.card.targets[target].description)
        assert said is None or float(said[1]) == pytest.approx(np.nanmean(values), abs=0.005)


def test_the_cifs_of_mp36k_are_the_published_tree() -> None:
    assert tree_sha256(sources("mp36k")[0], "*.cif") == CIF_TREE


def test_what_the_errata_of_mp36k_say_is_so() -> None:
    dataset = loaded("mp36k")
    missing, low, high, lonely = dataset.card.errata
    fermi, e_form = dataset.labels("fermi"), dataset.labels("e_form")
    assert {dataset.crystals.ids[row] for row in np.flatnonzero(np.isnan(fermi))} == set(missing.ids)
    assert {dataset.crystals.ids[row] for row in np.flatnonzero(e_form < -4.53)} == set(low.ids)
    assert e_form[dataset.row_of_id[high.ids[0]]] == e_form.max()
    for key in lonely.ids:
        structure = dataset.crystals.to_pymatgen(dataset.row_of_id[key])
        assert isinstance(structure, Structure)
        assert min(len(near) for near in structure.get_all_neighbors(5.0)) == 0


def test_every_slab_has_vacuum_and_is_whole() -> None:
    crystals = loaded("slabs_cleavage").crystals
    normal = np.cross(crystals.cell[:, 0], crystals.cell[:, 1])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    height = (crystals.positions * normal[crystals.crystal_of_atom]).sum(axis=1)
    for start, stop in zip(crystals.ptr[:-1], crystals.ptr[1:], strict=True):
        layers = np.sort(height[start:stop])
        assert np.diff(layers).max() < 6


def test_a_slab_across_the_face_of_its_cell_is_made_whole() -> None:
    cell = np.diag([4.0, 4.0, 40.0])[None]
    positions = np.array([[0, 0, 38.0], [2, 2, 1.0], [0, 0, 43.0]])
    structures = Structures(np.full(3, 29, np.int16), positions, cell, np.array([0, 3]))
    whole = free_standing(structures, ["Cu"])
    assert np.sort(whole.positions[:, 2]).tolist() == [-2, 1, 3]
    with pytest.raises(DataError, match="slab 'Cu' has 3.0 Å of vacuum"):
        free_standing(structures._replace(cell=np.diag([4.0, 4.0, 8.0])[None]), ["Cu"])


@pytest.mark.parametrize("name", NAMES)
def test_a_second_load_reads_the_cache(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = loaded(name)
    monkeypatch.setenv("GBENCH_MIRROR", "/nowhere")
    assert load(name, download=False).crystals.sha256() == first.sha256


def small_tree(folder: Path) -> list[Path]:
    """Two rows of mp36k and their tables."""
    folder.mkdir()
    cell = "".join(f"_cell_length_{axis} 3\n" for axis in "abc") + "".join(
        f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma")
    )
    atoms = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nFe1 0 0 0\n"
    for row in range(2):
        (folder / f"{row}.cif").write_text(f"data_x\n{cell}_space_group_name_H-M_alt 'P 1'\n{atoms}")
    (folder / "material_id_hash.csv").write_text("0,mp-1\n1,mp-2\n")
    (folder / "id_prop.csv").write_text("0,0.5\n1,-0.5\n")
    more = folder.parent / "more.csv"
    more.write_text("0,0.5,1,2,27,0\n1,-0.5,0,None,27,0\n")
    return [folder, more]


def test_a_small_tree_of_mp36k_is_read(tmp_path: Path) -> None:
    crystals = load_mp36k(small_tree(tmp_path / "tree"))
    assert crystals.ids == ("mp-1", "mp-2")
    assert crystals.labels("e_form").tolist() == [0.5, -0.5]
    assert np.isnan(crystals.labels("fermi")).tolist() == [False, True]


@pytest.mark.parametrize(
    ("file", "text", "match"),
    [
        ("tree/material_id_hash.csv", "0,mp-1\n1,mp-1\n", "hash.csv, line 2: id 'mp-1' stands on line 1 too"),
        ("tree/material_id_hash.csv", "0,mp-1\n", r"id_prop.csv: 2 rows, expected 1"),
        ("tree/id_prop.csv", "0,0.5\n1,0.5\n", "more.csv, line 2: e_form is not that of id_prop.csv, line 2"),
        ("tree/id_prop.csv", "0,0.5\n1,much\n", "id_prop.csv, line 2: e_form is 'much', not a number"),
        ("tree/id_prop.csv", "0,0.5\n2,-0.5\n", "id_prop.csv, line 2: row '2' where '1' belongs"),
        ("more.csv", "0,0.5,1,2\n", "more.csv, line 1: 4 columns, expected 6"),
        ("tree/2.cif", "data_x\n", "tree: structure '2' has no line in material_id_hash.csv"),
        ("tree/1.cif", "data_x\n", "1.cif: has no cell"),
    ],
)  # fmt: skip
def test_a_damaged_tree_of_mp36k_is_refused(tmp_path: Path, file: str, text: str, match: str) -> None:
    files = small_tree(tmp_path / "tree")
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=match):
        load_mp36k(files)


def test_an_id_without_a_structure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "id_prop.csv").write_text("Cu_111,0.1\n")
    with pytest.raises(DataError, match=r"id_prop.csv, line 1: id 'Cu_111' has no structure in "):
        load_slabs([tmp_path])


@pytest.mark.parametrize("name", entries("datasets"))
def test_the_table_of_datasets_says_what_the_card_says(name: str) -> None:
    card = dataset_card(name)
    lines = (content("datasets") / "README.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"| [`{name}`]({name}/card.yaml)"))
    assert f"| {card.crystals:,} |" in line
    assert f"| `{card.default_split}` |" in line
    for target, described in card.targets.items():
        assert f"`{target}`" in line
        assert described.unit == "1" or f"({described.unit})" in line


def test_a_set_of_one_composition_has_a_shift_and_intervals(rng: np.random.Generator) -> None:
    carbon = loaded("carbon24_4k")
    few = Dataset(carbon.card, carbon.crystals.take(np.sort(rng.choice(len(carbon.crystals), 50, replace=False))))
    parts = Parts(train=np.arange(30), val=np.arange(30, 40), test=np.arange(40, 50))
    assert composition_distance(Facts(few), parts).ratio == 1
    assert len(np.unique(independent_groups(few.crystals))) == 50


def test_a_loader_that_fails_leaves_no_part_of_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded("carbon24_4k")
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path))

    def half_way(files: list[Path]) -> Crystals:
        raise DataError(f"{files[0].name}, line 7: unusable")

    monkeypatch.setattr(dataset_module, "loader", lambda _: half_way)
    with pytest.raises(DataError, match=r"val.csv, line 7: unusable"):
        load("carbon24_4k")
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob(".*"))
