"""Putting the finished site in its place, whole or not at all."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from gbench.errors import StorageError

CONTENT = {"index.html", "leaderboard.json", "models", "datasets", "runs"}


def publish(files: Mapping[str, str], out: Path) -> None:
    """Write ``files`` (relative path -> text) as the folder ``out``, in place of the site that lies there.

    Raises:
        StorageError: ``out`` cannot be written, or holds files that are not a site's.
    """
    try:
        out = out.resolve()
        _refuse_other_content(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            fresh = Path(scratch) / "new"
            _write(files, fresh)
            _swap(fresh, out, Path(scratch) / "old")
    except OSError as error:
        why = error.strerror or str(error)
        raise StorageError(f"{out}: cannot write the site ({why}); choose another folder or free some space") from error


def _refuse_other_content(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out}: is a file; choose a folder for the site")
    strangers = sorted(entry.name for entry in out.iterdir() if entry.name not in CONTENT) if out.is_dir() else []
    if strangers:
        raise StorageError(
            f"{out}: holds {strangers[0]!r}, which is not part of a leaderboard, and would be replaced as a whole; "
            f"choose another folder or move it away"
        )


def _write(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def _swap(fresh: Path, out: Path, old: Path) -> None:
    existed = out.is_dir()
    if existed:
        out.replace(old)
    try:
        fresh.replace(out)
    except OSError:
        if existed:
            old.replace(out)
        raise
