"""Results become published ones: checked, then copied without their weights."""

from dataclasses import dataclass, field
from pathlib import Path

from gbench.errors import DataError
from gbench.registry import dataset_card, dataset_names
from gbench.result import HISTORY_FILE, PREDICTIONS_FILE, RESULT_FILE
from gbench.site.evidence import collect
from gbench.site.runs import Run, ScoredRun, read_runs, scored, verified_results
from gbench.site.standing import stale_runs
from gbench.storage import atomic_path

PUBLISHED = (PREDICTIONS_FILE, HISTORY_FILE, RESULT_FILE)
"""Result last: it says that the rest is there."""


@dataclass
class Added:
    """What came of it, by run id."""

    added: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    """Published before."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why."""


def add_results(folder: Path, to: Path | None = None) -> Added:
    """Copy the results below a folder to ``leaderboard/results/<dataset>/<model>/<run id>/``, those that hold.

    A result holds if it is of the dataset's current version and its recorded MAE is that of its predictions.

    Raises:
        DataError: no results in the folder, or one that is damaged.
        StorageError: the leaderboard cannot be written.
    """
    to = to or verified_results()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of results; give the folder that `gbench run` wrote to")
    runs = [run for run in read_runs([folder]) if not run.folder.is_relative_to(to)]
    if not runs:
        raise DataError(f"{folder}: holds no result; give the folder that `gbench run` wrote to")
    finished = scored(runs)
    problems = _problems(finished)
    made = Added()
    for run in runs:
        if not isinstance(run, ScoredRun):
            made.refused[run.run_id] = "the run failed"
        elif run.run_id in problems:
            made.refused[run.run_id] = problems[run.run_id]
        elif (place := _place(run, to)).is_dir() and (place / RESULT_FILE).is_file():
            made.there.append(run.run_id)
        else:
            _copy(run, place)
            made.added.append(run.run_id)
    return made


@dataclass(frozen=True)
class Checked:
    """What a look at published results found."""

    results: int
    problems: dict[str, str]
    """Run id -> what does not hold, for those that would not be added today."""


def check_results(folder: Path | None = None) -> Checked:
    """Hold each result below a folder, the published ones unless given, to its predictions and its dataset.

    Raises:
        DataError: no results in the folder, or one that is damaged.
    """
    folder = folder or verified_results()
    runs = read_runs([folder])
    if not runs:
        raise DataError(f"{folder}: holds no result; give a folder that `gbench run` wrote to")
    failed = {run.run_id: "the run failed" for run in runs if not isinstance(run, ScoredRun)}
    return Checked(len(runs), failed | _problems(scored(runs)))


def _problems(runs: list[ScoredRun]) -> dict[str, str]:
    stale = stale_runs(runs, {name: dataset_card(name) for name in dataset_names()})
    evidence = collect(runs, stale)
    found = {run_id: one.contradiction or one.missing for run_id, one in evidence.items()}
    return {run_id: why for run_id, why in {**found, **stale}.items() if why}


def _place(run: Run, to: Path) -> Path:
    return to / run.result.spec.dataset / run.result.spec.model / run.run_id


def _copy(run: Run, place: Path) -> None:
    for name in PUBLISHED:
        if (run.folder / name).is_file():
            with atomic_path(place / name) as temporary:
                temporary.write_bytes((run.folder / name).read_bytes())
