"""``gbench splits``: how data is divided, and how hard a division is."""

from typing import TYPE_CHECKING, Annotated

import typer

from gbench.cli import complete
from gbench.cli.console import console, print_json, table

if TYPE_CHECKING:
    from gbench.spec import AnySplit

app = typer.Typer(help="Splits: schemes, sizes, shift.", no_args_is_help=True)
Dataset = Annotated[
    str, typer.Option("--dataset", "-d", help="A name of `gbench datasets list`.", autocompletion=complete.datasets)
]
Scheme = Annotated[str, typer.Argument(help="A name of `gbench splits list`.", autocompletion=complete.schemes)]
Settings = Annotated[list[str] | None, typer.Option("--set", help="split.key=value, e.g. split.n_clusters=20.")]


@app.command("list")
def list_splits(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """All schemes and their parameters."""
    from gbench.spec import SPLITS

    rows = [(name, kind.__doc__ or "", kind().model_dump(exclude={"scheme", "fold"})) for name, kind in SPLITS.items()]
    if as_json:
        print_json([{"scheme": name, "description": doc, "parameters": given} for name, doc, given in rows])
        return
    shown = table("scheme", "what is held out", "parameters")
    for name, doc, given in rows:
        shown.add_row(
            name, doc.splitlines()[0].replace("``", ""), ", ".join(f"{key}={value}" for key, value in given.items())
        )
    console.print(shown)


@app.command("show")
def show_split(
    scheme: Scheme,
    dataset: Dataset = "pbe_prototypes",
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """All folds of a scheme on a dataset: sizes, hash, shift."""
    from gbench.dataset import load
    from gbench.frozen import get_split
    from gbench.shift import measure_shift
    from gbench.splitting import fold_count

    loaded, spec = load(dataset), _spec(scheme, settings)
    rows = []
    for fold in range(fold_count(loaded, spec)):
        split = get_split(loaded, spec.model_copy(update={"fold": fold}))
        shift = measure_shift(loaded, split)
        sizes = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
        rows.append((fold, sizes, split, shift))
    if as_json:
        print_json(
            [
                {
                    "fold": fold,
                    **sizes,
                    "sha256": split.sha256,
                    "frozen": split.frozen,
                    "nearest_train_distance": shift.distance,
                    "nearest_train_distance_random": shift.random_distance,
                    "shared_formulas": shift.shared_formulas,
                }
                for fold, sizes, split, shift in rows
            ]
        )
        return
    columns = ("fold", "train", "val", "test")
    shown = table(*columns, "shift", "sha256", "frozen", right=columns)
    for fold, sizes, split, shift in rows:
        counts = (str(size) for size in sizes.values())
        shown.add_row(str(fold), *counts, shift.describe(), split.sha256[:12], "yes" if split.frozen else "no")
    console.print(shown)


@app.command("freeze")
def freeze_split(
    scheme: Scheme,
    dataset: Dataset = "pbe_prototypes",
    settings: Settings = None,
) -> None:
    """Compute all folds and write them to ``splits/<dataset>/<scheme>.json``."""
    from gbench.dataset import load
    from gbench.frozen import freeze

    console.print(f"wrote {freeze(load(dataset), _spec(scheme, settings))}", soft_wrap=True)


def _spec(scheme: str, settings: list[str] | None) -> "AnySplit":
    from gbench.choices import parse_overrides, split_spec

    return split_spec(scheme, parse_overrides(settings or []))
