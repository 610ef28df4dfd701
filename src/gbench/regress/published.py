"""Published results, made again."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from gbench.content import content
from gbench.errors import SpecError
from gbench.registry import dataset_card
from gbench.regress.suite import PublishedCase
from gbench.result import RESULT_FILE, Result, read_result
from gbench.runner import run_spec


class Pair(NamedTuple):
    """The MAE of a run, as published and as it is now."""

    fold: int
    published: float
    now: float

    @property
    def difference(self) -> float:
        """Relative."""
        return self.now / self.published - 1


def published_runs(case: PublishedCase) -> list[Result]:
    """What the leaderboard holds of a case, by fold.

    Raises:
        SpecError: nothing.
    """
    target = case.target or dataset_card(case.dataset).default_target
    paths = content("leaderboard").glob(f"results/{case.dataset}/{case.model}/*/{RESULT_FILE}")
    found = [read_result(path.parent) for path in sorted(paths)]
    wanted = [run for run in found if run.spec.target == target and run.spec.split.scheme == case.split]
    if not wanted:
        raise SpecError(
            f"no published result of {case.model!r} on {case.dataset}/{target} under the {case.split} split; "
            f"leave it out of the suite"
        )
    return sorted(wanted, key=lambda run: (run.spec.split.fold, run.spec.seed))


def again(case: PublishedCase) -> list[Pair]:
    """Every published run of a case, run again.

    Raises:
        GbenchError: there is none, or it cannot be run.
    """
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for run in published_runs(case):
            now = run_spec(run.spec, Path(folder), allow_leak=True)
            pairs.append(Pair(run.spec.split.fold, run.metrics["mae"].value, now.metrics["mae"].value))
    return pairs
