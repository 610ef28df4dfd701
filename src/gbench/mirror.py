"""Where source files are, and copies of them for machines without internet."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from gbench.cards import DatasetCard, Source
from gbench.errors import CardError, DataError, FetchError
from gbench.fetch import MIRROR, cached_file, fetch, fetch_file, mirrored_file
from gbench.registry import dataset_card, dataset_folder
from gbench.storage import atomic_path

SUMS = "SHA256SUMS"
Status = Literal["ok", "unreachable", "damaged"]
Place = Literal["here", "mirror", "download", "nowhere"]
FARTHEST_LAST: tuple[Place, ...] = ("here", "mirror", "download", "nowhere")


def whereabouts(card: DatasetCard) -> Place:
    """Where a dataset would come from, judged by names alone: nothing is hashed, and no address is asked."""
    from gbench.dataset import cached_crystals

    if cached_crystals(card).is_file():
        return "here"
    # a dataset is as far away as its farthest file
    places: list[Place] = [_place(source, dataset_folder(card.name)) for source in card.sources]
    return max(places, key=FARTHEST_LAST.index)


def _place(source: Source, beside: Path) -> Place:
    if (beside / source.file).is_file() or cached_file(source).is_file():
        return "here"
    if mirrored_file(source) is not None:
        return "mirror"
    from_server = os.environ.get(MIRROR, "").startswith("http")
    return "download" if is_published(source) or from_server else "nowhere"


def is_published(source: Source) -> bool:
    """Whether a source has an address; if not, its file comes with gbench or was added by the user."""
    return bool(source.urls or source.pypi or source.github)


class Pulled(NamedTuple):
    """The source files of a dataset, fetched."""

    name: str
    files: tuple[Path, ...]
    """Published files: in the cache, or in the mirror folder that was asked for."""
    beside: int
    """Files that need no mirror because they lie beside the card."""


def pull(name: str, to: Path | None = None) -> Pulled:
    """Fetch and verify the source files of a dataset; with ``to``, copy them there under the names a mirror has.

    Raises:
        UnknownNameError: no such dataset.
        FetchError: a file cannot be had, or is damaged.
        StorageError: ``to`` cannot be written.
    """
    card, folder = dataset_card(name), dataset_folder(name)
    published = [source for source in card.sources if is_published(source)]
    files = []
    for source in card.sources:
        # the tree hash is known once a tree is unpacked
        fetch(source, folder)
        if source in published:
            file = fetch_file(source, folder)
            files.append(file if to is None else _copy(file, to / source.file))
    return Pulled(name, tuple(files), len(card.sources) - len(published))


def _copy(file: Path, to: Path) -> Path:
    if not (to.is_file() and _sha256(to) == _sha256(file)):
        with atomic_path(to) as temporary:
            shutil.copyfile(file, temporary)
    return to


def write_sums(folder: Path, files: Iterable[Path]) -> Path:
    """``SHA256SUMS`` of a mirror folder, as ``sha256sum -c`` reads it: these files, and those it listed before.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = folder / SUMS
    lines: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            if (folder / name).is_file():
                lines[name] = digest
    lines |= {file.relative_to(folder).as_posix(): _sha256(file) for file in files}
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{lines[name]}  {name}\n" for name in sorted(lines)), encoding="utf-8")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Verified(NamedTuple):
    """What checking a dataset against its card found."""

    name: str
    version: str
    status: Status
    found: str
    """Number of crystals and content hash, or what is wrong."""
    sha256: str | None = None


def verify(name: str) -> Verified:
    """Fetch a dataset if need be, hash its files and its content anew, and compare both with the card.

    Raises:
        UnknownNameError: no such dataset.
        StorageError: the cache cannot be written.
    """
    from gbench.dataset import load

    try:
        card = dataset_card(name)
    except CardError as error:
        return Verified(name, "?", "damaged", str(error))
    for source in card.sources:
        place = _place(source, dataset_folder(name))
        try:
            fetch_file(source, dataset_folder(name))
        except FetchError as error:
            # what is at hand and is refused is damaged; what is not at hand was not delivered
            status: Status = "damaged" if place in ("here", "mirror") else "unreachable"
            return Verified(name, card.version, status, str(error))
    try:
        dataset = load(name)
    except (FetchError, DataError) as error:
        return Verified(name, card.version, "damaged", str(error))
    found = dataset.crystals.sha256()
    if card.content_sha256 is None:
        said = f"{len(dataset.crystals):,} crystals; the card states no content hash"
        return Verified(name, card.version, "ok", said, found)
    return Verified(name, card.version, "ok", f"{len(dataset.crystals):,} crystals", found)
