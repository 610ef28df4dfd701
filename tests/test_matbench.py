"""Matbench's tasks are the official ones: ids, folds, labels."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gbench.datasets.matbench_mp_is_metal.load import load as load_is_metal

from gbench.cards import DatasetCard, KFoldSpec, Source
from gbench.crystals import Crystals, IntArray
from gbench.dataset import Dataset, load
from gbench.errors import DataError, FetchError, SplitError
from gbench.fetch import fetch
from gbench.reading import pymatgen_json
from gbench.reading.pymatgen_json import read_table
from gbench.registry import dataset_card, dataset_names
from gbench.splitting import make_spec, make_split
from gbench.splitting.published import rows_sha256

TASKS = [name for name in dataset_names() if name.startswith("matbench_")]
UNREAD = [name for name in TASKS if name != "matbench_phonons"]
FOLDS = "matbench/matbench_v0.1_validation.json"
WHEEL = Source(
    file="matbench-0.6-py3-none-any.whl",
    pypi="matbench==0.6",
    sha256="90b131032c3c2afe37c57b8891efefca05efe2d14296ae1f22445f7ddfb14c01",
    members=(FOLDS,),
)
METALS = 46_151
"""Of 106,113 rows: Matbench's metadata give the fraction 0.43492314796490533."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[IntArray]]:
    """Test rows of each task's folds in the official file."""
    try:
        folder = fetch(WHEEL, tmp_path_factory.mktemp("beside"))
    except FetchError as error:
        pytest.skip(f"needs the wheel of matbench 0.6: {error}")
    splits = json.loads((folder / FOLDS).read_text())["splits"]
    return {
        name: [
            np.array([int(row.rpartition("-")[2]) - 1 for row in splits[name][f"fold_{k}"]["test"]]) for k in range(5)
        ]
        for name in TASKS
    }


def card_only(card: DatasetCard, labels: object = None) -> Dataset:
    """A dataset of as many hydrogen atoms as the card has crystals."""
    n = card.crystals
    given = np.zeros(n) if labels is None else np.asarray(labels, dtype=np.float64)
    return Dataset(
        card,
        Crystals(
            ids=tuple(map(str, range(n))),
            numbers=np.ones(n, np.int16),
            positions=np.zeros((n, 3)),
            cell=np.tile(np.eye(3), (n, 1, 1)),
            pbc=np.ones((n, 3), bool),
            ptr=np.arange(n + 1),
            graph_targets={card.default_target: given},
        ),
    )


def test_all_structure_tasks_are_there() -> None:
    assert len(TASKS) == 9


@pytest.mark.parametrize("name", TASKS)
def test_the_card_pins_the_published_folds(name: str, published: dict[str, list[IntArray]]) -> None:
    official = dataset_card(name).official
    assert official is not None
    assert official.test_sha256 == tuple(rows_sha256(rows) for rows in published[name])
    assert np.array_equal(np.sort(np.concatenate(published[name])), np.arange(dataset_card(name).crystals))


@pytest.mark.parametrize("name", [name for name in TASKS if name != "matbench_mp_is_metal"])
def test_official_folds_are_those_of_the_file(name: str, published: dict[str, list[IntArray]]) -> None:
    dataset = card_only(dataset_card(name))
    for fold, rows in enumerate(published[name]):
        assert np.array_equal(make_split(dataset, make_spec("official", fold=fold)).test, np.sort(rows))


def test_the_folds_of_is_metal_are_a_stratified_deal(published: dict[str, list[IntArray]]) -> None:
    """Without the labels: scikit-learn deals each class from a shuffled sequence of folds that depends on its size
    alone, so the published folds, row by row, must be the two sequences interleaved."""
    name = "matbench_mp_is_metal"
    n = dataset_card(name).crystals
    fold_of_row = np.empty(n, dtype=int)
    for fold, rows in enumerate(published[name]):
        fold_of_row[rows] = fold
    assert interleaved(fold_of_row.tolist(), *dealt(n - METALS, METALS))
    assert not interleaved(fold_of_row.tolist(), *dealt(METALS, n - METALS))


def dealt(first: int, second: int) -> tuple[list[int], list[int]]:
    """The fold of each member of two classes, as ``StratifiedKFold`` deals them."""
    from sklearn.model_selection import StratifiedKFold

    labels = np.repeat([0, 1], [first, second])
    folds = np.empty(len(labels), dtype=int)
    deal = StratifiedKFold(5, shuffle=True, random_state=18012019)
    for fold, (_, test) in enumerate(deal.split(labels, labels)):
        folds[test] = fold
    return folds[:first].tolist(), folds[first:].tolist()


