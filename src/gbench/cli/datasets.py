"""``gbench datasets``: what there is to learn from."""

from typing import Annotated

import typer

from gbench.cli import complete, dataset_add
from gbench.cli.console import console, print_json, table

app = typer.Typer(help="Datasets: cards and content.", no_args_is_help=True)

app.command("add")(dataset_add.add)

Name = Annotated[str, typer.Argument(help="A name of `gbench datasets list`.", autocompletion=complete.datasets)]


@app.command("list")
def list_datasets(as_json: Annotated[bool, typer.Option("--json", help="Cards as JSON.")] = False) -> None:
    """All datasets."""
    from gbench.registry import dataset_card, dataset_names

    cards = [dataset_card(name) for name in dataset_names()]
    if as_json:
        print_json([card.model_dump(mode="json") for card in cards])
        return
    shown = table("name", "version", "crystals", "targets", "default split", "licence", right=("crystals",))
    for card in cards:
        targets = ", ".join(f"{name} ({target.unit})" for name, target in card.targets.items())
        shown.add_row(card.name, card.version, f"{card.crystals:,}", targets, card.default_split, card.licence)
    console.print(shown)


@app.command("show")
def show_dataset(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON.")] = False,
) -> None:
    """One dataset: its card."""
    from gbench.registry import dataset_card

    card = dataset_card(name)
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    console.print(f"{card.name}@{card.version}   {card.title}   {card.crystals:,} crystals", style="bold")
    console.print(card.description)
    if card.near_duplicates:
        console.print(f"near-duplicates: {card.near_duplicates}")
    console.print()
    shown = table("target", "level", "unit", "label noise", "description", right=("label noise",))
    for key, target in card.targets.items():
        shown.add_row(key, target.level, target.unit, f"{target.noise:g}" if target.noise else "", target.description)
    console.print(shown)
    for key, target in card.targets.items():
        console.print(f"\n{key}: " + "; ".join(f"{what} {how}" for what, how in target.method.items()))
    console.print()
    for erratum in card.errata:
        console.print(f"{erratum.count} rows {erratum.action}: {erratum.why}")
    console.print(f"licence {card.licence}")
    doi = f" https://doi.org/{card.citation.doi}" if card.citation.doi else ""
    console.print(f"cite    {card.citation.text}{doi}")


@app.command("verify")
def verify_dataset(name: Name) -> None:
    """Fetch a dataset if need be, and check files and content against its card."""
    from gbench.dataset import load

    dataset = load(name)
    console.print(
        f"{name}@{dataset.card.version}: ok, {len(dataset.crystals):,} crystals, content {dataset.sha256[:16]}"
    )
