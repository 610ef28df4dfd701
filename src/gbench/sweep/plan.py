"""What a sweep has before it: what is done, what is left, and how long that takes by past results."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import ValidationError

from gbench.content import content
from gbench.errors import DataError, GbenchError
from gbench.registry import dataset_card, model_class
from gbench.result import PREDICTIONS_FILE, RESULT_FILE, Result, read_result
from gbench.runner import CHECKPOINT_FILE
from gbench.spec import RunSpec
from gbench.sweep.expand import Training

State = Literal["done", "failed", "begun", "new"]
"""``begun``: there is a checkpoint. ``failed``: there is a result that says so; it is tried again."""


@dataclass(frozen=True)
class Plan:
    """The trainings of a sweep and where each stands."""

    trainings: tuple[Training, ...]
    states: tuple[State, ...]
    seconds: tuple[float | None, ...]
    """What each takes by past results; None where there are none of its model on its dataset."""

    @cached_property
    def left(self) -> list[Training]:
        """Those that are not done."""
        return [training for training, state in zip(self.trainings, self.states, strict=True) if state != "done"]

    @property
    def known_seconds(self) -> float:
        """Of those left that have a past, one after the other."""
        return sum(seconds for seconds in self._of_left() if seconds is not None)

    @property
    def unknown(self) -> int:
        """How many of those left have none."""
        return sum(seconds is None for seconds in self._of_left())

    def _of_left(self) -> Iterator[float | None]:
        return (s for s, state in zip(self.seconds, self.states, strict=True) if state != "done")


def make_plan(trainings: Sequence[Training], results: Path) -> Plan:
    """Where each training stands in a folder of results. Reads files, changes nothing."""
    past = Past([*_readable(results.glob(f"*/{RESULT_FILE}")), *_readable(_published())])
    return Plan(
        tuple(trainings),
        tuple(state_of(training, results) for training in trainings),
        tuple(past.seconds(training.spec) for training in trainings),
    )


def state_of(training: Training, results: Path) -> State:
    """Where a training stands: the worst of its runs."""
    states = [run_state(spec, results) for spec in training.runs]
    if any((results / spec.run_id / CHECKPOINT_FILE).is_file() for spec in training.runs):
        return "begun"
    return "failed" if "failed" in states else "new" if "new" in states else "done"


class Past:
    """How long runs took that were made before."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._same = defaultdict[str, list[float]](list)
        self._alike = defaultdict[tuple[str, str], list[float]](list)
        for result in results:
            spec, cost = result.spec, result.cost
            if result.status == "ok" and cost is not None:
                self._same[_settings(spec)].append(cost.total_seconds)
                self._alike[spec.model, spec.dataset].append(
                    cost.seconds_per_epoch if spec.training else cost.total_seconds
                )

    def seconds(self, spec: RunSpec) -> float | None:
        """Median over the runs with its settings, of any fold and seed.

        If there are none, by the epochs of those of its model on its dataset; None if there are none of those.
        """
        same, alike = self._same.get(_settings(spec)), self._alike.get((spec.model, spec.dataset))
        if same:
            return median(same)
        return median(alike) * (spec.training.epochs if spec.training else 1) if alike else None


def _settings(spec: RunSpec) -> str:
    """A run without what tells it from its repetitions, and with the settings that were not there when it was made."""
    split = spec.split.model_copy(update={"fold": 0})
    with suppress(GbenchError, ValidationError):
        config = model_class(spec.reference).Config.model_validate(spec.config).model_dump(mode="json")
        return spec.model_copy(update={"seed": 0, "split": split, "config": config}).canonical()
    return spec.canonical()


def run_state(spec: RunSpec, results: Path) -> State:
    """Where the run of one target stands."""
    folder = results / spec.run_id
    if not (folder / RESULT_FILE).is_file():
        return "new"
    try:
        result = read_result(folder)
    except DataError:
        # the run itself says what is wrong with it
        return "new"
    if result.status == "error":
        return "failed"
    current = dataset_card(spec.dataset).content_sha256
    same = result.dataset is not None and current in (None, result.dataset.sha256)
    return "done" if same and (folder / PREDICTIONS_FILE).is_file() else "new"


def _readable(paths: Iterable[Path]) -> Iterator[Result]:
    for path in paths:
        try:
            yield read_result(path.parent)
        except (DataError, OSError):
            continue


def _published() -> Iterator[Path]:
    return content("leaderboard").glob(f"results/*/*/*/{RESULT_FILE}")
