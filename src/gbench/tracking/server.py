"""Reaching MLflow, and saying what to do where it cannot be reached."""

import logging
import os
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from gbench.errors import GbenchError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONNECT_SECONDS = 5.0


class TrackingError(GbenchError):
    """The tracking server cannot be used; results are safe on disk."""


def tracking_uri(results: Path) -> str:
    """``$MLFLOW_TRACKING_URI``, or a SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def show_command(uri: str) -> str:
    """How to look at it: the command that opens the UI of a database, or the address of a server."""
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)}" if uri.startswith("sqlite") else uri


def check_reachable(uri: str) -> None:
    """Raise OSError if ``uri`` is a server that does not answer.

    MLflow's own client retries a dead server for minutes, so the socket is asked first.
    """
    parsed = urlparse(uri)
    if parsed.scheme in ("http", "https") and parsed.hostname:
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        socket.create_connection((parsed.hostname, port), timeout=CONNECT_SECONDS).close()


@contextmanager
def connected(results: Path, safe: Path) -> Iterator["MlflowClient"]:
    """A client of the server for ``results``; the sentence of an error says that ``safe`` is, and how to send it later.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    uri = tracking_uri(results)
    later = f"the result is safe in {safe}; upload it later with `gbench track sync --results {results}`"
    try:
        check_reachable(uri)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TrackingError(f"MLflow at {uri} does not answer ({reason}); {later}") from error
    mlflow = _quiet_mlflow()
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise TrackingError(f"MLflow at {uri} refused the run: {reason}; {later}") from error


def _quiet_mlflow() -> Any:
    """The ``mlflow`` module, with its own chatter and that of its database migrations kept off the terminal."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # to standard output, where `gbench run --json` prints the Result and nothing else
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow

    # mlflow sets its levels on import
    for name in ("mlflow", "mlflow.store.db.utils", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow
