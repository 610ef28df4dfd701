"""Suites in MLflow: an experiment for each, a parent run, and below it a child for every run."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from gbench.cards import Frozen, validate
from gbench.environment import environment
from gbench.errors import DataError
from gbench.result import RESULT_FILE, read_result
from gbench.storage import atomic_path
from gbench.tracking.best import read_results, register
from gbench.tracking.mirror import Mirror, Placed, mirror
from gbench.tracking.server import TrackingError, show_command, tracking_uri

SUITES = "suites"
"""Folder beside the results that says which runs belong together."""
SUITE_TAG = "gbench.suite"


class SuiteRecord(Frozen):
    """Which runs a suite is made of; what is left to be sent follows from this and the server."""

    name: str
    runs: tuple[str, ...]

    def write(self, results: Path) -> None:
        """Write to ``<results>/suites/<name>.json``."""
        with atomic_path(_path(results, self.name)) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            DataError: it is damaged.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: not valid JSON; delete the file and run the suite again") from error
        return validate(cls, raw, str(path), DataError)


def suite_records(results: Path) -> list[SuiteRecord]:
    """Of all suites that were run into a folder of results."""
    return [SuiteRecord.read(path) for path in sorted((results / SUITES).glob("*.json"))]


def _path(results: Path, name: str) -> Path:
    return results / SUITES / f"{name}.json"


class SuiteMirror:
    """A suite on the server."""

    def __init__(self, to: Mirror, record: SuiteRecord) -> None:
        self.to, self.record = to, record
        self.experiment = to.experiment(f"gbench/suites/{record.name}")
        self.parent = self._parent()

    def _parent(self) -> str:
        """The parent run, made if it is not there."""
        with self.to.lock:
            for run in self.to.runs(self.experiment, f"tags.`{SUITE_TAG}` = '{self.record.name}'"):
                return str(run.info.run_id)
            own = environment()
            tags = {SUITE_TAG: self.record.name, "gbench.version": own.gbench, "git.commit": own.git_commit or ""}
            return str(self.to.client.create_run(self.experiment, None, tags, self.record.name).info.run_id)

    def open(self) -> None:
        """Say that the suite is being run."""
        self.to.client.update_run(self.parent, status="RUNNING")

    def send(self, run_id: str) -> Placed:
        """MLflow's run below the parent for a result."""
        return self.to.place(self.to.results / run_id, self.experiment, self.parent)

    def close(self) -> None:
        """Say what became of the suite: how many runs there are, failed and are missing."""
        from mlflow.entities import Metric

        found = [read_result(self.to.results / run_id) for run_id in self.there()]
        failed = sum(result.status == "error" for result in found)
        missing = len(self.record.runs) - len(found)
        seconds = sum(result.cost.train_seconds for result in found if result.cost)
        values = {"runs": len(self.record.runs), "failed": failed, "missing": missing, "train_seconds": seconds}
        client, info = self.to.client, self.to.client.get_run(self.parent).info
        client.log_batch(self.parent, metrics=[Metric(key, value, info.start_time, 0) for key, value in values.items()])
        client.set_terminated(self.parent, "KILLED" if missing else "FAILED" if failed else "FINISHED")

    def there(self) -> list[str]:
        """Runs that have a result."""
        return [run_id for run_id in self.record.runs if (self.to.results / run_id / RESULT_FILE).is_file()]


def send_suite(
    to: Mirror, record: SuiteRecord, problem: Callable[[str], object] | None = None
) -> Iterator[tuple[str, Placed]]:
    """Each run of a suite that has a result, once it is below the parent; then the parent says what became of them.

    Raises:
        DataError: a result is damaged, unless ``problem`` hears of it.
    """
    suite = SuiteMirror(to, record)
    for run_id in suite.there():
        try:
            placed = suite.send(run_id)
        except DataError as error:
            if problem is None:
                raise
            problem(str(error))
            continue
        yield run_id, placed
    suite.close()


class SuiteTracking:
    """Mirrors a suite while it runs. A server that is away is left alone until the end, and never fails the suite.

    ``begun`` with all runs, ``finished`` after each whose result lies in its folder, ``ended`` at last, which says in a
    line where the suite is, or how to send it later.
    """

    def __init__(self, name: str, results: Path) -> None:
        self.name, self.results = name, results
        self._away = False

    def begun(self, run_ids: Iterable[str]) -> None:
        """The suite is made of these runs.

        Raises:
            StorageError: the folder of results cannot be written.
        """
        self.record = SuiteRecord(name=self.name, runs=tuple(run_ids))
        self.record.write(self.results)
        self._try(lambda suite: suite.open())

    def finished(self, run_id: str) -> None:
        """The result of a run is in its folder."""
        if (self.results / run_id / RESULT_FILE).is_file():
            self._try(lambda suite: suite.send(run_id))

    def ended(self) -> str:
        """Send what is not there yet and register the best; a line that says where the suite is, or why not there."""
        try:
            with mirror(self.results) as to:
                placed = {run_id: made.run_id for run_id, made in send_suite(to, self.record)}
                best = register(to, read_results(self.results, placed), placed)
        except TrackingError as error:
            return f"not tracked: {error}"
        registered = f"; best of {len(best)} tasks registered" if best else ""
        return f"suite {self.name}, {len(placed)} runs{registered}   {show_command(tracking_uri(self.results))}"

    def _try(self, do: Callable[["SuiteMirror"], object]) -> None:
        if self._away:
            return
        try:
            with mirror(self.results) as to:
                do(SuiteMirror(to, self.record))
        except TrackingError:
            # said at the end, when it is tried again
            self._away = True
