"""``gbench leaderboard``: the static page."""

from pathlib import Path
from typing import Annotated

import typer

from gbench.cli.console import console, print_json

app = typer.Typer(help="The leaderboard page.", no_args_is_help=True)


@app.command("build")
def build_leaderboard(
    out: Annotated[Path, typer.Option("--out", help="Folder of the page.")] = Path("site"),
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Local results, shown beside the published ones; default: results/."),
    ] = None,
) -> None:
    """Render published and local results to one static folder that opens without a server."""
    from gbench.content import content
    from gbench.errors import DataError
    from gbench.site.build import build

    if results is not None and not results.is_dir():
        raise DataError(f"{results}: no such folder of results; give the folder that `gbench run` wrote to")
    page = build([content("leaderboard") / "results", results or Path("results")], out)
    console.print(f"leaderboard  {page.resolve().as_uri()}", soft_wrap=True)


@app.command("check")
def check_leaderboard(
    results: Annotated[Path | None, typer.Argument(help="Folder of results; default: the published ones.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check results against their predictions and the data they name; ends with 1 if one does not hold."""
    from gbench.site.add import check_results

    found = check_results(results)
    if as_json:
        print_json(vars(found))
    else:
        for run_id, why in found.problems.items():
            console.print(f"{run_id}   {why}", soft_wrap=True)
        console.print(f"{found.results - len(found.problems)} of {found.results} results hold", soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)


@app.command("add")
def add_to_leaderboard(
    results: Annotated[Path, typer.Argument(help="Folder of results, or of one run.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check results against their predictions and copy them, without weights, to the published ones."""
    from gbench.site.add import add_results
    from gbench.site.runs import verified_results

    made = add_results(results)
    if as_json:
        print_json(vars(made))
    else:
        for run_id, why in made.refused.items():
            console.print(f"{run_id}   not added: {why}", soft_wrap=True)
        console.print(
            f"{len(made.added)} added to {verified_results()}, {len(made.there)} there before, "
            f"{len(made.refused)} not added",
            soft_wrap=True,
        )
    if made.refused:
        raise typer.Exit(1)
