"""Writing files whole or not at all."""

import os
import tempfile
from pathlib import Path

from gbench.content import cache_dir
from gbench.errors import StorageError


class atomic_path:  # noqa: N801 - used as a function: ``with atomic_path(path) as temporary``
    """Context that yields a temporary path and moves it onto ``path`` on success; on failure nothing is left.

    What is moved has reached the disk: after a power cut ``path`` is the old file or the new one, never half of it.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        except OSError as error:
            raise self._unwritable(error) from error
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                self._move()
            except OSError as failed:
                error = failed
            else:
                return
        self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise self._unwritable(error) from error

    def _move(self) -> None:
        umask = os.umask(0)
        os.umask(umask)
        self.temporary.chmod(0o666 & ~umask)
        # some file systems say only now that the disk is full
        with self.temporary.open("rb") as written:
            os.fsync(written.fileno())
        self.temporary.replace(self.path)

    def _unwritable(self, error: OSError) -> StorageError:
        cached = self.path.is_relative_to(cache_dir())
        return unwritable(self.path.parent, error, "set GBENCH_CACHE to" if cached else "choose")


def unwritable(folder: Path, error: OSError, remedy: str) -> StorageError:
    """The error for a folder that cannot be written; ``remedy`` says how to choose another."""
    # a library's own words for a full disk are not always the system's
    why = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(f"{folder}: cannot write ({why}); {remedy} another folder or free some space")
