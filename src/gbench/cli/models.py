"""``gbench models``: what there is to train."""

from typing import Annotated

import typer

from gbench.cli import complete
from gbench.cli.console import console, facts, print_json, table

app = typer.Typer(help="Models: cards and settings.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Cards as JSON.")] = False) -> None:
    """All models."""
    from gbench.registry import model_card, model_names

    cards = [model_card(name) for name in model_names()]
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


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="A name of `gbench models list`.", autocompletion=complete.models)],
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON.")] = False,
) -> None:
    """One model: its card and the settings it runs with."""
    from gbench.registry import model_card

    card = model_card(name)
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    console.print(f"{card.name}   {card.title} ({card.framework})", style="bold")
    console.print(card.description)
    known = []
    if card.paper:
        known.append(("source", f"{card.paper.authors} {card.paper.year}, {card.paper.title}, {card.paper.url}"))
    known += [("levels", ", ".join(card.levels)), ("symmetries", ", ".join(card.symmetries) or "none claimed")]
    for place, settings in (("settings", card.defaults), *((f"on {key}", value) for key, value in card.tuned.items())):
        words = [
            f"{section}.{key}={value}"
            for section, values in (
                ("model", settings.config),
                ("graph", settings.graph),
                ("training", settings.training),
            )
            for key, value in values.items()
        ]
        if words:
            known.append((place, "  ".join(words)))
    if card.tuning:
        known.append(("tuning", card.tuning))
    console.print(facts(known))
