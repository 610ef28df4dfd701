"""Source files: cache, then mirror, then the card's addresses; verified before they are seen."""

import os
import shutil
from pathlib import Path

from gbench.cards import Source
from gbench.content import cache_dir
from gbench.errors import FetchError
from gbench.storage import atomic_path

MIRROR = "GBENCH_MIRROR"
TIMEOUT_SECONDS = 30


def fetch(source: Source, beside: Path, *, download: bool = True) -> Path:
    """The verified file of a source.

    Looked for beside the card (``beside``), in the cache, in ``$GBENCH_MIRROR`` (a folder or a URL), then at the
    source's addresses in order; without ``download``, only on this machine and in a mirror folder. A file in the
    cache that is not the one on the card is fetched anew.

    Raises:
        FetchError: the file is nowhere, or what was found has another hash.
        StorageError: the cache cannot be written.
    """
    embedded = beside / source.file
    if embedded.is_file():
        _verify(embedded, source, "restore it from version control")
        return embedded
    cached = cache_dir() / "sources" / source.sha256[:16] / Path(source.file).name
    if cached.is_file() and _hash(cached) == source.sha256:
        return cached
    mirror = os.environ.get(MIRROR, "")
    urls = list(source.urls)
    if mirror.startswith(("http://", "https://")):
        urls.insert(0, f"{mirror.rstrip('/')}/{source.file}")
    elif mirror and not Path(mirror).is_dir():
        raise FetchError(f"{MIRROR}={mirror} is not a folder; correct it, or unset it to download {source.file}")
    elif mirror and (mirrored := Path(mirror) / source.file).is_file():
        with atomic_path(cached) as temporary:
            shutil.copyfile(mirrored, temporary)
            _verify(temporary, source, f"replace {mirrored} in the mirror", shown=str(mirrored))
        return cached
    return _download(urls if download else [], cached, source, mirror)


def _download(urls: list[str], cached: Path, source: Source, mirror: str) -> Path:
    failures = []
    for url in urls:
        try:
            with atomic_path(cached) as temporary:
                _get(url, temporary)
                _verify(temporary, source, "the download was deleted", shown=url)
        except (_UnreachableError, FetchError) as error:
            failures.append(str(error))
        else:
            return cached
    tried = "; ".join(failures) or "there is no address to ask"
    lacking = f"the mirror {mirror} lacks it, and " if mirror else ""
    raise FetchError(
        f"{source.file}: {lacking}it could not be downloaded: {tried}. "
        f"Set {MIRROR} to a folder that holds {source.file}, or try again when online"
    )


class _UnreachableError(Exception):
    """An address that does not deliver, and why in a word."""


def _get(url: str, path: Path) -> None:
    import pooch
    import requests

    downloader = pooch.downloaders.choose_downloader(url)
    if isinstance(downloader, pooch.HTTPDownloader):
        downloader.kwargs["timeout"] = TIMEOUT_SECONDS
    try:
        downloader(url, str(path), None)
    except requests.RequestException as error:
        reason = type(error).__name__ if error.response is None else f"HTTP {error.response.status_code}"
        raise _UnreachableError(f"{url} ({reason})") from error


def _verify(path: Path, source: Source, remedy: str, shown: str | None = None) -> None:
    found = _hash(path)
    if found != source.sha256:
        raise FetchError(
            f"{shown or path}: sha256 is {found[:12]}... ({path.stat().st_size} bytes), expected "
            f"{source.sha256[:12]}... ({source.size} bytes); {remedy}"
        )


def _hash(path: Path) -> str:
    import pooch

    found: str = pooch.file_hash(str(path), alg="sha256")
    return found
