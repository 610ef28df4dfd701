"""Results found on disk, each counted once."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbench.content import content
from gbench.errors import DataError
from gbench.result import PREDICTIONS_FILE, RESULT_FILE, DatasetRecord, Metric, Result, SplitRecord, read_result

RUN_ID = re.compile(r"[0-9a-f]{12}")
RULES = "delete the folder and run again"


@dataclass(frozen=True)
class Run:
    """A result and the folder it lies in."""

    result: Result
    folder: Path

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.result.run_id

    @property
    def has_predictions(self) -> bool:
        """Whether the predictions lie beside the result."""
        return (self.folder / PREDICTIONS_FILE).is_file()


@dataclass(frozen=True)
class ScoredRun(Run):
    """A run that ended well: it has data, a split and a test MAE."""

    dataset: DatasetRecord
    split: SplitRecord
    mae: Metric


def verified_results() -> Path:
    """The folder of results that ship with gbench."""
    return content("leaderboard") / "results"


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """All runs below the folders, ordered by run id; finished ones are :class:`ScoredRun`.

    A run that is found twice counts once: the copy under ``leaderboard/results`` wins, then the earlier folder.

    Raises:
        DataError: a file that is not a result, or a result that contradicts itself.
    """
    verified = verified_results().resolve()
    found: dict[str, Run] = {}
    for folder in sorted(folders, key=lambda folder: folder.resolve() != verified):
        for path in sorted(folder.rglob(RESULT_FILE)):
            run = _read(path.parent)
            found.setdefault(run.run_id, run)
    return [found[run_id] for run_id in sorted(found)]


def scored(runs: Iterable[Run]) -> list[ScoredRun]:
    """Those that ended well."""
    return [run for run in runs if isinstance(run, ScoredRun)]


def failed(runs: Iterable[Run]) -> list[Run]:
    """Those that ended with an error."""
    return [run for run in runs if not isinstance(run, ScoredRun)]


def _read(folder: Path) -> Run:
    path = folder / RESULT_FILE
    try:
        result = read_result(folder)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {RULES}") from error
    # the id becomes a file name
    if not RUN_ID.fullmatch(result.run_id):
        raise DataError(f"{path}: run_id {result.run_id!r} is not 12 hexadecimal digits; {RULES}")
    if result.status == "error":
        return Run(result, folder)
    return _scored(result, folder, path)


def _scored(result: Result, folder: Path, path: Path) -> ScoredRun:
    dataset, split, mae = result.dataset, result.split, result.metrics.get("mae")
    if dataset is None or split is None or mae is None:
        lacking = "dataset" if dataset is None else "split" if split is None else "metrics.mae"
        raise DataError(f"{path}: status is 'ok' but it has no {lacking}; {RULES}")
    spec = result.spec
    if (dataset.name, dataset.version, dataset.target) != (spec.dataset, spec.version, spec.target):
        raise DataError(f"{path}: spec and dataset record name different data; {RULES}")
    return ScoredRun(result, folder, dataset, split, mae)
