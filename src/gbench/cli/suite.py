"""``gbench suite``: many runs from one file."""

import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gbench.cli.console import console, errors, print_json, table
from gbench.cli.signals import requeued

if TYPE_CHECKING:
    from gbench.sweep.executor import Executor
    from gbench.sweep.work import Outcome

EXECUTORS = ("local", "ray", "slurm")
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
@requeued()
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
    gpus: Annotated[float, typer.Option("--gpus", min=0, help="GPUs of each training, of ray and slurm.")] = 0.0,
    address: Annotated[
        str, typer.Option("--address", help="Of the Ray cluster, HOST:PORT; auto: the one here.")
    ] = "auto",
    retries: Annotated[
        int, typer.Option("--retries", min=0, help="Of ray: how often a training is begun anew after its node is lost.")
    ] = 3,
    slurm: Annotated[
        list[str] | None, typer.Option("--slurm", help="key=value for submitit: slurm_partition=gpu, timeout_min=60.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON and nothing else.")] = False,
    tracking: Annotated[bool, typer.Option(help="Mirror the suite to MLflow.")] = True,
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
    from gbench.sweep.tracked import TrackedSweep
    from gbench.tracking.suites import SuiteTracking

    asked_for = read_suite(suite)
    trainings = expand(asked_for, parse_only(only or []))
    plan = make_plan(trainings, results)
    placed = Placed(executor, workers, threads, gpus, address, retries, tuple(slurm or ()))
    made = placed.make(results, len(plan.left))
    if dry_run:
        show_plan(plan, results, made.slots if executor == "local" else workers, listed=True, as_json=as_json)
        return
    check_writable(results)
    outcomes: list[Outcome] = []
    mirrored = TrackedSweep(SuiteTracking(Path(suite).stem, results), expand(asked_for)) if tracking else None
    with StopOnSignals() as stop:
        try:
            with made if plan.left else nullcontext() as runs_on:
                if not as_json:
                    show_plan(plan, results, runs_on.slots if runs_on else None)
                with SweepLines(len(plan.left), results, quiet=as_json) as shown:
                    observer = mirrored.showing(shown) if mirrored else shown
                    outcomes = Sweep(results, runs_on, observer, stop).run(plan.left) if runs_on else []
        except KeyboardInterrupt:
            # the second Ctrl-C; what was finished is on disk
            if not stop.asked:
                raise
    # who stops a sweep does not wait for the server; `gbench track sync` sends the rest
    note = mirrored.close() if mirrored and not stop.asked else None
    if as_json:
        print_json(report_json(trainings, outcomes, results))
    else:
        report(trainings, outcomes, results)
        if note:
            console.print(f"MLflow  {note}", soft_wrap=True)
    if stop.asked:
        words = ["gbench", "suite", "run", suite, "--results", str(results), *placed.words()]
        again = shlex.join([*words, *(word for one in only or [] for word in ("--only", one))])
        errors.print(f"stopped; checkpoints are safe. Go on with: {again}", soft_wrap=True)
        raise typer.Exit(stop.code)
    if any(outcome.kind != "done" for outcome in outcomes):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Placed:
    """Where and how trainings run, as the flags say."""

    executor: str
    workers: int | None
    threads: int | None
    gpus: float
    address: str
    retries: int
    slurm: tuple[str, ...]

    def make(self, results: Path, jobs: int) -> "Executor":
        """The executor for so many jobs.

        Raises:
            UnknownNameError: no such executor.
            SweepError: flags that do not fit it.
        """
        from gbench.errors import SweepError, unknown

        if self.executor not in EXECUTORS:
            raise unknown("executor", self.executor, EXECUTORS)
        given = {"--gpus": self.gpus, "--slurm": self.slurm}
        for flag, takers in {"--gpus": ("ray", "slurm"), "--slurm": ("slurm",)}.items():
            if given[flag] and self.executor not in takers:
                raise SweepError(f"{flag} is for --executor {' and '.join(takers)}; leave it out with {self.executor}")
        if self.executor == "ray":
            from gbench.sweep.on_ray import OnRay

            return OnRay(self.address, results, self.threads or 1, self.gpus, self.retries, self.workers)
        if self.executor == "slurm":
            from gbench.sweep.on_slurm import LONGEST_ARRAY, OnSlurm

            slots = self.workers or LONGEST_ARRAY
            return OnSlurm(results, slots, self.threads or 1, int(self.gpus), _parameters(self.slurm))
        from gbench.sweep.local import local

        return local(self.workers, self.threads, jobs)

    def words(self) -> list[str]:
        """The flags, as far as they are not the usual ones."""
        usual = Placed("local", None, None, 0.0, "auto", 3, ())
        named = {name: value for name, value in vars(self).items() if value != getattr(usual, name)}
        pairs = [(f"--{name}", one) for name, value in named.items() for one in (value if name == "slurm" else [value])]
        return [str(word) for pair in pairs for word in pair]


def _parameters(words: Sequence[str]) -> dict[str, Any]:
    import yaml

    from gbench.errors import SweepError

    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise SweepError(f"--slurm {word}: write key=value, e.g. --slurm slurm_partition=gpu")
        found[key] = yaml.safe_load(value)
    return found
