"""``gbench track``: results and MLflow."""

from pathlib import Path
from typing import Annotated

import typer

from gbench.cli.console import console, print_json, table

app = typer.Typer(help="Results in MLflow.", no_args_is_help=True)

Results = Annotated[Path, typer.Option("--results", help="Folder of results.")]


@app.callback()
def _group() -> None:
    """Results in MLflow."""


@app.command("sync")
def sync(results: Results = Path("results")) -> None:
    """Send every result that is not on the tracking server, which may have lost what it had."""
    from gbench.tracking import sync
    from gbench.tracking.server import show_command
    from gbench.waiting import bar

    with bar("results", None) as advance:
        done = sync(results, lambda _run_id, _sent: advance(1))
    there = len(done.placed) - done.sent
    console.print(f"{done.sent} runs sent, {there} were there   {show_command(done.uri)}", soft_wrap=True)


@app.command("register")
def register(
    results: Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the versions as JSON.")] = False,
) -> None:
    """Register the best model of each task, by its validation score, with the alias `best`."""
    from gbench.tracking import register_best

    made = register_best(results)
    if as_json:
        print_json(
            [
                {
                    "name": one.best.name, "version": one.version, "run_id": one.best.result.run_id,
                    "model": one.best.result.spec.model, "validation": {one.best.score: one.best.mean},
                    "runs": one.best.runs,
                }
                for one in made
            ]
        )  # fmt: skip
        return
    if not made:
        console.print(f"no finished run in {results} has weights that could be registered", soft_wrap=True)
        return
    numbers = ("version", "validation", "runs")
    shown = table("registered", *numbers[:1], "model", "judged by", *numbers[1:], "run", right=numbers)
    for one in made:
        best = one.best
        score = best.score.upper().replace("_", " ")
        row = (best.name, one.version, best.result.spec.model, score, f"{best.mean:.4g}", str(best.runs))
        shown.add_row(*row, best.result.run_id)
    console.print(shown)
