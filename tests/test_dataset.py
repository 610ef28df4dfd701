"""Datasets are what their cards say."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gbench.datasets.matbench_phonons.load import load as load_phonons

from gbench import content as content_module
from gbench import registry
from gbench.cards import DatasetCard
from gbench.content import content, content_root
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.errors import DataError, FetchError, UnknownNameError


def test_unknown_datasets_suggest_the_likely_one() -> None:
    with pytest.raises(UnknownNameError, match=r"no dataset 'pbe_prototype'; did you mean 'pbe_prototypes'\?"):
        load("pbe_prototype")


def test_phonons_are_the_published_rows(phonons: Dataset) -> None:
    crystals = phonons.crystals
    assert len(crystals) == 1265
    assert (crystals.n_atoms.min(), crystals.n_atoms.max()) == (2, 48)
    assert len(set(crystals.numbers.tolist())) == 64
    assert crystals.ids[0] == "mb-phonons-0001"
    assert crystals.labels("last_phdos_peak")[0] == pytest.approx(98.58577122703691)


def test_content_hashes_do_not_depend_on_the_processors_blas(phonons: Dataset, mirror: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gbench.datasets.matbench_phonons.load import load;"
        "print(load([Path(sys.argv[1])]).sha256())"
    )
    for kernel in ("Haswell", "Sandybridge", "Prescott"):
        command = [sys.executable, "-c", code, str(mirror / "matbench_phonons.json.gz")]
        done = subprocess.run(command, env={**os.environ, "OPENBLAS_CORETYPE": kernel}, capture_output=True, text=True)
        assert done.stdout.strip() == phonons.sha256, done.stderr


def test_a_second_load_reads_the_cache(phonons: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_MIRROR", "/nowhere")
    assert load("matbench_phonons").sha256 == phonons.sha256


def test_a_damaged_mirror_is_refused(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "matbench_phonons.json.gz"
    damaged = bytearray((mirror / name).read_bytes())
    damaged[1000] ^= 1
    (tmp_path / name).write_bytes(damaged)
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path))
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FetchError, match="sha256 is .*expected 4db551f2"):
        load("matbench_phonons")


def test_phonon_files_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "matbench_phonons.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"columns": ["a"], "data": []}).encode()))
    with pytest.raises(DataError, match="columns are"):
        load_phonons([path])


def test_disordered_sites_are_refused(mirror: Path, tmp_path: Path) -> None:
    table = json.loads(gzip.decompress((mirror / "matbench_phonons.json.gz").read_bytes()))
    table["data"] = table["data"][:2]
    table["data"][1][0]["sites"][0]["species"][0]["occu"] = 0.5
    path = tmp_path / "matbench_phonons.json.gz"
    path.write_bytes(gzip.compress(json.dumps(table).encode()))
    with pytest.raises(DataError, match="'mb-phonons-0002' has a disordered site"):
        load_phonons([path])


@pytest.fixture
def altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Crystals], Any]], None]:
    """Content in which the embedded dataset was changed after its card was written."""
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "content"
    shutil.copytree(content_root() / "datasets", root / "datasets", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(content_module, "content_root", lambda: root)
    registry.dataset_card.cache_clear()

    def alter(change: Callable[[Crystals], Any]) -> None:
        path = root / "datasets" / "pbe_prototypes" / "crystals.parquet"
        import hashlib

        crystals = Crystals.read(path)
        crystals = change(crystals) or crystals
        crystals.write(path)
        card = path.parent / "card.yaml"
        old = hashlib.sha256((content("datasets") / "pbe_prototypes" / "crystals.parquet").read_bytes()).hexdigest()
        original = (content_root.__wrapped__() / "datasets/pbe_prototypes/crystals.parquet").read_bytes()
        card.write_text(card.read_text().replace(hashlib.sha256(original).hexdigest(), old))

    return alter


def test_content_that_changed_under_its_version_is_refused(altered: Callable[..., None]) -> None:
    def shift(crystals: Crystals) -> Crystals:
        return crystals.take(list(reversed(range(len(crystals)))))

    altered(shift)
    with pytest.raises(DataError, match="content hash is .*a version never changes"):
        load("pbe_prototypes")
    registry.dataset_card.cache_clear()


def test_labels_that_are_infinite_are_refused(altered: Callable[..., None]) -> None:
    def spoil(crystals: Crystals) -> Crystals:
        import dataclasses

        spoiled = crystals.labels("e_form").copy()
        spoiled[3] = np.inf
        return dataclasses.replace(crystals, graph_targets={**crystals.graph_targets, "e_form": spoiled})

    altered(spoil)
    with pytest.raises(DataError, match="has an infinite label for 'e_form'"):
        load("pbe_prototypes")
    registry.dataset_card.cache_clear()


def test_rows_dropped_from_the_file_are_noticed(altered: Callable[..., None]) -> None:
    altered(lambda crystals: crystals.take(range(827)))
    with pytest.raises(DataError, match="the files hold 827 crystals, the card says 828"):
        load("pbe_prototypes")
    registry.dataset_card.cache_clear()


class TestErrata:
    def given(self, monkeypatch: pytest.MonkeyPatch, action: str, name: str, crystals: int) -> None:
        errata = [{"ids": [name], "count": 1, "action": action, "why": "looks odd"}]
        raw = registry.dataset_card("pbe_prototypes").model_dump()
        card = DatasetCard.model_validate({**raw, "errata": errata, "crystals": crystals, "content_sha256": None})
        monkeypatch.setattr("gbench.dataset.dataset_card", lambda _: card)

    def test_dropped_row_is_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given(monkeypatch, "dropped", "rocksalt-Na-Cl-1.00", 827)
        assert "rocksalt-Na-Cl-1.00" not in load("pbe_prototypes").crystals.ids

    def test_dropped_row_may_be_one_that_the_loader_cannot_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given(monkeypatch, "dropped", "rocksalt-Na-Cl-unreadable", 828)
        assert len(load("pbe_prototypes").crystals) == 828

    def test_dropped_id_with_a_typing_error_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given(monkeypatch, "dropped", "rocksalt-Na-Cl-1,00", 827)
        with pytest.raises(DataError, match="the files hold 828 crystals, the card says 827"):
            load("pbe_prototypes")

    def test_flagged_row_must_be_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given(monkeypatch, "flagged", "rocksalt-Na-Cl-1,00", 828)
        with pytest.raises(DataError, match="errata name id 'rocksalt-Na-Cl-1,00', which the files do not hold"):
            load("pbe_prototypes")
