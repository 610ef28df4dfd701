"""``gbench leaderboard``: the static page."""

from pathlib import Path
from typing import Annotated

import typer

from gbench.cli.console import console

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
