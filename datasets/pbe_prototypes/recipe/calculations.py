"""One DFT calculation, and files of them: JSON lines while computing, Parquet when published."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, Field

from gbench.cards import Frozen, validate
from gbench.errors import DataError
from gbench.storage import atomic_path

Vector = tuple[float, float, float]
Kind = Literal["crystal", "reference", "molecule"]
CUTOFF_EV = 400.0
"""Plane-wave cut-off of the published rows."""
ANIONS = frozenset({"F", "Cl", "Br", "I", "O", "S", "Se", "Te", "N", "P", "As", "Sb", "C"})
"""A compound that holds none of these gets the denser k-grid of a metal."""


class Calculation(Frozen):
    """A structure and what DFT says of it, or why it says nothing."""

    # a metal without empty bands on the grid has an infinite gap in GPAW's words
    model_config = ConfigDict(allow_inf_nan=True)

    key: str
    """``cscl-Ga-P-1.00`` for a crystal, ``ref-Ag-fcc-1.00`` or ``ref-O-mol`` for an element."""
    kind: Kind
    prototype: str | None = None
    volume_scale: float | None = None
    """Volume over the guessed equilibrium volume."""
    numbers: Annotated[tuple[int, ...], Field(min_length=1)]
    """(atoms,) atomic numbers."""
    cell: tuple[Vector, Vector, Vector]
    """Lattice vectors as rows, Å."""
    frac: tuple[Vector, ...]
    """(atoms, 3) fractional coordinates."""
    ecut: float = CUTOFF_EV
    """Plane-wave cut-off, eV."""
    kgrid: tuple[int, int, int] | None = None
    """Gamma-centred grid; none for a molecule."""
    nk: int | None = None
    """Irreducible k-points."""
    energy: float | None = None
    """eV per cell."""
    gap: float | None = None
    """LUMO - HOMO on the k-grid, eV, spurious gaps of metals included."""
    hirshfeld: tuple[float, ...] | None = None
    """(atoms,) Hirshfeld charges of a crystal, e."""
    iterations: int | None = None
    """Self-consistency steps."""
    seconds: float
    """On one core."""
    error: str | None = None
    """Why there is no energy."""


_VECTOR = pa.list_(pa.float64())
_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("kind", pa.string()),
        ("prototype", pa.string()),
        ("volume_scale", pa.float64()),
        ("numbers", pa.list_(pa.int16())),
        ("cell", pa.list_(_VECTOR)),
        ("frac", pa.list_(_VECTOR)),
        ("ecut", pa.float64()),
        ("kgrid", pa.list_(pa.int16())),
        ("nk", pa.int32()),
        ("energy", pa.float64()),
        ("gap", pa.float64()),
        ("hirshfeld", _VECTOR),
        ("iterations", pa.int32()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
    ]
)


def read_lines(path: Path) -> list[Calculation]:
    """Calculations from JSON lines.

    Raises:
        DataError: a line that is not a calculation.

    """
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(Calculation.model_validate_json(line))
        except ValueError as error:
            where = str(error).splitlines()[0]
            raise DataError(f"{path}: line {number} is not a calculation ({where}); mend or delete it") from error
    return rows


def read_table(path: Path) -> list[Calculation]:
    """Calculations from a file made by :func:`write_table`."""
    rows = pq.read_table(path).to_pylist()
    return [validate(Calculation, row, f"{path}: {row.get('key')}", DataError) for row in rows]


def write_table(calculations: Sequence[Calculation], path: Path) -> None:
    """Write as one Parquet file."""
    table = pa.Table.from_pylist([row.model_dump() for row in calculations], schema=_SCHEMA)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def merge(calculations: Iterable[Calculation]) -> list[Calculation]:
    """One calculation per key, sorted by key: the first that succeeded, else the first.

    Raises:
        DataError: a calculation at another plane-wave cut-off, whose energy compares with none of the others.

    """
    kept: dict[str, Calculation] = {}
    for row in calculations:
        if row.ecut != CUTOFF_EV:
            raise DataError(f"{row.key} was computed at {row.ecut:g} eV, expected {CUTOFF_EV:g} eV; leave it out")
        if row.key not in kept or (kept[row.key].error is not None and row.error is None):
            kept[row.key] = row
    return [kept[key] for key in sorted(kept)]
