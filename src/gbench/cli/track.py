"""``gbench track``: results and MLflow."""

from pathlib import Path
from typing import Annotated

import typer

from gbench.cli.console import console

app = typer.Typer(help="Results in MLflow.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Results in MLflow."""


@app.command("sync")
def sync(results: Annotated[Path, typer.Option("--results", help="Folder of results.")] = Path("results")) -> None:
    """Send every result that is not on the tracking server yet."""
    from gbench.tracking import track, tracking_uri, untracked

    folders = untracked(results)
    for folder in folders:
        track(folder)
    console.print(f"{len(folders)} runs sent to {tracking_uri(results)}", soft_wrap=True)
