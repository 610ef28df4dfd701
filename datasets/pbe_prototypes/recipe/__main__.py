"""``python -m gbench.datasets.pbe_prototypes.recipe``: how the dataset is made and extended."""

import hashlib
import importlib.util
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
import yaml

from gbench.crystals import Crystals
from gbench.errors import GbenchError, unknown

from . import labels
from .calculations import Calculation, merge, read_lines, read_table, write_table
from .candidates import chgnet_energies, enumerate_candidates, relax
from .compute import STANDARD, TIGHT, Budget, single_point
from .compute import compute as run_all
from .references import references
from .structures import CANDIDATES, Structure, crystals, read_candidates, write_candidates

FOLDER = Path(__file__).parents[1]
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
T = TypeVar("T")
Lines = Annotated[list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="JSON lines to add.")]


@app.command()
def candidates(
    out: Annotated[Path, typer.Option(help="Table to write.")] = CANDIDATES,
    only: Annotated[list[str] | None, typer.Option(help="Names to guess, e.g. cscl-Ga-P; all without it.")] = None,
) -> None:
    """Enumerate the compounds and guess their volumes with CHGNet."""
    chosen = _choose({candidate.name: candidate for candidate in enumerate_candidates()}, only, "candidate")
    energies = chgnet_energies()
    relaxed = []
    for candidate in chosen:
        relaxed.append(relax(candidate, energies))
        typer.echo(f"{len(relaxed)}/{len(chosen)} {candidate.name} {relaxed[-1].lattice_constant:.4f} Å")
    write_candidates(relaxed, out)


@app.command()
def compute(
    seconds: Annotated[float, typer.Option(help="Begin no calculation after this time.")],
    out: Annotated[Path, typer.Option(help="JSON lines to append to; keys in it are skipped.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes, one core each.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Keys to compute, published or not.")] = None,
    tight: Annotated[bool, typer.Option("--tight", help="Settings of the noise estimate; not for export.")] = False,
) -> None:
    """Compute what is not published yet (or --only some keys) with GPAW."""
    if importlib.util.find_spec("gpaw") is None:
        raise GbenchError(f"gpaw is not installed; {FOLDER / 'README.md'} says how to install it")
    done = {row.key for row in read_lines(out)} if out.exists() else set()
    if not only and not tight:
        done |= {row.key for row in read_table(FOLDER / "calculations.parquet")}
    chosen = _choose({structure.key: structure for structure in all_structures()}, only, "structure")
    todo = [structure for structure in chosen if structure.key not in done]
    typer.echo(f"{len(todo)} to compute, {len(chosen) - len(todo)} there")
    calculate = partial(single_point, settings=TIGHT if tight else STANDARD)
    for row in run_all(todo, out, Budget(seconds, workers), calculate):
        typer.echo(f"{row.key} {row.error or f'{row.energy:.6f} eV'} {row.seconds:.1f} s")


@app.command()
def export(
    rows: Lines = None,
    folder: Annotated[Path, typer.Option(help="Where the published files lie.")] = FOLDER,
) -> None:
    """Make the published files from raw calculations, and print the figures of the card."""
    published = folder / "calculations.parquet"
    before = read_table(published) if published.exists() else []
    calculations = merge([*before, *(row for path in rows or [] for row in read_lines(path))])
    made = labels.crystals(calculations)
    write_table(calculations, published)
    made.write(folder / "crystals.parquet")
    figures = card_figures(calculations, made, folder / "crystals.parquet")
    typer.echo(yaml.safe_dump(figures, sort_keys=False))


def all_structures() -> list[Structure]:
    """Everything to compute: the elements first, because every label needs them."""
    compounds = read_candidates()
    elements = {symbol for candidate in compounds for symbol in candidate.elements}
    return [*references(elements), *crystals(compounds)]


def card_figures(calculations: list[Calculation], crystals: Crystals, path: Path) -> dict[str, object]:
    """What the card says in numbers."""
    prototypes = Counter(name.split("-")[0] for name in crystals.ids)
    e_form = crystals.graph_targets["e_form"]
    return {
        "sources": [
            {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        ],
        "crystals": len(crystals),
        "content_sha256": crystals.sha256(),
        "compounds": len({name.rsplit("-", 1)[0] for name in crystals.ids}),
        "elements": len(set(crystals.numbers.tolist())),
        "atoms": len(crystals.numbers),
        "prototypes": dict(prototypes.most_common()),
        "reference_rows": sum(row.kind != "crystal" for row in calculations),
        "failed": sum(row.error is not None for row in calculations),
        "e_form": {
            "minimum": round(float(e_form.min()), 3),
            "maximum": round(float(e_form.max()), 3),
            "mean": round(float(e_form.mean()), 3),
            "deviation": round(float(e_form.std()), 3),
        },
        "gap_above_0.1": round(float(np.mean(crystals.graph_targets["gap"] > 0.1)), 3),
    }


def _choose(known: dict[str, T], only: list[str] | None, kind: str) -> list[T]:
    missing = next((name for name in only or [] if name not in known), None)
    if missing is not None:
        raise unknown(kind, missing, known)
    return [known[name] for name in only or known]


if __name__ == "__main__":
    try:
        app()
    except GbenchError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
