"""``python -m gbench.datasets.qm9_mini.recipe``: how the dataset is made from ``qm9``."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.dataset import load
from gbench.elements import element_property
from gbench.errors import GbenchError

FILE = Path(__file__).parent / "crystals.parquet"
SIZE = 3000
SEED = "qm9_mini-1"
BONDED = 1.3
"""Two atoms are a pair when they are closer than this times the sum of their covalent radii."""
BOHR_ANGSTROM = 0.529177210903
"""CODATA 2018"""
ACCURACY = 0.001
"""tblite's: thresholds of the self-consistent charges are this times the usual ones."""
DECIMALS = 4
"""Of positions (Å), charges (e) and bond orders: half the size, far below what any of them means. It also keeps the
processor's last bits out of the content hash."""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def sample(crystals: Crystals) -> Crystals:
    """``SIZE`` molecules drawn without replacement, in the order of ``crystals``.

    They are those whose id has the lowest hash together with the seed: the same with every library and machine.
    """

    def ticket(row: int) -> bytes:
        return hashlib.sha256(f"{SEED}:{crystals.ids[row]}".encode()).digest()

    return crystals.take(sorted(sorted(range(len(crystals)), key=ticket)[:SIZE]))


def rounded(crystals: Crystals) -> Crystals:
    """These molecules with positions and charges as they are stored."""
    return dataclasses.replace(
        crystals,
        positions=np.round(crystals.positions, DECIMALS),
        node_targets={name: np.round(values, DECIMALS) for name, values in crystals.node_targets.items()},
    )


def bonded_pairs(numbers: IntArray, positions: FloatArray) -> IntArray:
    """(pairs, 2) atoms i < j of a molecule that are closer than ``BONDED`` times the sum of their covalent radii."""
    i, j = np.triu_indices(len(numbers), 1)
    radius = element_property("covalent_radius")[numbers]
    close = np.linalg.norm(positions[i] - positions[j], axis=1) < BONDED * (radius[i] + radius[j])
    return np.stack([i[close], j[close]], axis=1)


def bond_orders(numbers: IntArray, positions: FloatArray) -> FloatArray:
    """(atoms, atoms) Wiberg bond orders of a neutral molecule with GFN2-xTB; positions in Å.

    Source: https://doi.org/10.1021/acs.jctc.8b01176 (GFN2-xTB), tblite.
    """
    from tblite.interface import Calculator

    calculator: Any = Calculator("GFN2-xTB", numbers.astype(np.int64), positions / BOHR_ANGSTROM)
    calculator.set("verbosity", 0)
    calculator.set("accuracy", ACCURACY)
    orders = calculator.singlepoint().get("bond-orders")
    return np.asarray(orders, dtype=np.float64).reshape(len(numbers), len(numbers))


def labelled(crystals: Crystals) -> Crystals:
    """The molecules with their bonded pairs and rounded bond orders."""
    found = list(_orders(crystals))
    pairs = np.concatenate([first + pairs for first, (pairs, _) in zip(crystals.ptr[:-1], found, strict=True)])
    values = np.concatenate([values for _, values in found])
    return dataclasses.replace(
        crystals,
        pairs=pairs,
        pair_image=np.zeros((len(pairs), 3), dtype=np.int32),
        edge_targets={"bond_order": np.round(values, DECIMALS)},
    ).check()


def _orders(crystals: Crystals) -> Iterator[tuple[IntArray, FloatArray]]:
    for start, stop in zip(crystals.ptr[:-1], crystals.ptr[1:], strict=True):
        numbers, positions = crystals.numbers[start:stop].astype(np.int64), crystals.positions[start:stop]
        pairs = bonded_pairs(numbers, positions)
        yield pairs, bond_orders(numbers, positions)[pairs[:, 0], pairs[:, 1]]


@app.command()
def main(out: Annotated[Path, typer.Option(help="Parquet file to write.")] = FILE) -> None:
    """Draw the molecules, compute their bond orders (about 15 s), and print the figures of the card."""
    try:
        import tblite.interface  # noqa: F401 - so that it is missed before qm9 is fetched
    except ImportError as error:
        raise GbenchError("tblite is not installed; pip install 'gbench[recipe]'") from error
    made = labelled(rounded(sample(load("qm9").crystals)))
    made.write(out)
    content = out.read_bytes()
    figures = {
        "sources": [{"file": out.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}],
        "crystals": len(made),
        "content_sha256": made.sha256(),
        "atoms": len(made.numbers),
        "pairs": len(made.pairs),
    }
    typer.echo(yaml.safe_dump(figures, sort_keys=False))


if __name__ == "__main__":
    app()
