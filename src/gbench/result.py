"""A result: one versioned JSON file per run, with the predictions beside it. Scores are recomputed from those."""

import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pyarrow import ArrowException
from pydantic import ValidationError

from gbench.cards import Frozen, Level, Verdict, explain
from gbench.errors import DataError
from gbench.spec import RunSpec
from gbench.storage import atomic_path

RESULT_FILE = "result.json"
PREDICTIONS_FILE = "predictions.parquet"
HISTORY_FILE = "history.json"
WEIGHTS_FILE = "weights.safetensors"


class Metric(Frozen):
    """One score with its 95 % interval."""

    value: float
    unit: str
    low: float
    high: float
    better: Literal["lower", "higher"]


class DatasetRecord(Frozen):
    """The data a result was made on."""

    name: str
    version: str
    sha256: str
    crystals: int
    target: str
    level: Level
    unit: str
    dropped: int = 0
    """Rows that the card's errata drop."""
    flagged: int = 0
    """Rows that the card's errata flag."""

    @property
    def errata(self) -> str:
        """How many rows are dropped and flagged, in words; empty where none are."""
        counts = {"dropped": self.dropped, "flagged": self.flagged}
        said = ", ".join(f"{count:,} {how}" for how, count in counts.items() if count)
        return said and f"{said} of {self.crystals + self.dropped:,} rows"


class GraphRecord(Frozen):
    """The graphs a result was made on."""

    sha256: str
    edges_per_atom: float
    warnings: tuple[str, ...] = ()


class SplitRecord(Frozen):
    """The split a result was made on; sizes in crystals."""

    sha256: str
    frozen: bool
    """Whether the split is one of the files under ``splits/``."""
    train: int
    val: int
    test: int
    verdict: Verdict | None = None
    """What the split was measured to be (:class:`gbench.audit.SplitCard`); None where it was not measured."""
    why: str | None = None
    """The numbers behind the verdict, in a sentence."""

    @property
    def leaks(self) -> bool:
        """Whether test crystals have near-duplicates in train; the mark stays with the result."""
        return self.verdict == "leak"


class Cost(Frozen):
    """What the run took; of targets that were learned together, what all of them took.

    Training counts over all sessions of a run that was interrupted, without the steps that a kill undid.
    """

    parameters: int
    epochs: int
    seconds_per_epoch: float
    """Median, validation included."""
    train_seconds: float
    """By the clock: of all epochs with their validation, or of the fit of a model that fits itself."""
    train_cpu_seconds: float | None = None
    """The same in processor time, user and system, of all threads. None in results of before it was measured."""
    train_crystals_per_second: float | None = None
    """Crystals of the training part, times epochs, over ``train_seconds``."""
    predict_crystals_per_second: float | None = None
    """Crystals of the validation and the test part over the seconds that predicting them took."""
    train_flops: float | None = None
    """Floating-point operations of matrix products in all epochs (:func:`gbench.cost.training_flops`): a lower bound.
    None for a model that fits itself."""
    total_seconds: float
    """Of the session that finished the run, from loading the data on."""
    peak_memory_mb: float
    """Largest resident size of the process up to the end of the run."""
    device: str
    threads: int


class Environment(Frozen):
    """Where the result comes from."""

    gbench: str
    python: str
    platform: str
    libraries: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None


class Failure(Frozen):
    """Why a run has no scores."""

    kind: str
    message: str
    traceback: str
    step: int | None = None
    """Of training, counted from 0, where the loss was no number."""


class Result(Frozen):
    """Everything a run leaves behind, except predictions, history and weights."""

    schema_version: Literal[1] = 1
    status: Literal["ok", "error"]
    run_id: str
    spec: RunSpec
    created: str
    """UTC, ISO 8601."""
    environment: Environment
    dataset: DatasetRecord | None = None
    graph: GraphRecord | None = None
    split: SplitRecord | None = None
    metrics: dict[str, Metric] = {}
    """Test scores: ``mae``, ``rmse``, ``r2``; for classification those of :mod:`gbench.classification`."""
    validation: dict[str, float] = {}
    """Validation scores, the same names, no intervals."""
    best_epoch: int | None = None
    cost: Cost | None = None
    error: Failure | None = None

    def json_text(self) -> str:
        """The file's content: indented, keys in schema order, no NaN."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_result(folder: Path, result: Result) -> None:
    """Write ``result.json``, whole or not at all.

    Raises:
        StorageError: the folder cannot be written.
    """
    with atomic_path(folder / RESULT_FILE) as temporary:
        temporary.write_text(result.json_text(), encoding="utf-8")


def read_result(folder: Path) -> Result:
    """The result in ``folder``.

    Raises:
        DataError: the file is not a result of a known schema version.
    """
    path = folder / RESULT_FILE
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise DataError(f"{path}: {explain(Result, error)}; delete the folder and run again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; delete the folder and run again") from error


def write_predictions(folder: Path, predictions: pd.DataFrame) -> None:
    """Write ``predictions.parquet``: the item's keys (:data:`gbench.predictions.KEYS`), part, prediction."""
    with atomic_path(folder / PREDICTIONS_FILE) as temporary:
        predictions.to_parquet(temporary, index=False)


def read_predictions(folder: Path) -> pd.DataFrame:
    """Predictions of a run: columns id, site (-1 for graph targets), part (val or test), prediction.

    Those of an edge target have ``other`` and ``image_a``, ``image_b``, ``image_c`` besides.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = folder / PREDICTIONS_FILE
    try:
        return pd.read_parquet(path)
    except (OSError, ArrowException) as error:
        raise DataError(f"{path}: cannot be read; delete the folder and run again") from error


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """Write ``history.json``: one object per epoch."""
    with atomic_path(folder / HISTORY_FILE) as temporary:
        temporary.write_text(json.dumps(history, allow_nan=False), encoding="utf-8")


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Per-epoch records of a run; empty for a model that is not trained by the loop.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / HISTORY_FILE
    if not path.is_file():
        return []
    try:
        history: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON; delete the folder and run again") from error
    return history
