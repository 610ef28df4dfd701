"""``gbench datasets add``: a person's own data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gbench.cli.console import console, decimals, table

if TYPE_CHECKING:
    from gbench.adding import Added

Text = str | None


def add(
    path: Annotated[
        Path,
        typer.Argument(
            help="A folder of CIF or POSCAR files with id_prop.csv, an .xyz, an ASE .db, a .json[.gz], .jsonl[.gz] or "
            ".parquet with structures.",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="What to call the dataset.", show_default=False)],
    target: Annotated[
        Text, typer.Option("--target", "-t", help="The property; the only one in the data if not given.")
    ] = None,
    unit: Annotated[Text, typer.Option("--unit", "-u", help="Unit of the labels, e.g. eV/atom; 1 for none.")] = None,
    column: Annotated[
        Text, typer.Option("--column", help="The property's name in the data, where it is not --target.")
    ] = None,
    level: Annotated[
        Literal["graph", "node", "edge"] | None,
        typer.Option("--level", help="What a label belongs to: the crystal, a site, a pair. Seen from its shape."),
    ] = None,
    task: Annotated[
        Literal["regression", "classification"] | None,
        typer.Option("--task", help="classification: labels are 0 and 1."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="key=value: rows to keep, e.g. functional=PBE. Repeatable.")
    ] = None,
    id_column: Annotated[Text, typer.Option("--id-column", help="The column or key that holds the ids.")] = None,
    labels: Annotated[
        Text, typer.Option("--labels", help="The label file of a folder, where it is not id_prop.csv.")
    ] = None,
    directed: Annotated[
        bool | None,
        typer.Option("--directed/--undirected", help="Edge labels: whether (i, j) may differ from (j, i)."),
    ] = None,
    extensive: Annotated[
        bool, typer.Option("--extensive", help="Crystal labels: they grow with the cell, as a total energy does.")
    ] = False,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="key=value: how labels were computed, e.g. code=VASP. Repeatable."),
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Licence of the data.")] = "not stated",
    citation: Annotated[str, typer.Option("--citation", help="How to cite it.")] = "not stated",
    doi: Annotated[Text, typer.Option("--doi", help="DOI of the work to cite.")] = None,
    title: Annotated[Text, typer.Option("--title", help="A title.")] = None,
    description: Annotated[Text, typer.Option("--description", help="What the data is.")] = None,
    version: Annotated[str, typer.Option("--version", help="Version; one that exists never changes.")] = "1",
) -> None:
    """Add your own data; it then works everywhere: run, splits, leaderboard."""
    from gbench.adding import Request
    from gbench.adding import add as add_dataset

    request = Request(
        name=name,
        target=target,
        unit=unit,
        column=column,
        level=level,
        task=task,
        directed=directed,
        extensive=extensive,
        version=version,
        title=title,
        description=description,
        licence=licence,
        citation=citation,
        doi=doi,
        method=_pairs("--method", method),
        where=_pairs("--where", where),
        id_column=id_column,
        labels=labels,
    )
    _print(add_dataset(path, request))


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    from gbench.errors import DataError

    pairs = {}
    for text in given or []:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise DataError(f"{option} {text}: write key=value, e.g. {option} functional=PBE")
        pairs[key] = value
    return pairs


def _print(added: "Added") -> None:
    import numpy as np

    card, crystals = added.card, added.crystals
    ((name, about),) = card.targets.items()
    values = crystals.labels(name)
    known = values[~np.isnan(values)]
    places = decimals(np.percentile(np.abs(known), [25, 100]).tolist()) if about.task == "regression" else 0
    sizes = crystals.n_atoms
    facts = [f"{len(crystals):,} crystals", f"{len(np.unique(crystals.numbers))} elements"]
    facts.append(f"{sizes.min()} to {sizes.max()} atoms")
    spread = f"{known.min():.{places}f} to {known.max():.{places}f}, mean {known.mean():.{places}f}"
    if about.task == "classification":
        spread = f"{known.mean():.1%} are 1"
    of = {"graph": "crystals", "node": "sites", "edge": "pairs"}[about.level]
    shown = table("", "")
    shown.show_header = False
    shown.add_row("added", f"{card.name}@{card.version}   {', '.join(facts)}")
    kind = (
        f"{about.level}, {about.task}"
        + (", directed" if about.directed else "")
        + (", extensive" if about.extensive else "")
    )
    shown.add_row("target", f"{name} ({about.unit})   {kind}")
    shown.add_row("labels", f"{len(known):,} of {len(values):,} {of}   {spread}")
    shown.add_row("split", f"{card.default_split}, unless you say --split")
    shown.add_row("folder", str(added.folder))
    for note in added.notes:
        shown.add_row("note", note)
    shown.add_row("next", f"gbench run --model cgcnn --dataset {card.name}")
    console.print(shown)
