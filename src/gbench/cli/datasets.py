"""``gbench datasets``: what there is to learn from, and a person's own data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gbench.cli import complete, dataset_add
from gbench.cli.console import console, errors, print_json, table

if TYPE_CHECKING:
    from gbench.cards import DatasetCard, Target
    from gbench.mirror import Verified

app = typer.Typer(help="Datasets: what there is, what it holds, your own.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A name of `gbench datasets list`.", autocompletion=complete.datasets)]
Names = Annotated[
    list[str] | None, typer.Argument(help="Names of `gbench datasets list`.", autocompletion=complete.datasets)
]
All = Annotated[bool, typer.Option("--all", help="Every dataset.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]

WIDE = 110
"""Columns from which on licences have room."""
WHERE = {"here": "here", "mirror": "in the mirror", "download": "to download", "nowhere": "not at hand"}


@app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """All datasets, and where each would come from."""
    from gbench.errors import CardError
    from gbench.mirror import whereabouts
    from gbench.registry import dataset_card, dataset_names

    cards, broken = [], []
    for name in dataset_names():
        try:
            cards.append(dataset_card(name))
        except CardError as error:
            broken.append(str(error))
    if as_json:
        print_json([{**card.model_dump(mode="json"), "where": whereabouts(card)} for card in cards])
        _end_with(broken)
        return
    # on a narrow terminal, targets need the room
    columns = ("dataset", "crystals", "where", "targets", "licence")[: 5 if console.width >= WIDE else 4]
    shown = table(*columns, right=("crystals",))
    for column in (*shown.columns[:3], *shown.columns[4:]):
        column.no_wrap = True
    for card in cards:
        # the whole wording is in `info`
        licence, cut, _ = card.licence.replace(" (", ";").partition(";")
        where = WHERE[whereabouts(card)]
        row = (
            f"{card.name}@{card.version}",
            f"{card.crystals:,}",
            where,
            _targets(card),
            licence + ", ..." * bool(cut),
        )
        shown.add_row(*row[: len(columns)])
    console.print(shown)
    _end_with(broken)


def _targets(card: "DatasetCard") -> str:
    """Targets with their units, the default one first; by what they belong to."""
    order = sorted(card.targets, key=lambda name: name != card.default_target)
    parts = []
    for level, of in (("graph", ""), ("node", "per site: "), ("edge", "per pair: ")):
        own = [name for name in order if card.targets[name].level == level]
        if own:
            parts.append(of + ", ".join(f"{name}{_unit(card.targets[name])}" for name in own))
    return "; ".join(parts)


def _unit(target: "Target") -> str:
    if target.task == "classification":
        return " (class)"
    return "" if target.unit == "1" else f" ({target.unit})"


@app.command("info")
def info(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Card and overview as JSON.")] = False,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="The citation as BibTeX and nothing else.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the table of elements into this file.")] = None,
) -> None:
    """One dataset: sizes, elements, labels, errata, licence, citation."""
    from gbench.errors import FetchError
    from gbench.registry import dataset_card

    card = dataset_card(name)
    if bibtex:
        from gbench.bibtex import bibtex as as_bibtex

        typer.echo(as_bibtex(card))
        return
    from gbench.dataset import load
    from gbench.overview import overview

    seen, absent = None, ""
    try:
        seen = overview(load(name, download=False))
    except FetchError as error:
        absent = f"not at hand; `gbench datasets pull {name}` fetches it"
        if svg is not None:
            raise FetchError(f"--svg draws what {name} holds, which is {absent}") from error
    if svg is not None and seen is not None:
        from gbench.periodic_table import svg as draw
        from gbench.storage import atomic_path

        with atomic_path(svg) as temporary:
            temporary.write_text(draw(seen.elements, f"{card.name}@{card.version}"), encoding="utf-8")
        errors.print(f"wrote {svg}", soft_wrap=True)
    if as_json:
        print_json({"card": card.model_dump(mode="json"), "overview": seen.as_json() if seen else None})
        return
    from gbench.cli.dataset_info import print_info

    print_info(card, seen, absent)


@app.command("pull")
def pull(
    names: Names = None,
    everything: All = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="A folder to copy the files into: a mirror for machines without internet."),
    ] = None,
) -> None:
    """Fetch the files of datasets into the cache, or into a mirror folder."""
    from gbench.errors import GbenchError
    from gbench.mirror import pull as pull_dataset
    from gbench.mirror import write_sums

    failures: list[str] = []
    files: list[Path] = []
    for name in _chosen(names, everything):
        try:
            pulled = pull_dataset(name, to)
        except GbenchError as error:
            failures.append(f"{name}: {error}")
            console.print(f"{name}   failed")
            continue
        files += pulled.files
        size = sum(file.stat().st_size for file in pulled.files) / 1e6
        found = f"{len(pulled.files)} file{'s' if len(pulled.files) > 1 else ''}, {size:,.1f} MB"
        console.print(f"{name}   {found if pulled.files else 'needs no download, its data lies beside its card'}")
    if to is not None and files:
        console.print(f"\nwrote {write_sums(to, files)}; use the folder with GBENCH_MIRROR={to}", soft_wrap=True)
    _end_with(failures)


@app.command("verify")
def verify(names: Names = None, everything: All = False, as_json: Json = False) -> None:
    """Check files and content of datasets against their cards, fetching them if need be.

    Exit code 2 if anything is damaged, or if a dataset that was named cannot be reached. With --all, what cannot be
    reached is only listed.
    """
    from gbench.mirror import verify as verify_dataset

    found = []
    for name in _chosen(names, everything):
        if errors.is_terminal and not as_json:
            errors.print(f"checking {name} ...".ljust(60), end="\r")
        found.append(verify_dataset(name))
    if as_json:
        print_json([entry._asdict() for entry in found])
    else:
        _print_verified(found)
    damaged = [entry for entry in found if entry.status == "damaged"]
    missing = [] if everything else [entry for entry in found if entry.status == "unreachable"]
    _end_with([f"{entry.name}: {entry.found}" for entry in (*damaged, *missing)])


def _print_verified(found: "list[Verified]") -> None:
    shown = table("dataset", "status", "content sha256", "found")
    marks = {"ok": "ok", "unreachable": "unreachable here", "damaged": "DAMAGED"}
    for entry in found:
        sha256 = entry.sha256[:12] if entry.sha256 else ""
        said = entry.found if entry.status == "ok" else ""
        shown.add_row(f"{entry.name}@{entry.version}", marks[entry.status], sha256, said)
    console.print(shown)
    counts = {status: sum(entry.status == status for entry in found) for status in marks}
    console.print("\n" + ", ".join(f"{count} {marks[status]}" for status, count in counts.items() if count))


@app.command("card")
def card(
    name: Name,
    croissant: Annotated[bool, typer.Option("--croissant", help="As Croissant (MLCommons JSON-LD).")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write into this file.")] = None,
) -> None:
    """The card of a dataset, as YAML or as Croissant."""
    from gbench.registry import dataset_card, dataset_folder

    checked = dataset_card(name)
    if croissant:
        import json

        from gbench.croissant import croissant as as_croissant

        text = json.dumps(as_croissant(checked), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    else:
        text = (dataset_folder(name) / "card.yaml").read_text(encoding="utf-8")
    if out is None:
        typer.echo(text, nl=False)
        return
    from gbench.storage import atomic_path

    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    errors.print(f"wrote {out}", soft_wrap=True)


app.command("add")(dataset_add.add)


@app.command("remove")
def remove(name: Name) -> None:
    """Delete a dataset that you added, with all its versions. Results made on it stay."""
    from gbench.added import remove as remove_dataset

    console.print(f"removed {remove_dataset(name)}; results made on it stay where they are", soft_wrap=True)


def _chosen(names: list[str] | None, everything: bool) -> list[str]:
    from gbench.errors import UnknownNameError
    from gbench.registry import dataset_card, dataset_names

    if bool(names) == everything:
        raise UnknownNameError("name the datasets, or give --all for every one; `gbench datasets list` shows them")
    for name in names or ():
        if name not in dataset_names():
            dataset_card(name)
    return names or dataset_names()


def _end_with(failures: list[str]) -> None:
    if failures:
        for failure in failures:
            errors.print(f"error: {failure}", soft_wrap=True)
        raise typer.Exit(2)
