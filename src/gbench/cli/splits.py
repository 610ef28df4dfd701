"""``gbench splits``: how data is divided, and how hard a division is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gbench.cli import complete
from gbench.cli.console import console, print_json, table
from gbench.cli.watch import watched

if TYPE_CHECKING:
    from gbench.dataset import Dataset as LoadedDataset
    from gbench.spec import SplitSpec

app = typer.Typer(help="Splits: schemes, sizes, shift.", no_args_is_help=True)
Dataset = Annotated[
    str, typer.Option("--dataset", "-d", help="A name of `gbench datasets list`.", autocompletion=complete.datasets)
]
Scheme = Annotated[str, typer.Argument(help="A name of `gbench splits list`.", autocompletion=complete.schemes)]
Target = Annotated[
    str | None, typer.Option("--target", "-t", help="For schemes that look at one. Default: the dataset's own.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="split.key=value, e.g. split.n_clusters=20.")]


@app.command("list")
def list_splits(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """All schemes and their parameters."""
    from gbench.splitting import schemes

    rows = [(name, kind.about, kind.spec().model_dump(exclude={"scheme", "fold"})) for name, kind in schemes().items()]
    if as_json:
        print_json([{"scheme": name, "description": doc, "parameters": given} for name, doc, given in rows])
        return
    shown = table("scheme", "what is held out", "parameters")
    for name, doc, given in rows:
        shown.add_row(name, doc, ", ".join(f"{key}={value}" for key, value in given.items()))
    console.print(shown)


@app.command("show")
def show_split(
    scheme: Scheme,
    dataset: Dataset = "pbe_prototypes",
    target: Target = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """All folds of a scheme on a dataset: sizes, hash, verdict."""
    from gbench.audit import Facts, get_card
    from gbench.dataset import load
    from gbench.frozen import get_split
    from gbench.splitting import fold_count

    loaded = load(dataset)
    spec = _spec(loaded, scheme, settings, target)
    facts = Facts(loaded)
    rows = []
    for fold in range(fold_count(loaded, spec)):
        one = spec.model_copy(update={"fold": fold})
        split = get_split(loaded, one)
        with watched(f"{scheme}, fold {fold}") as progress:
            card = get_card(facts, split, one, target or loaded.card.default_target, progress=progress)
        sizes = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
        rows.append((fold, sizes, split, card))
    if as_json:
        print_json(
            [
                {
                    "fold": fold,
                    **sizes,
                    "sha256": split.sha256,
                    "frozen": split.frozen,
                    "verdict": card.verdict,
                    "why": card.why,
                    "nearest_train_distance": card.composition.test,
                    "nearest_train_distance_random": card.composition.random,
                    "shared_formulas": card.shared.formula.share,
                    "near_duplicates": card.duplicates.near.share,
                }
                for fold, sizes, split, card in rows
            ]
        )
        return
    columns = ("fold", "train", "val", "test")
    shown = table(*columns, "verdict", "sha256", "frozen", right=columns)
    for fold, sizes, split, card in rows:
        counts = (str(size) for size in sizes.values())
        shown.add_row(str(fold), *counts, card.headline, split.sha256[:12], "yes" if split.frozen else "no")
    console.print(shown)


@app.command("make")
def make_splits(
    scheme: Scheme,
    dataset: Dataset = "pbe_prototypes",
    target: Target = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV for other programs: a row per crystal, a column per fold.")
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Write splits/<dataset>/<scheme>.json.")] = False,
) -> None:
    """Compute all folds of a scheme, and write them."""
    from gbench.dataset import load
    from gbench.errors import SpecError
    from gbench.frozen import freeze as freeze_split

    if out is None and not freeze:
        raise SpecError("say where the folds go: --out FILE.csv, or --freeze for gbench's own folder")
    loaded = load(dataset)
    spec = _spec(loaded, scheme, settings, target)
    if out is not None:
        _write_csv(loaded, spec, out)
        console.print(f"wrote {out}", soft_wrap=True)
    if freeze:
        console.print(f"wrote {freeze_split(loaded, spec)}", soft_wrap=True)


def _write_csv(dataset: "LoadedDataset", spec: "SplitSpec", path: Path) -> None:
    import pandas as pd

    from gbench.frozen import get_split
    from gbench.splitting import fold_count
    from gbench.splitting.split import LETTERS
    from gbench.storage import atomic_path

    words = {letter: part for part, letter in LETTERS.items()}
    columns = {
        f"fold_{fold}": [words[letter] for letter in get_split(dataset, spec.model_copy(update={"fold": fold})).code]
        for fold in range(fold_count(dataset, spec))
    }
    with atomic_path(path) as temporary:
        pd.DataFrame({"id": dataset.crystals.ids, **columns}).to_csv(temporary, index=False)


def _spec(dataset: "LoadedDataset", scheme: str, settings: list[str] | None, target: str | None = None) -> "SplitSpec":
    from gbench.choices import parse_overrides, split_spec
    from gbench.errors import unknown

    target = target or dataset.card.default_target
    if target not in dataset.card.targets:
        raise unknown(f"target of {dataset.card.name}", target, dataset.card.targets)
    return split_spec(scheme, parse_overrides(settings or []), target=target)
