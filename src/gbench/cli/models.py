"""``gbench models``: what there is to train, and models of your own."""

import shlex
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gbench.cli import complete
from gbench.cli.console import console, errors, facts, print_json, shorten, table

if TYPE_CHECKING:
    from gbench.cards import ModelCard
    from gbench.laws import Report
    from gbench.model_facts import ModelFacts

app = typer.Typer(help="Models: cards, settings, and models of your own.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Cards as JSON.")] = False) -> None:
    """All models."""
    from gbench.plugins import shadowed

    cards = list(_readable_cards())
    for sentence in shadowed():
        errors.print(f"warning: {sentence}", soft_wrap=True)
    if as_json:
        print_json([card.model_dump(mode="json") for card in cards])
        return
    shown = table("name", "title", "framework", "levels", "source")
    for card in cards:
        source = (
            f"{card.paper.authors.split(',')[0].split(' and ')[0].split(' et ')[0]} {card.paper.year}"
            if card.paper
            else ""
        )
        shown.add_row(card.name, card.title, card.framework, ", ".join(card.levels), source)
    console.print(shown)


def _readable_cards() -> "Iterator[ModelCard]":
    """Of gbench's own models and of installed ones; one that a package broke is a warning, not the end of the list."""
    from gbench.errors import CardError
    from gbench.registry import model_card, model_names, own_model_names

    for name in model_names():
        try:
            yield model_card(name)
        except CardError as error:
            if name in own_model_names():
                raise
            errors.print(f"warning: {error}", soft_wrap=True)


@app.command("new")
def new_model(
    name: Annotated[str, typer.Argument(help="Letters, digits and _.")],
    out: Annotated[Path, typer.Option("--out", help="Where its folder is made.")] = Path(),
) -> None:
    """A model to begin with: card, code and test in a folder of its own."""
    from gbench.new_model import write_new_model

    folder = write_new_model(name, out).as_posix()
    shown = shlex.quote(folder if "/" in folder else f"./{folder}")
    console.print(f"{folder}: card.yaml, model.py, test_model.py", soft_wrap=True)
    console.print(f"check   gbench models check {shown}", soft_wrap=True)
    console.print(f"run     gbench run --model {shown}", soft_wrap=True)


@app.command("check")
def check_model(
    model: Annotated[str, typer.Argument(help="A name, or a folder: ./my_model.", autocompletion=complete.models)],
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Hold a model to the laws: symmetries, batches, seeds, gradients, frameworks. Exit code 1 if it breaks one."""
    from gbench.laws import check

    with console.status("") if console.is_terminal and not as_json else nullcontext() as status:
        report = check(model, lambda law: status.update(law) if status is not None else None)
    if as_json:
        print_json({"holds": report.holds, **report.model_dump(mode="json")})
    else:
        _show_report(report)
    if not report.holds:
        raise typer.Exit(1)


def _show_report(report: "Report") -> None:
    from gbench import __version__

    code = f"card and code {shorten(report.origin.sha256)}" if report.origin else "part of gbench"
    console.print(f"{report.model}   {code}   checked by gbench {__version__}", style="bold", soft_wrap=True)
    if report.facts and report.facts.parameters is not None:
        known, field = report.facts, report.facts.receptive_field
        reach = f"   receptive field {field}" if field else ""
        console.print(f"{known.parameters:,} parameters{reach}   on {known.dataset} / {known.target}", soft_wrap=True)
    shown = table("law", "result", "largest change", "limit", "", right=("largest change", "limit"))
    for finding in report.findings:
        largest, limit = ("" if value is None else f"{value:.0e}" for value in (finding.largest, finding.limit))
        style = "bold" if finding.holds is False else "dim" if finding.holds is None else ""
        shown.add_row(finding.law, finding.result, largest, limit, finding.note, style=style)
    console.print(shown)
    results = [finding.holds for finding in report.findings]
    counts = {"hold": results.count(True), "broken": results.count(False), "not checked": results.count(None)}
    console.print(", ".join(f"{count} {what}" for what, count in counts.items() if count), soft_wrap=True)


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="A name, or a folder: ./my_model.", autocompletion=complete.models)],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="With the settings for this one.", autocompletion=complete.datasets),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Card and facts as JSON.")] = False,
) -> None:
    """One model: its card, the settings it runs with, and what is worked out of it: size, reach, time to train."""
    from gbench.registry import model_card

    card = model_card(name)
    # names are checked before torch is imported, so that a slip of the pen is answered at once
    from gbench.model_facts import facts_of

    known = facts_of(name, dataset)
    if as_json:
        print_json({**card.model_dump(mode="json"), "facts": known.model_dump(mode="json")})
        return
    console.print(f"{card.name}   {card.title} ({_frameworks(card)})", style="bold")
    console.print(card.description)
    console.print(facts([*_of_card(card), *_worked_out(known), *_settings(card, dataset)]))


def _frameworks(card: "ModelCard") -> str:
    return f"{card.framework} and dgl" if card.dgl else card.framework


def _of_card(card: "ModelCard") -> "Iterator[tuple[str, str]]":
    if card.paper:
        yield "source", f"{card.paper.authors} {card.paper.year}, {card.paper.title}, {card.paper.url}"
    yield "licence", card.licence
    yield "levels", ", ".join(card.levels)
    yield "symmetries", ", ".join(card.symmetries) or "none claimed"


def _worked_out(known: "ModelFacts") -> "Iterator[tuple[str, str]]":
    if known.parameters is not None:
        yield "parameters", f"{known.parameters:,} on {known.dataset} / {known.target}"
    if known.receptive_field is not None:
        yield "receptive field", f"{known.receptive_field}   ({known.graph})"
    times = [f"{time}" for time in known.training]
    yield "training, one fold", "\n".join(times) or "no published run has these settings"


def _settings(card: "ModelCard", dataset: str | None) -> "Iterator[tuple[str, str]]":
    tuned = {key: value for key, value in card.tuned.items() if dataset in (None, key)}
    for place, settings in (("settings", card.defaults), *((f"on {key}", value) for key, value in tuned.items())):
        if settings.words:
            yield place, "  ".join(settings.words)
    if card.tuning:
        yield "tuning", card.tuning
