"""One structure of someone else's file, with all that the file says of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbench.elements import N_ELEMENTS, symbols
from gbench.errors import DataError

FloatArray = NDArray[np.float64]
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
ID_KEYS = ("id", "material_id", "identifier", "structure_id", "jid", "mbid", "name", "filename")
"""Where an id is looked for when nobody says."""


@dataclass(frozen=True)
class Entry:
    """A crystal or molecule as it was read."""

    name: str
    """Its id."""
    where: str
    """File and line, frame or row: for messages."""
    numbers: NDArray[np.int64]
    """(atoms,)"""
    positions: FloatArray
    """(atoms, 3) Cartesian, Å."""
    cell: FloatArray | None
    """(3, 3) Å; None for a molecule."""
    pbc: tuple[bool, bool, bool]
    values: Mapping[str, Any]
    """What the file says of it: one value, one per site, or rows ``(i, j, value)`` or ``(i, j, a, b, c, value)``."""

    def __post_init__(self) -> None:
        if not len(self.numbers):
            raise DataError(f"{self.where}: {self.name!r} has no atoms; drop it")
        if self.positions.shape != (len(self.numbers), 3):
            raise DataError(
                f"{self.where}: {self.name!r} has {len(self.numbers)} species but coordinates of shape "
                f"{self.positions.shape}; mend or drop it"
            )
        if not np.isfinite(self.positions).all():
            raise DataError(f"{self.where}: {self.name!r} has a coordinate that is NaN or infinite; mend or drop it")
        if self.numbers.min() < 1 or self.numbers.max() > N_ELEMENTS:
            wrong = next(int(number) for number in self.numbers if not 1 <= number <= N_ELEMENTS)
            raise DataError(
                f"{self.where}: {self.name!r} has a site of atomic number {wrong}; elements run from 1 (H) to "
                f"{N_ELEMENTS} (Lr)"
            )


def periodic_cell(cell: Any, pbc: tuple[bool, bool, bool], where: str) -> FloatArray | None:
    """(3, 3) cell with zero rows along axes that are not periodic; None where none is.

    Raises:
        DataError: a periodic axis without a vector of its own.
    """
    if not any(pbc):
        return None
    vectors = np.array(cell, dtype=np.float64).reshape(3, 3)
    vectors[~np.array(pbc)] = 0
    if not np.isfinite(vectors).all() or np.linalg.matrix_rank(vectors, tol=1e-6) < sum(pbc):
        raise DataError(f"{where}: the cell is missing, flat or not finite along a periodic axis; mend or drop it")
    return vectors


def atomic_number(symbol: str, where: str) -> int:
    """Number of an element by its symbol.

    Raises:
        DataError: no such element.
    """
    try:
        return symbols().index(symbol) + 1
    except ValueError:
        raise DataError(f"{where}: {symbol!r} is not an element; elements run from H to Lr") from None


def number(value: Any, where: str, what: str) -> float:
    """A label as a float; NaN for None or an empty text.

    Raises:
        DataError: not a number, or one that is NaN or infinite.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return math.nan
        if not NUMBER.fullmatch(text):
            raise DataError(f"{where}: {what} is {shown(text)}, expected a number (or nothing where it is missing)")
        value = float(text)
    if value is None:
        return math.nan
    if not isinstance(value, bool | int | float | np.bool_ | np.number) or isinstance(value, np.complexfloating):
        raise DataError(f"{where}: {what} is {shown(value)}, expected a number (or nothing where it is missing)")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise DataError(f"{where}: {what} is {found}; labels are finite, and a missing one is left out")
    return found


def check_site(site: int, atoms: int, where: str) -> None:
    """Refuse a site that the structure does not have.

    Raises:
        DataError: outside 0 to ``atoms`` - 1.
    """
    if not 0 <= site < atoms:
        raise DataError(f"{where}: site {site} does not exist; sites are counted from 0 and the structure has {atoms}")


def check_pair(i: int, j: int, image: tuple[int, int, int], atoms: int, where: str) -> None:
    """Refuse a pair that is none.

    Raises:
        DataError: a site that does not exist, or an atom with itself in the same cell.
    """
    check_site(i, atoms, where)
    check_site(j, atoms, where)
    if i == j and not any(image):
        raise DataError(
            f"{where}: sites {i} and {j} are one atom; a pair with its own image needs the image, i,j,a,b,c"
        )


def shown(value: Any) -> str:
    """A value in a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
