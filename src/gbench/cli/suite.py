"""``gbench suite``: many runs from one file."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gbench.cli.console import console, errors, print_json, table

if TYPE_CHECKING:
    from gbench.sweep.executor import Executor

app = typer.Typer(help="Suites of runs.", no_args_is_help=True)


@app.command("list")
def list_suites(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """The suites that come with gbench."""
    from gbench.sweep.suite import read_suite, suite_names

    about = {name: read_suite(name).about for name in suite_names()}
    if as_json:
        print_json([{"name": name, "about": text} for name, text in about.items()])
        return
    shown = table("suite", "what for")
    for name, text in about.items():
        shown.add_row(name, text)
    console.print(shown)


@app.command("run")
def run_suite(
    suite: Annotated[str, typer.Argument(help="A YAML file, or a name of `gbench suite list`.", show_default=False)],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Of its runs those with key=value: model=cgcnn,dataset=qm9_mini.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and for how long.")] = False,
    results: Annotated[Path, typer.Option("--results", help="Where results are written.")] = Path("results"),
    executor: Annotated[
        str, typer.Option("--executor", "-e", help="local (processes here), ray (a cluster) or slurm (job arrays).")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Trainings at once; default: as many as fit.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Cores of each training; default: what is to spare.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON and nothing else.")] = False,
) -> None:
    """Run all that a suite asks for and is not done yet, then show the scores.

    Runs that are done are not repeated, failed ones are tried again, interrupted ones go on from their checkpoint.
    Several sweeps may share a folder of results: each training is done by one of them.
    """
    from gbench.cli.suite_progress import StopOnSignals, SweepLines
    from gbench.cli.suite_report import report, report_json, show_plan
    from gbench.sweep.expand import expand, parse_only
    from gbench.sweep.plan import make_plan
    from gbench.sweep.suite import read_suite
    from gbench.sweep.sweep import Sweep, check_writable

    trainings = expand(read_suite(suite), parse_only(only or []))
    plan = make_plan(trainings, results)
    runs_on = _executor(executor, workers, threads, len(plan.left))
    if dry_run or not as_json:
        show_plan(plan, results, runs_on.slots, listed=dry_run, as_json=as_json)
    if dry_run:
        return
    check_writable(results)
    outcomes = []
    with StopOnSignals() as stop, SweepLines(len(plan.left), results, quiet=as_json) as observer:
        if plan.left:
            with runs_on:
                outcomes = Sweep(results, runs_on, observer, stop).run(plan.left)
    if as_json:
        print_json(report_json(trainings, outcomes, results))
    else:
        report(trainings, outcomes, results)
    if stop.asked:
        again = _again(suite, only or [], results, executor, workers, threads)
        errors.print(f"stopped; checkpoints are safe. Go on with: {again}", soft_wrap=True)
        raise typer.Exit(128 + stop.signal)
    if any(outcome.kind != "done" for outcome in outcomes):
        raise typer.Exit(1)


def _executor(name: str, workers: int | None, threads: int | None, jobs: int) -> "Executor":
    from gbench.errors import unknown
    from gbench.sweep.local import local

    if name == "local":
        return local(workers, threads, jobs)
    raise unknown("executor", name, ("local",))


def _again(suite: str, only: list[str], results: Path, executor: str, workers: int | None, threads: int | None) -> str:
    words = ["gbench", "suite", "run", suite, "--results", str(results)]
    words += [word for one in only for word in ("--only", one)]
    words += ["--executor", executor] if executor != "local" else []
    for flag, value in (("--workers", workers), ("--threads", threads)):
        words += [flag, str(value)] if value else []
    return shlex.join(words)