def interleaved(whole: list[int], one: list[int], other: list[int]) -> bool:
    """Whether ``whole`` is the two sequences, each in its order."""
    taken = {0}
    for row, fold in enumerate(whole):
        from_one = {i + 1 for i in taken if i < len(one) and one[i] == fold}
        from_other = {i for i in taken if row - i < len(other) and other[row - i] == fold}
        taken = from_one | from_other
    return taken == {len(one)}


def test_folds_that_scikit_learn_deals_otherwise_are_refused() -> None:
    card = dataset_card("matbench_mp_is_metal")
    labels = np.arange(card.crystals) % 2
    with pytest.raises(SplitError, match="fold 0 as scikit-learn deals it here is not the published one"):
        make_split(card_only(card, labels), make_spec("official", fold=0))


def test_stratified_folds_keep_the_share_of_a_class() -> None:
    card = dataset_card("matbench_mp_is_metal")
    spec = KFoldSpec(n_splits=5, random_state=1, stratified=True, source="here")
    small = card.model_copy(update={"crystals": 1000, "official": spec})
    labels = (np.arange(1000) % 10 == 0).astype(float)
    for fold in range(5):
        split = make_split(card_only(small, labels), make_spec("official", fold=fold))
        assert labels[split.test].sum() == 20


@pytest.mark.parametrize("name", UNREAD)
def test_a_file_that_cannot_be_had_says_where_it_was_sought(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path))
    with pytest.raises(FetchError, match=rf"{name}.json.gz: the mirror .* lacks it"):
        load(name, download=False)
    assert dataset_card(name).content_sha256 is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(table: Any) -> Path:
        path = tmp_path / "matbench_mp_is_metal.json.gz"
        path.write_bytes(gzip.compress(table if isinstance(table, bytes) else json.dumps(table).encode()))
        return path

    return written


def structure(symbol: str = "Fe", occupancy: float = 1) -> dict[str, Any]:
    species = [{"element": symbol, "occu": occupancy}]
    cell = [[2.0, 0, 0], [0, 3.0, 0], [0.5, 0, 4.0]]
    return {"lattice": {"matrix": cell}, "sites": [{"species": species, "abc": [0.5, 0.5, 0.5], "label": symbol}]}


def table(*rows: list[Any]) -> dict[str, Any]:
    return {"index": list(range(len(rows))), "columns": ["structure", "is_metal"], "data": list(rows)}


@pytest.mark.parametrize("block", [1, 7, 2**22])
def test_a_table_is_read_whatever_the_size_of_its_blocks(
    write: Write, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pymatgen_json, "BLOCK", block)
    crystals = load_is_metal([write(table([structure(), True], [structure("O"), False], [structure("Lr"), None]))])
    assert crystals.ids == ("mb-mp-is-metal-000001", "mb-mp-is-metal-000002", "mb-mp-is-metal-000003")
    assert crystals.numbers.tolist() == [26, 8, 103]
    assert crystals.positions[0].tolist() == [1.25, 1.5, 2.0]
    labels = crystals.labels("is_metal")
    assert labels[:2].tolist() == [1, 0]
    assert np.isnan(labels[2])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (table([structure(), "yes"]), "crystal 'mb-mp-is-metal-000001' has the label 'yes', not a number"),
        (table([structure(), True], [structure("Fe", 0.5), True]), "'mb-mp-is-metal-000002' has a disordered site Fe"),
        (table([structure("Xx"), True]), r"'mb-mp-is-metal-000001' is not an ordered pymatgen structure .*KeyError"),
        (table([{"sites": []}, True]), "is not an ordered pymatgen structure"),
        (table([3, True]), "is not an ordered pymatgen structure"),
        (table([structure()]), "a row of the table does not have the 2 columns"),
        (table(), "there is no crystal to build from"),
        ({"columns": ["structure", "gap"], "data": []}, r"columns are \['structure', 'gap'\], expected structure"),
        ({"data": []}, "columns are None"),
        ({"columns": []}, "holds no data"),
        ([], r"not the JSON of a table \('\[' where one of '{' belongs\)"),
        (b"", "the table ends too early"),
        (b'{"columns": ["structure", "is_metal"], "data": [[', "not the JSON of a table"),
    ],
)  # fmt: skip
def test_tables_of_another_shape_are_refused(write: Write, content: Any, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load_is_metal([write(content)])
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(write: Write) -> None:
    path = write(table([structure(), True]))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"matbench_mp_is_metal.json.gz: cannot be unpacked"):
        load_is_metal([path])


def test_phonons_read_by_the_shared_reader_are_the_published_content(mirror: Path) -> None:
    crystals = read_table(
        mirror / "matbench_phonons.json.gz", "mb-phonons-{:04d}", "last phdos peak", "last_phdos_peak"
    )
    assert crystals.sha256() == dataset_card("matbench_phonons").content_sha256
