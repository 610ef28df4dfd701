"""What the predictions beside a result say, held against the labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gbench.crystals import FloatArray
from gbench.errors import DataError, GbenchError
from gbench.predictions import KEYS, item_positions
from gbench.result import read_predictions
from gbench.site.runs import ScoredRun

if TYPE_CHECKING:
    import pandas as pd

    from gbench.dataset import Dataset

AGREEMENT = 1e-3
"""Largest relative difference between a recorded MAE and that of its predictions: float32 against float64."""


@dataclass(frozen=True)
class Evidence:
    """Labels and predictions of the test part, or why they are not to be had."""

    labels: FloatArray
    predictions: FloatArray
    missing: str = ""
    """Why there is nothing to show; empty when there is."""
    contradiction: str = ""
    """How the predictions contradict the recorded score; empty when they do not."""


class Datasets:
    """Datasets by name, each loaded once; None for one that cannot be had here."""

    def __init__(self) -> None:
        self._loaded: dict[str, Dataset | None] = {}

    def get(self, name: str) -> "Dataset | None":
        """The dataset, or None."""
        if name not in self._loaded:
            self._loaded[name] = _load(name)
        return self._loaded[name]


def collect(runs: list[ScoredRun], stale: Mapping[str, str]) -> dict[str, Evidence]:
    """Run id -> evidence. ``stale``: runs on data that is no longer current.

    Raises:
        DataError: a predictions file that is damaged.
    """
    datasets = Datasets()
    return {run.run_id: _evidence(run, run.run_id in stale, datasets) for run in runs}


def _load(name: str) -> "Dataset | None":
    from gbench.dataset import load

    try:
        # a page is built from what lies on this machine
        return load(name, download=False)
    except GbenchError:
        return None


def _evidence(run: ScoredRun, stale: bool, datasets: Datasets) -> Evidence:
    if stale:
        return _none("the result was made on data that is not the current version")
    if not run.has_predictions:
        return _none("no predictions lie beside the result")
    frame = _test_predictions(run)
    dataset = datasets.get(run.dataset.name)
    if dataset is None:
        return _none(f"the labels of {run.dataset.name} could not be loaded where this page was built")
    rows = item_positions(dataset, run.dataset.target, frame)
    if (rows < 0).any():
        return _none("", "predictions name ids or sites that the dataset does not have")
    labels, predictions = dataset.labels(run.dataset.target)[rows], frame["prediction"].to_numpy(dtype=np.float64)
    known = ~np.isnan(labels)
    return _compare(run.mae.value, labels[known], predictions[known])


def _compare(recorded: float, labels: FloatArray, predictions: FloatArray) -> Evidence:
    found = float(np.abs(predictions - labels).mean()) if len(labels) else float("nan")
    if not abs(found - recorded) <= AGREEMENT * abs(recorded) + 1e-9:
        return _none("", f"recorded MAE {recorded:.4g}, but its predictions give {found:.4g}")
    return Evidence(labels, predictions)


def _test_predictions(run: ScoredRun) -> "pd.DataFrame":
    try:
        frame = read_predictions(run.folder)
        return frame.loc[frame["part"] == "test", [*KEYS[run.dataset.level], "prediction"]]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{run.folder}: predictions.parquet is damaged; delete the folder and run again") from error


def _none(missing: str, contradiction: str = "") -> Evidence:
    return Evidence(np.empty(0), np.empty(0), missing or contradiction, contradiction)
