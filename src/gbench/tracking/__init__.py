"""MLflow: a mirror of the result files. Losing it loses nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gbench.errors import DataError
from gbench.result import RESULT_FILE, read_result
from gbench.storage import atomic_path
from gbench.tracking.best import Registered, best_models, read_results, register
from gbench.tracking.mirror import Mirror, Placed, experiment_of, mirror
from gbench.tracking.server import TrackingError, check_reachable, tracking_uri
from gbench.tracking.suites import SuiteTracking, send_suite, suite_records

TRACKED_FILE = "mlflow.json"

__all__ = [
    "Registered", "SuiteTracking", "Synced", "Tracked", "TrackingError", "best_models", "check_reachable",
    "register_best", "sync", "track", "tracked", "tracking_uri",
]  # fmt: skip


@dataclass(frozen=True)
class Tracked:
    """Where a result is mirrored, as it was when it was sent: :func:`sync` asks the server."""

    uri: str
    run_id: str
    created: str
    """Time stamp of the result that was sent; a run that was made anew is sent anew."""


def tracked(folder: Path) -> Tracked | None:
    """Where the result in ``folder`` was sent, or None."""
    try:
        made = Tracked(**json.loads((folder / TRACKED_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # absent, or not what `track` writes: the server is asked
        return None
    return made if made.created == read_result(folder).created else None


def track(folder: Path) -> Tracked:
    """Mirror the result in ``folder`` to MLflow: parameters, metrics of epochs and of the machine, scores, files,
    hashes as tags, the dataset it learned from, and the model with its weights.

    A result that was sent to the same server is not sent twice.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    known = tracked(folder)
    if known is not None and known.uri == tracking_uri(folder.parent):
        return known
    with mirror(folder.parent, folder) as to:
        return _place(to, folder)[0]


def _place(to: Mirror, folder: Path) -> tuple[Tracked, Placed]:
    result = read_result(folder)
    placed = to.place(folder, to.experiment(experiment_of(result)))
    made = Tracked(to.uri, placed.run_id, result.created)
    with atomic_path(folder / TRACKED_FILE) as temporary:
        temporary.write_text(json.dumps(vars(made)), encoding="utf-8")
    return made, placed


class Synced(NamedTuple):
    """What is on the server after :func:`sync`."""

    uri: str
    placed: dict[str, str]
    """MLflow's run of each run id."""
    sent: int
    """Of them, those that were not there before."""


def sync(results: Path, told: Callable[[str, bool], object] = lambda _run_id, _sent: None) -> Synced:
    """Send every result of a folder that is not on the server: those of suites below their parent, others on their own.

    The server is asked what it has, so it may have lost its database since. ``told`` hears of each run, and whether it
    was sent.

    Raises:
        TrackingError: the server does not answer, or refuses.
        DataError: a result is damaged; all others were sent.
    """
    placed, sent, problems = dict[str, str](), 0, list[str]()
    with mirror(results) as to:
        records = suite_records(results)
        for record in records:
            for run_id, made in send_suite(to, record, problems.append):
                placed[run_id], sent = made.run_id, sent + made.sent
                told(run_id, made.sent)
        in_suites = {run_id for record in records for run_id in record.runs}
        for folder in _folders(results):
            if folder.name in in_suites:
                continue
            try:
                made = _place(to, folder)[1]
            except DataError as error:
                problems.append(str(error))
                continue
            placed[folder.name], sent = made.run_id, sent + made.sent
            told(folder.name, made.sent)
    if problems:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise DataError(f"{problems[0]}{more}; all other results are on {tracking_uri(results)}")
    return Synced(tracking_uri(results), placed, sent)


def _folders(results: Path) -> Iterator[Path]:
    yield from sorted(path.parent for path in results.glob(f"*/{RESULT_FILE}"))


def register_best(results: Path) -> list[Registered]:
    """The best model of each task, by validation, as a version in MLflow's registry with the alias ``best``.

    What is not on the server yet is sent first.

    Raises:
        TrackingError: the server does not answer, or refuses.
        DataError: a result is damaged.
    """
    placed = sync(results).placed
    with mirror(results) as to:
        return register(to, read_results(results, placed), placed)
