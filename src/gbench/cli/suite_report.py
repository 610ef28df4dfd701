"""What a sweep has before it, and what came of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gbench.cli.console import console, decimals, print_json, table
from gbench.errors import DataError
from gbench.registry import dataset_card
from gbench.result import RESULT_FILE, Result, read_result
from gbench.site.rows import Row, Table
from gbench.site.runs import ScoredRun
from gbench.site.tables import make_tables
from gbench.spec import RunSpec
from gbench.sweep.expand import Training
from gbench.sweep.plan import Plan, State
from gbench.sweep.work import Outcome

SAID: dict[State, str] = {
    "done": "done",
    "failed": "failed, to be tried again",
    "begun": "begun, with a checkpoint",
    "new": "to run",
}


class Found(NamedTuple):
    """A run of a suite and its result, if there is one."""

    spec: RunSpec
    result: Result | None
    problem: str = ""

    @property
    def error(self) -> str | None:
        """Why it has no scores."""
        failure = self.result.error if self.result else None
        return failure.message if failure else self.problem or None


def show_plan(plan: Plan, results: Path, slots: int | None, *, listed: bool = False, as_json: bool = False) -> None:
    """How many trainings there are, where they stand, and how long the rest takes; with ``listed`` each of them."""
    if as_json:
        print_json(_plan_json(plan))
        return
    if listed:
        numbers = ("past, s",)
        shown = table("run", "model", "dataset / target", "split", "fold", "seed", *numbers, "", right=numbers)
        for training, state, seconds in zip(plan.trainings, plan.states, plan.seconds, strict=True):
            spec = training.spec
            shown.add_row(
                training.run_id, spec.model, f"{spec.dataset} / {','.join(spec.learned)}", spec.split.scheme,
                str(spec.split.fold), str(spec.seed), "" if seconds is None else f"{seconds:.3g}", SAID[state],
            )  # fmt: skip
        console.print(shown)
    counts = Counter(plan.states)
    said = ", ".join(f"{counts[state]} {words}" for state, words in SAID.items() if counts[state])
    console.print(f"{len(plan.trainings)} trainings: {said}   results in {results}", soft_wrap=True)
    if plan.left:
        console.print(_estimate(plan, slots), soft_wrap=True)


def report(trainings: Sequence[Training], outcomes: Sequence[Outcome], results: Path) -> None:
    """A table for each task with the mean over folds and seeds of every model, then what went wrong."""
    found = list(_results(trainings, results))
    for made in _tables(found, results):
        _show_table(made)
    failed = [outcome for outcome in outcomes if outcome.kind != "done"]
    titles = {training.run_id: training.title for training in trainings}
    if failed:
        console.print()
        console.print(f"{len(failed)} trainings failed; the same command tries them again")
        for outcome in failed:
            console.print(f"  {outcome.run_id}   {titles[outcome.run_id]}   {outcome.message}", soft_wrap=True)
    missing = sum(one.result is None or one.result.status != "ok" for one in found)
    console.print()
    console.print(
        f"{len(found) - missing} of {len(found)} runs have a result in {results}   "
        f"gbench leaderboard build --results {results}",
        soft_wrap=True,
    )


def report_json(trainings: Sequence[Training], outcomes: Sequence[Outcome], results: Path) -> dict[str, Any]:
    """The same for programs: ``runs``, each with its scores, and ``rows``, the means."""
    found = list(_results(trainings, results))
    messages = {outcome.run_id: outcome.message for outcome in outcomes}
    return {
        "runs": [
            {
                "run_id": one.spec.run_id,
                "spec": one.spec.model_dump(mode="json"),
                "status": one.result.status if one.result else "missing",
                "metrics": {name: metric.value for name, metric in one.result.metrics.items()} if one.result else {},
                "error": messages.get(one.spec.run_id) or one.error,
            }
            for one in found
        ],
        "rows": [_row_json(made, row) for made in _tables(found, results) for row in made.rows],
    }


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "trainings": [
            {
                "run_id": training.run_id,
                "state": state,
                "past_seconds": seconds,
                "spec": training.spec.model_dump(mode="json"),
            }
            for training, state, seconds in zip(plan.trainings, plan.states, plan.seconds, strict=True)
        ],
        "left": len(plan.left),
        "past_seconds_of_left": plan.known_seconds,
        "left_without_past": plan.unknown,
    }


def _estimate(plan: Plan, slots: int | None) -> str:
    if plan.unknown == len(plan.left):
        return "no run with these settings was made before: how long this takes is not known"
    told = f"{duration(plan.known_seconds)} of training by past results"
    told += f", about {duration(plan.known_seconds / slots)} with {slots} at once" if slots else ""
    return told + (f"; {plan.unknown} without a past result are not counted" if plan.unknown else "")


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


def _results(trainings: Sequence[Training], results: Path) -> Iterator[Found]:
    for spec in (spec for training in trainings for spec in training.runs):
        folder = results / spec.run_id
        if not (folder / RESULT_FILE).is_file():
            yield Found(spec, None)
            continue
        try:
            yield Found(spec, read_result(folder))
        except DataError as error:
            yield Found(spec, None, str(error))


def _tables(found: Sequence[Found], results: Path) -> list[Table]:
    runs = []
    for one in found:
        result = one.result
        if result is None or result.status != "ok" or "mae" not in result.metrics:
            continue
        if result.dataset is not None and result.split is not None:
            folder = results / one.spec.run_id
            runs.append(ScoredRun(result, folder, result.dataset, result.split, result.metrics["mae"]))
    return make_tables(runs, {}, {name: dataset_card(name) for name in {run.dataset.name for run in runs}})


def _show_table(made: Table) -> None:
    places = decimals([row.mae.value for row in made.rows])
    numbers = ("test MAE", "95 % interval", "skill", "folds", "seeds", "train, s")
    shown = table("model", *numbers, "", right=numbers)
    shown.columns[0].min_width = max(len(row.model) for row in made.rows)
    for row in made.rows:
        shown.add_row(
            row.model,
            f"{row.mae.value:.{places}f}",
            f"{row.mae.low:.{places}f} - {row.mae.high:.{places}f}",
            "" if row.skill is None else f"{row.skill:.0%}",
            str(len(row.folds)),
            str(_seeds(row)),
            "" if row.train_seconds is None else f"{row.train_seconds:.3g}",
            _remarks(row),
        )
    console.print()
    console.print(f"{made.dataset} / {made.target}, {made.unit}, {made.split_label} split", style="dim")
    console.print(shown)


def _seeds(row: Row) -> int:
    return len({run.result.spec.seed for run in row.runs})


def _remarks(row: Row) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in row.settings)
    return "; ".join(filter(None, (settings, row.reason, "some folds only" if row.standing == "partial" else "")))


def _row_json(made: Table, row: Row) -> dict[str, Any]:
    return {
        "dataset": made.dataset,
        "target": made.target,
        "split": made.split_label,
        "model": row.model,
        "settings": dict(row.settings),
        "unit": made.unit,
        "mae": row.mae.value,
        "low": row.mae.low,
        "high": row.mae.high,
        "folds": list(row.folds),
        "seeds": _seeds(row),
        "run_ids": [run.run_id for run in row.runs],
    }
