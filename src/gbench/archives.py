"""Archives: the wanted members unpacked into a folder, whole or not at all, and never outside of it."""

import contextlib
import fnmatch
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from gbench.errors import FetchError
from gbench.storage import unwritable
from gbench.waiting import bar

DAMAGED = (
    EOFError, OSError, ValueError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
    NotImplementedError,  # a directory that asks for a version of zip that there is not
)  # fmt: skip
REFUSED_BY_ZIPFILE = (RuntimeError, NotImplementedError)
"""A password, or a compression that Python lacks."""

CHOOSE = "set GBENCH_CACHE to"


def unpack(
    archive: Path,
    folder: Path,
    members: Sequence[str],
    tops: Sequence[str] = ("",),
    *,
    remedy: str = "delete it and fetch it again",
) -> None:
    """Unpack the ``members`` of a zip, wheel or tar file into ``folder``, which must not exist.

    ``members`` are names or patterns relative to a folder inside the archive, any of ``tops``. The same paths lie below
    ``folder`` afterwards. Nothing is left behind when it fails; ``remedy`` is what to do about a damaged archive.

    Raises:
        FetchError: the archive is truncated or damaged, holds a link or a path that leads out of it, or lacks a member.
        StorageError: the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise unwritable(folder.parent, error, CHOOSE) from error
    try:
        with bar(f"unpacking {archive.name}", None):
            try:
                found = set(_unpack(archive, temporary, members, tops))
            except DAMAGED as error:
                # tarfile lists all it tried, a line each
                why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
                raise FetchError(f"{archive}: the archive is truncated or damaged ({why}); {remedy}") from error
        for member in members:
            if not any(fnmatch.fnmatchcase(name, member) for name in found):
                raise FetchError(f"{archive}: holds no {member}; the archive is not the one on the card")
        umask = os.umask(0)
        os.umask(umask)
        # a temporary folder is its owner's alone, a cache may be shared
        temporary.chmod(0o777 & ~umask)
        # another process may have been quicker: its folder is as good
        with contextlib.suppress(OSError):
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(archive: Path, folder: Path, members: Sequence[str], tops: Sequence[str]) -> Iterator[str]:
    for name, content in _files(archive, members, tops):
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise unwritable(folder.parent, error, CHOOSE) from error
        yield name


def _files(archive: Path, members: Sequence[str], tops: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Name relative to its top, and content, of each wanted file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                name = _relative(archive, entry.filename, tops)
                if name and not entry.is_dir() and _wanted(name, members):
                    _refuse_link(archive, entry.filename, stat.S_ISLNK(entry.external_attr >> 16))
                    yield name, _content(archive, packed, entry)
        return
    with tarfile.open(archive, "r:*") as unrolled:
        for member in unrolled:
            name = _relative(archive, member.name, tops)
            # what is not wanted may be anything: nothing of it is written
            if name and not member.isdir() and _wanted(name, members):
                _refuse_link(archive, member.name, not member.isfile())
                reader = unrolled.extractfile(member)
                yield name, reader.read() if reader else b""


def _content(archive: Path, packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return packed.read(entry)
    except REFUSED_BY_ZIPFILE as error:
        raise FetchError(f"{archive}: member {entry.filename!r} cannot be unpacked ({error})") from error


def _refuse_link(archive: Path, name: str, is_link: bool) -> None:
    if is_link:
        raise FetchError(f"{archive}: member {name!r} is a link or device, which data never needs; refused")


def _relative(archive: Path, name: str, tops: Sequence[str]) -> str | None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive:
        raise FetchError(f"{archive}: member {name!r} leads out of the archive; refused")
    for top in tops:
        if path.is_relative_to(top):
            return str(path.relative_to(top))
    return None


def _wanted(name: str, members: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, member) for member in members)


def tree_sha256(folder: Path, pattern: str = "**/*") -> str:
    """Hash of the files of a folder: sha256 over the lines ``sha256  path``, sorted by path.

    Paths are relative to ``folder``; it is what ``sha256sum * | sha256sum`` prints there for a flat one.
    """
    return sha256_of_files(folder, [path for path in folder.glob(pattern) if path.is_file()])


def sha256_of_files(folder: Path, paths: Iterable[Path]) -> str:
    """Hash of files below ``folder``, as :func:`tree_sha256` takes it of all of them."""
    digest = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    for name in sorted(files):
        digest.update(f"{hashlib.sha256(files[name].read_bytes()).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()
