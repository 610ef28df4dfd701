"""MLflow: a mirror of the result files. Losing it loses nothing."""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import filelock

from gbench.errors import GbenchError
from gbench.result import HISTORY_FILE, PREDICTIONS_FILE, RESULT_FILE, Result, read_history, read_result
from gbench.storage import atomic_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRACKED_FILE = "mlflow.json"
LOCK_FILE = ".mlflow.lock"
CONNECT_SECONDS = 5.0
BATCH = 900
"""Metrics sent in one request; MLflow accepts 1,000."""


class TrackingError(GbenchError):
    """The tracking server cannot be used; results are safe on disk."""


@dataclass(frozen=True)
class Tracked:
    """Where a result is mirrored."""

    uri: str
    run_id: str
    created: str
    """Time stamp of the result that was sent; a run that was made anew is sent anew."""


def tracking_uri(results: Path) -> str:
    """``$MLFLOW_TRACKING_URI``, or a SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def tracked(folder: Path) -> Tracked | None:
    """Where the result in ``folder`` is mirrored already, or None."""
    try:
        made = Tracked(**json.loads((folder / TRACKED_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # absent, or not what `track` writes: the run is sent again
        return None
    return made if made.created == read_result(folder).created else None


def track(folder: Path) -> Tracked:
    """Mirror the result in ``folder`` to MLflow: parameters, per-epoch metrics, scores, artefacts, hashes as tags.

    A result that is on the same server already is not sent twice.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    uri = tracking_uri(folder.parent)
    known = tracked(folder)
    if known is not None and known.uri == uri:
        return known
    try:
        check_reachable(uri)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TrackingError(f"MLflow at {uri} does not answer ({reason}); {_later(folder)}") from error
    mlflow = _quiet_mlflow()
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        # one process at a time makes the database and its experiments
        with filelock.FileLock(folder.parent / LOCK_FILE):
            client = mlflow.MlflowClient(tracking_uri=uri)
            made = Tracked(uri, _send(client, folder, uri), read_result(folder).created)
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise TrackingError(f"MLflow at {uri} refused the run: {reason}; {_later(folder)}") from error
    with atomic_path(folder / TRACKED_FILE) as temporary:
        temporary.write_text(json.dumps(vars(made)), encoding="utf-8")
    return made


def untracked(results: Path) -> list[Path]:
    """Folders of finished results that are not on the current tracking server."""
    uri = tracking_uri(results)
    folders = sorted(path.parent for path in results.glob(f"*/{RESULT_FILE}"))
    return [folder for folder in folders if (known := tracked(folder)) is None or known.uri != uri]


def _send(client: "MlflowClient", folder: Path, uri: str) -> str:
    from mlflow.entities import Metric, Param, RunTag

    result = read_result(folder)
    experiment = _experiment(client, result, folder, uri)
    run_name = f"{result.spec.model} {result.spec.split.scheme} {result.spec.split.fold} seed {result.spec.seed}"
    run = client.create_run(experiment, run_name=run_name)
    run_id: str = run.info.run_id
    stamp: int = run.info.start_time
    metrics = [Metric(key, value, stamp, step) for key, value, step in _metrics(result, folder)]
    params = [Param(key, str(value)[:500]) for key, value in _flat(result.spec.model_dump(mode="json")).items()]
    tags = [RunTag(key, value) for key, value in _tags(result).items()]
    client.log_batch(run_id, params=params, tags=tags)
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + BATCH])
    for name in (RESULT_FILE, PREDICTIONS_FILE, HISTORY_FILE):
        if (folder / name).is_file():
            client.log_artifact(run_id, str(folder / name))
    client.set_terminated(run_id, "FINISHED" if result.status == "ok" else "FAILED")
    return run_id


def _experiment(client: "MlflowClient", result: Result, folder: Path, uri: str) -> str:
    name = f"gbench/{result.spec.dataset}/{result.spec.target}"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # a database has no place for files of its own; a server has
    place = (folder.parent.resolve() / "mlartifacts").as_uri() if uri.startswith("sqlite:") else None
    return str(client.create_experiment(name, artifact_location=place))


def _metrics(result: Result, folder: Path) -> list[tuple[str, float, int]]:
    rows: list[tuple[str, float, int]] = []
    for epoch in read_history(folder):
        rows += [(key, value, epoch["epoch"]) for key, value in epoch.items() if key != "epoch"]
    for name, metric in result.metrics.items():
        rows += [(f"test_{name}", metric.value, 0), (f"test_{name}_low", metric.low, 0)]
        rows += [(f"test_{name}_high", metric.high, 0)]
    rows += [(f"best_val_{name}", value, 0) for name, value in result.validation.items()]
    if result.cost:
        rows += [("parameters", result.cost.parameters, 0), ("train_seconds", result.cost.train_seconds, 0)]
        rows += [("peak_memory_mb", result.cost.peak_memory_mb, 0)]
        measured = ("train_cpu_seconds", "train_crystals_per_second", "predict_crystals_per_second", "train_flops")
        given = {name: getattr(result.cost, name) for name in measured}
        rows += [(name, value, 0) for name, value in given.items() if value is not None]
    return rows


def _tags(result: Result) -> dict[str, str]:
    tags = {
        "gbench.run_id": result.run_id,
        "gbench.status": result.status,
        "gbench.version": result.environment.gbench,
        "git.commit": result.environment.git_commit or "",
        "git.dirty": str(result.environment.git_dirty),
    }
    if result.dataset:
        tags |= {"dataset": f"{result.dataset.name}@{result.dataset.version}", "dataset.sha256": result.dataset.sha256}
    if result.split:
        tags["split.sha256"] = result.split.sha256
    if result.graph:
        tags["graph.sha256"] = result.graph.sha256
    return tags


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def check_reachable(uri: str) -> None:
    """Raise OSError if ``uri`` is a server that does not answer.

    MLflow's own client retries a dead server for minutes, so the socket is asked first.
    """
    parsed = urlparse(uri)
    if parsed.scheme in ("http", "https") and parsed.hostname:
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        socket.create_connection((parsed.hostname, port), timeout=CONNECT_SECONDS).close()


def _later(folder: Path) -> str:
    return f"the result is safe in {folder}; upload it later with `gbench track sync --results {folder.parent}`"


def _quiet_mlflow() -> Any:
    """The ``mlflow`` module, with its own chatter and that of its database migrations kept off the terminal."""
    import logging

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    # mlflow sets its levels on import
    for name in ("mlflow", "mlflow.store.db.utils", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow
