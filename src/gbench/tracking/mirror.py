"""One tracking server and the results on it: what is there is asked of the server, for it may have been lost."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import filelock

from gbench.result import HISTORY_FILE, PREDICTIONS_FILE, RESULT_FILE, WEIGHTS_FILE, Result, read_result
from gbench.runner import SPEC_FILE
from gbench.tracking import content
from gbench.tracking.server import TrackingError, connected, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCK_FILE = ".mlflow.lock"
BATCH = 900
"""Metrics sent in one request; MLflow accepts 1,000."""
PAGE = 1000
PARENT = "mlflow.parentRunId"
ENDED = ("FINISHED", "FAILED")
"""States of a run that was sent whole."""


class Placed(NamedTuple):
    """A run on the server."""

    run_id: str
    """MLflow's."""
    sent: bool
    """Whether it was sent now, or was there."""


class Mirror:
    """The results of a folder on its tracking server."""

    def __init__(self, client: "MlflowClient", results: Path) -> None:
        self.client, self.results, self.uri = client, results, tracking_uri(results)
        # one process at a time makes the database, its experiments and runs
        self.lock = filelock.FileLock(results / LOCK_FILE)

    def experiment(self, name: str) -> str:
        """The id of an experiment, made if it is not there.

        Raises:
            TrackingError: somebody deleted it.
        """
        with self.lock:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                # a database has no place for files of its own; a server has
                local = (self.results.resolve() / "mlartifacts").as_uri() if self.uri.startswith("sqlite:") else None
                return str(self.client.create_experiment(name, artifact_location=local))
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"experiment {name!r} was deleted on {self.uri}; bring it back with `mlflow experiments restore "
                f"--experiment-id {found.experiment_id}`, or end it for good with `mlflow gc`"
            )
        return str(found.experiment_id)

    def runs(self, experiment: str, wanted: str = "") -> "Iterator[Run]":
        """Those of an experiment, all or some: a filter in MLflow's language."""
        token: str | None = None
        while True:
            page = self.client.search_runs([experiment], wanted, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def place(self, folder: Path, experiment: str, parent: str | None = None) -> Placed:
        """The run of the result in ``folder``, sent unless it is there already; below ``parent`` if there is one.

        What a killed process sent by halves is deleted, and sent anew.
        """
        result = read_result(folder)
        with self.lock:
            for run in self.runs(experiment, f"tags.`{content.RUN_ID}` = '{result.run_id}'"):
                tags = run.data.tags
                if tags.get(content.CREATED) == result.created and run.info.status in ENDED:
                    if parent is not None and tags.get(PARENT) != parent:
                        self.client.set_tag(run.info.run_id, PARENT, parent)
                    return Placed(run.info.run_id, sent=False)
                if run.info.status not in ENDED and tags.get(content.FOLDER) == content.whereabouts(folder):
                    self.client.delete_run(run.info.run_id)
            return Placed(self._send(result, folder, experiment, parent), sent=True)

    def _send(self, result: Result, folder: Path, experiment: str, parent: str | None) -> str:
        from mlflow.entities import Param

        client, (began, ended) = self.client, content.milliseconds(result)
        tags = content.tags(result, folder) | ({PARENT: parent} if parent else {})
        run = client.create_run(experiment, began, tags, content.run_name(result))
        run_id: str = run.info.run_id
        client.log_batch(run_id, params=[Param(key, value) for key, value in content.params(result).items()])
        data = content.dataset_input(result)
        if data is not None:
            client.log_inputs(run_id, [data])
        metrics = content.metrics(result, folder)
        for first in range(0, len(metrics), BATCH):
            client.log_batch(run_id, metrics=metrics[first : first + BATCH])
        for name in (RESULT_FILE, PREDICTIONS_FILE, HISTORY_FILE):
            if (folder / name).is_file():
                client.log_artifact(run_id, str(folder / name))
        if (folder / WEIGHTS_FILE).is_file() and result.status == "ok":
            self._send_model(result, folder, experiment, run_id)
        client.set_terminated(run_id, "FINISHED" if result.status == "ok" else "FAILED", ended)
        return run_id

    def _send_model(self, result: Result, folder: Path, experiment: str, run_id: str) -> None:
        """Weights and spec, as MLflow's model of the run; :func:`gbench.saved.load_fitted` reads them."""
        from mlflow.entities import LoggedModelOutput, Metric

        client, (_, ended) = self.client, content.milliseconds(result)
        spec = result.spec
        model = client.create_logged_model(
            experiment, spec.model, run_id, content.tags(result, folder), content.params(result), "gbench"
        )
        with tempfile.TemporaryDirectory() as staged:
            shutil.copy(folder / WEIGHTS_FILE, staged)
            # the path of a model from outside stays: its code is run only from a folder that somebody names
            (Path(staged) / SPEC_FILE).write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
            client.log_model_artifacts(model.model_id, staged)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, result.best_epoch or 0)])
        data = content.dataset_input(result)
        name, digest = (data.dataset.name, data.dataset.digest) if data else (None, None)
        scored = content.scores(result).items()
        client.log_batch(
            run_id, metrics=[Metric(key, value, ended, 0, model.model_id, name, digest) for key, value in scored]
        )
        client.finalize_logged_model(model.model_id, "READY")


@contextmanager
def mirror(results: Path, safe: Path | None = None) -> Iterator[Mirror]:
    """The mirror of a folder of results; an error's sentence says that ``safe`` (the folder itself) is.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    with connected(results, safe or results) as client:
        yield Mirror(client, results)


def experiment_of(result: Result) -> str:
    """The experiment of a run that stands for itself."""
    return f"gbench/{result.spec.dataset}/{result.spec.target}"
