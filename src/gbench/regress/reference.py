"""References: what a suite left when it was recorded."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from pyarrow import ArrowException
from pydantic import ValidationError

from gbench.cards import Frozen, explain
from gbench.errors import DataError, SpecError
from gbench.regress.edges import EdgeHashes
from gbench.regress.suite import Suite, reference_folder
from gbench.regress.trainings import KEYS, Trained
from gbench.result import Environment
from gbench.storage import atomic_path

REFERENCE_FILE = "reference.json"
ERRORS_FILE = "errors.parquet"


class TrainingRecord(Frozen):
    """What a training left."""

    run_ids: tuple[str, ...]
    """By seed: the hashes of its specs."""
    mae: tuple[float, ...]
    """By seed, in the unit of the target."""
    unmoved: tuple[str, ...]
    edges: EdgeHashes | None


class Record(Frozen):
    """What a suite left."""

    schema_version: Literal[1] = 1
    created: str
    """UTC, ISO 8601."""
    environment: Environment
    trainings: dict[str, TrainingRecord]
    speed: dict[str, float]
    """Median seconds over those of the kernel."""


@dataclass(frozen=True)
class Reference:
    """A record, with the errors of every test item."""

    record: Record
    errors: pd.DataFrame
    """``training``, ``seed``, ``id``, ``site`` and ``error``"""

    def errors_of(self, training: str) -> pd.DataFrame:
        """``seed``, ``id``, ``site`` and ``error`` of one training."""
        return self.errors.loc[self.errors["training"] == training, [*KEYS, "error"]]


def record_of(trained: Trained) -> TrainingRecord:
    """What is stored of a training besides its errors."""
    return TrainingRecord(run_ids=trained.run_ids, mae=trained.mae, unmoved=trained.unmoved, edges=trained.edges)


def write_reference(suite_path: Path, record: Record, trained: dict[str, Trained]) -> Path:
    """The folder the reference was written to.

    Raises:
        StorageError: it cannot be written.
    """
    folder = reference_folder(suite_path)
    frames = [one.errors[[*KEYS, "error"]].assign(training=name) for name, one in trained.items()]
    columns = ["training", *KEYS, "error"]
    errors = pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    with atomic_path(folder / ERRORS_FILE) as temporary:
        errors.to_parquet(temporary, index=False, compression="zstd")
    with atomic_path(folder / REFERENCE_FILE) as temporary:
        text = json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return folder


def read_reference(suite_path: Path, suite: Suite) -> Reference:
    """The reference of a suite.

    Raises:
        SpecError: there is none, or it was recorded with other settings.
        DataError: its files are damaged.
    """
    folder, again = reference_folder(suite_path), f"`gbench regress record {suite_path}` makes it"
    try:
        record = Record.model_validate_json((folder / REFERENCE_FILE).read_bytes())
        errors = pd.read_parquet(folder / ERRORS_FILE)
    except FileNotFoundError as error:
        raise SpecError(
            f"{folder}: the suite has no stored reference; `gbench regress record {suite_path}` makes one"
        ) from error
    except ValidationError as error:
        raise DataError(f"{folder / REFERENCE_FILE}: {explain(Record, error)}; {again}") from error
    except (OSError, ArrowException) as error:
        raise DataError(f"{folder / ERRORS_FILE}: cannot be read ({error}); {again}") from error
    for case in suite.trainings:
        known = record.trainings.get(case.name)
        if known is None or known.run_ids != tuple(spec.run_id for spec in case.specs()):
            what = "lacks" if known is None else "was recorded with other settings than the suite has for"
            raise SpecError(f"{folder}: the reference {what} the training {case.name!r}; {again}")
    for speed in suite.speed:
        if speed.work not in record.speed:
            raise SpecError(f"{folder}: the reference lacks the speed of {speed.work!r}; {again}")
    return Reference(record, errors)
