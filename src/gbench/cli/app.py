"""All commands. Heavy modules are imported inside the commands, so that ``gbench --help`` answers at once."""

from typing import Annotated

import typer

from gbench import __version__
from gbench.cli import (
    datasets,
    doctor,
    graphs,
    leaderboard,
    models,
    regress,
    run,
    split_cards,
    splits,
    suite,
    track,
    tune,
)

app = typer.Typer(
    name="gbench",
    help="Which graph neural network to trust for a materials property, and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"gbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Which graph neural network to trust for a materials property, and why."""


app.command("run")(run.run)
app.command("tune")(tune.tune)
app.command("doctor")(doctor.doctor)
app.add_typer(datasets.app, name="datasets")
app.add_typer(graphs.app, name="graphs")
app.add_typer(models.app, name="models")
splits.app.command("audit")(split_cards.audit)
splits.app.command("compare")(split_cards.compare)
app.add_typer(splits.app, name="splits")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(suite.app, name="suite")
app.add_typer(track.app, name="track")
app.add_typer(regress.app, name="regress")
