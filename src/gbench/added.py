"""Folders of datasets that a user added: written whole or not at all, a Parquet file per version, removed at once."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import yaml

from gbench.cards import DatasetCard
from gbench.content import entries, user_datasets
from gbench.crystals import Crystals
from gbench.errors import DataError, StorageError
from gbench.registry import dataset_card, dataset_names
from gbench.storage import atomic_path, unwritable

UNFINISHED = ".unfinished"
"""Folder beside the datasets in which new ones are made and old ones are deleted; nothing is looked for in it."""


def data_file(version: str) -> str:
    """Name of the data of a version, beside the card."""
    return f"crystals-{version}.parquet"


def versions(name: str) -> set[str]:
    """Versions of an added dataset, those before the current one included; none if there is no such dataset."""
    folder = user_datasets() / name
    if not (folder / "card.yaml").is_file():
        return set()
    return {dataset_card(name).version, *(card.stem.removeprefix("card-") for card in folder.glob("card-*.yaml"))}


def write(card: DatasetCard, crystals: Crystals) -> Path:
    """The folder of a dataset, with data and card. A newer version goes beside the old, its card in place last.

    Raises:
        StorageError: the folder cannot be written; nothing is left behind.
        DataError: another process added the dataset meanwhile.
    """
    folder = user_datasets() / card.name
    if folder.exists():
        _write_into(folder, card, crystals)
    else:
        _write_new(folder, card, crystals)
    dataset_card.cache_clear()
    return folder


def _write_new(folder: Path, card: DatasetCard, crystals: Crystals) -> None:
    temporary = None
    try:
        place = folder.parent / UNFINISHED
        place.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=place))
        temporary.chmod(0o755)
        _write_into(temporary, card, crystals)
        temporary.rename(folder)
    except OSError as error:
        if folder.exists():
            raise DataError(
                f"dataset {card.name} was added by another process meanwhile; choose another name"
            ) from error
        raise unwritable(folder.parent, error, "set GBENCH_DATASETS to") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            (folder.parent / UNFINISHED).rmdir()


def _write_into(folder: Path, card: DatasetCard, crystals: Crystals) -> None:
    data = folder / data_file(card.version)
    crystals.write(data)
    content = data.read_bytes()
    source = {"file": data.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    raw = {**card.model_dump(mode="json", exclude_defaults=True), "sources": [source]}
    text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=100)
    current = folder / "card.yaml"
    if current.is_file():
        with atomic_path(folder / f"card-{dataset_card(card.name).version}.yaml") as temporary:
            shutil.copyfile(current, temporary)
    with atomic_path(current) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove(name: str) -> Path:
    """Delete a dataset that a user added, with all its versions; the folder it was in.

    Raises:
        UnknownNameError: no such dataset.
        DataError: it comes with gbench.
        StorageError: it cannot be deleted.
    """
    if name not in dataset_names():
        dataset_card(name)
    if name in entries("datasets"):
        raise DataError(f"{name} comes with gbench and stays; only datasets that you added can be removed")
    folder = user_datasets() / name
    doomed = folder.parent / UNFINISHED / f"{name}.{os.getpid()}"
    try:
        # gone at once, even if deleting is interrupted
        doomed.parent.mkdir(exist_ok=True)
        folder.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be removed ({error.strerror}); delete the folder yourself") from error
    # not empty while another process adds or removes
    with contextlib.suppress(OSError):
        doomed.parent.rmdir()
    dataset_card.cache_clear()
    return folder
