"""A training on a machine that may not see the folder of results: then its files are brought home."""

import shutil
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from gbench.held import Held
from gbench.result import RESULT_FILE
from gbench.storage import atomic_path
from gbench.sweep.work import Job, Outcome, work

Files = dict[str, bytes]
"""``run id/file name`` -> content."""


@dataclass(frozen=True)
class Home:
    """The folder of results, with a mark by which other machines know it. A context: the mark goes at its end."""

    results: Path
    mark: str = field(default_factory=lambda: f".home-{uuid.uuid4().hex}")

    def __enter__(self) -> Self:
        with atomic_path(self.results / self.mark):
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self.results / self.mark).unlink(missing_ok=True)

    def receive(self, files: Files) -> None:
        """Write what was brought home, results last: they say that the rest is there.

        Raises:
            StorageError: the folder cannot be written.
        """
        for name in sorted(files, key=lambda name: name.endswith(f"/{RESULT_FILE}")):
            with atomic_path(self.results / name) as temporary:
                temporary.write_bytes(files[name])


def work_away(text: str, mark: str, held: Held) -> tuple[Outcome, Files]:
    """Do a job, written as text, here; with its files where the folder of results is not to be seen from here.

    A training that is stopped brings its checkpoint home.
    """
    job = Job.of(text)
    if (job.results / mark).is_file():
        return work(job, held), {}
    own = Job(job.spec, Path(tempfile.gettempdir()) / f"gbench{mark}", job.allow_leak)
    outcome = work(own, held)
    files: Files = {}
    for spec in own.spec.together():
        folder = own.results / spec.run_id
        files |= {f"{folder.name}/{path.name}": path.read_bytes() for path in folder.glob("[!.]*")}
        shutil.rmtree(folder, ignore_errors=True)
    return outcome, files
