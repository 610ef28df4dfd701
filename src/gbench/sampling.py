"""What a run does to its machine, sampled while it lasts and kept beside its history."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from gbench.errors import DataError, StorageError
from gbench.storage import atomic_path

SYSTEM_FILE = "system.json"
SECONDS = 1.0
"""Between samples, at first."""
MOST_SAMPLES = 500
"""With more, every other one is dropped, and from then on the time between them is twice as long."""
Samples = dict[str, list[float]]
"""``time`` (Unix, s) and, in columns of the same length, system metrics by the names that MLflow has for them."""


@contextmanager
def sampled(folders: Sequence[Path], *, resumed: bool) -> Iterator[None]:
    """While it lasts, the machine is sampled; then ``system.json`` is written to the folders.

    ``resumed``: samples of before stay.

    Raises:
        StorageError: a folder cannot be written.
    """
    sampler = Sampler()
    try:
        with sampler:
            yield
    except BaseException:
        # what ended the run is what is to be told
        with suppress(StorageError, DataError, MemoryError):
            _write(folders, sampler.samples, resumed=resumed)
        raise
    _write(folders, sampler.samples, resumed=resumed)


def read_samples(folder: Path) -> Samples:
    """What was sampled of a run; empty where nothing was.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / SYSTEM_FILE
    if not path.is_file():
        return {}
    try:
        samples: Samples = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON; delete the file") from error
    return samples


def _write(folders: Sequence[Path], samples: Samples, *, resumed: bool) -> None:
    for folder in folders:
        before = read_samples(folder) if resumed else {}
        whole = {name: [*before.get(name, ()), *values] for name, values in samples.items()}
        with atomic_path(folder / SYSTEM_FILE) as temporary:
            temporary.write_text(json.dumps(whole, allow_nan=False), encoding="utf-8")


class Sampler:
    """Context with a thread that samples: at its beginning, at its end and in between."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.samples: Samples = {}
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gbench-sampling", daemon=True)

    def __enter__(self) -> None:
        # the first answer of psutil about a share of time is about no time at all
        psutil.cpu_percent()
        self._process.cpu_percent()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with suppress(MemoryError):
            self._sample()

    def _run(self) -> None:
        while not self._over.wait(self.seconds):
            # a run that is out of memory says so itself
            with suppress(MemoryError):
                self._sample()
            if len(self.samples.get("time", ())) > MOST_SAMPLES:
                self.samples = {name: values[1::2] for name, values in self.samples.items()}
                self.seconds *= 2

    def _sample(self) -> None:
        memory = psutil.virtual_memory()
        found = {
            "time": round(time.time(), 3),
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": round(memory.used / 1e6, 1),
            "system_memory_usage_percentage": round(memory.used / memory.total * 100, 1),
            "process_cpu_percentage": self._process.cpu_percent(),
            "process_memory_megabytes": round(self._process.memory_info().rss / 1e6, 1),
        }
        for name, value in found.items():
            self.samples.setdefault(name, []).append(value)
