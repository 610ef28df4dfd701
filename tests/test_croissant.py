"""Cards as Croissant: MLCommons' own library accepts each, and reads the data of those that are our Parquet."""

import json
import logging
from pathlib import Path
from typing import Any

import mlcroissant  # type: ignore[import-untyped]
import numpy as np
import pytest

from gbench.bibtex import bibtex, year_of
from gbench.cards import Citation
from gbench.croissant import croissant
from gbench.dataset import Dataset
from gbench.registry import dataset_card, dataset_folder, dataset_names

# mlcroissant's own use of rdflib and pandas
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame"),
]


@pytest.mark.parametrize("name", dataset_names())
def test_every_card_is_valid_croissant(name: str, caplog: pytest.LogCaptureFixture) -> None:
    card = dataset_card(name)
    with caplog.at_level(logging.WARNING):
        metadata = mlcroissant.Dataset(jsonld=croissant(card)).metadata
    assert [record.getMessage() for record in caplog.records] == []
    assert metadata.name == name
    assert metadata.version == card.version
    assert metadata.license
    files: dict[str, Any] = {file.id: file for file in metadata.distribution}
    for source in card.sources:
        file = files[source.file.removeprefix("../")]
        assert file.sha256 == source.identity
        assert file.content_url


@pytest.mark.parametrize("name", dataset_names())
def test_every_target_stands_in_it_with_level_and_unit(name: str) -> None:
    card = dataset_card(name)
    (targets,) = (part for part in croissant(card)["recordSet"] if part["name"] == "targets")
    found = {row["targets/target"]: row for row in targets["data"]}
    assert found.keys() == card.targets.keys()
    for target, said in card.targets.items():
        row = found[target]
        assert (row["targets/level"], row["targets/unit"], row["targets/task"]) == (said.level, said.unit, said.task)


def test_mlcroissant_reads_ids_structures_and_labels(prototypes: Dataset, tmp_path: Path) -> None:
    (tmp_path / "crystals.parquet").symlink_to(dataset_folder("pbe_prototypes") / "crystals.parquet")
    (tmp_path / "croissant.json").write_text(json.dumps(croissant(prototypes.card)))
    records: list[dict[str, Any]] = list(
        mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json")).records("crystals")
    )
    crystals = prototypes.crystals
    assert [record["crystals/id"].decode() for record in records] == list(crystals.ids)
    assert [record["crystals/e_form"] for record in records] == crystals.labels("e_form").tolist()
    assert np.concatenate([record["crystals/hirshfeld"] for record in records]) == pytest.approx(
        crystals.labels("hirshfeld")
    )
    assert np.concatenate([record["crystals/numbers"] for record in records]).tolist() == crystals.numbers.tolist()


def test_a_changed_file_is_not_read(prototypes: Dataset, tmp_path: Path) -> None:
    data = (dataset_folder("pbe_prototypes") / "crystals.parquet").read_bytes()
    made = croissant(prototypes.card)
    made["distribution"][0]["sha256"] = "0" * 64
    (tmp_path / "crystals.parquet").write_bytes(data)
    (tmp_path / "croissant.json").write_text(json.dumps(made))
    with pytest.raises(Exception, match=r"Download\(crystals.parquet\)"):
        list(mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json")).records("crystals"))


def test_bibtex_holds_the_citation_and_escapes_it() -> None:
    card = dataset_card("matbench_phonons")
    entry = bibtex(card)
    assert entry.startswith("@misc{matbench_phonons_0_1,")
    assert "doi     = {10.1038/s41524-020-00406-3}" in entry
    assert "Petretto et al." in entry
    special = card.model_copy(
        update={"title": "50 % of A_B & {C}", "citation": Citation(text="Roe et al., X 1 (2019)")}
    )
    assert r"title   = {{50 \% of A\_B \& \{C\}}}" in bibtex(special)
    assert "author  = {Roe and others}" in bibtex(special)
    assert "year    = {2019}" in bibtex(special)


def test_the_year_is_the_texts_not_the_dois() -> None:
    assert year_of(Citation(text="A 2017, B (2021), https://doi.org/10.1000/x2030")) == 2021
    assert year_of(Citation(text="nobody")) is None
