"""CSV tables: columns by name, every row with its line, so that what is wrong can be pointed at."""

import csv
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbench.crystals import FloatArray
from gbench.errors import DataError

MISSING = ("", "nan", "none", "null")
"""How tables write that a label is missing."""
LONGEST_FIELD = 2**24
SHOWN = 40


class Table(NamedTuple):
    """The text of a CSV file by column."""

    file: str
    """Name, for messages."""
    columns: dict[str, list[str]]
    lines: list[int]
    """Line each row begins on, counted from 1."""

    def where(self, row: int) -> str:
        """File and line of a row."""
        return f"{self.file}, line {self.lines[row]}"

    def column(self, name: str) -> list[str]:
        """The text of a column.

        Raises:
            DataError: there is no such column.
        """
        if name not in self.columns:
            raise DataError(f"{self.file}: has no column {name!r}, only {', '.join(self.columns)}")
        return self.columns[name]

    def ids(self, column: str) -> list[str]:
        """A column of ids.

        Raises:
            DataError: an id that is empty or appears twice.
        """
        first: dict[str, int] = {}
        for row, name in enumerate(self.column(column)):
            if not name:
                raise DataError(f"{self.where(row)}: the id is empty")
            if name in first:
                raise DataError(
                    f"{self.where(row)}: id {shown(name)} stands on line {self.lines[first[name]]} too; ids are unique"
                )
            first[name] = row
        return self.column(column)

    def numbers(self, column: str) -> FloatArray:
        """(rows,) a column of numbers; NaN where a label is missing.

        Raises:
            DataError: a value that is no finite number.
        """
        values = np.empty(len(self.lines))
        for row, text in enumerate(self.column(column)):
            if text.lower() in MISSING:
                values[row] = np.nan
                continue
            try:
                # Python would read 1_000 as a thousand
                values[row] = np.inf if "_" in text else float(text)
            except ValueError:
                values[row] = np.inf
            if not np.isfinite(values[row]):
                raise DataError(
                    f"{self.where(row)}: {column} is {shown(text)}, not a number; leave it empty where missing"
                )
        return values

    def check_pairs(self, column: str, structures: Collection[str], holder: str) -> None:
        """Refuse ids of ``column`` without a structure, and structures without a row.

        Raises:
            DataError: the first of either, in order.
        """
        known = set(structures)
        for row, name in enumerate(self.column(column)):
            if name not in known:
                raise DataError(
                    f"{self.where(row)}: id {shown(name)} has no structure in {holder}; add it or drop the line"
                )
        unlabelled = known.difference(self.column(column))
        if unlabelled:
            raise DataError(
                f"{holder}: structure {shown(min(unlabelled))} has no line in {self.file}; add one, with an empty "
                f"value where its label is missing"
            )


def read_csv(path: Path, names: Sequence[str] = ()) -> Table:
    """The table in a CSV file, whose columns are ``names`` or, without those, what its first line says.

    Raises:
        DataError: not text, not CSV, no rows, a row with too few or too many columns, or a column name twice.
    """
    previous = csv.field_size_limit(LONGEST_FIELD)
    try:
        # utf-8-sig: spreadsheets put a mark before the first name
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _table(path.name, file, list(names))
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not a text file in UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror})") from error
    finally:
        csv.field_size_limit(previous)


def _table(file: str, text: Iterable[str], names: list[str]) -> Table:
    reader = csv.reader(text, strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    end = 0
    try:
        for row in reader:
            start, end = end + 1, reader.line_num
            if not row:
                continue
            if not names:
                names = [name.strip() for name in row]
                _refuse_twice(file, names)
                continue
            if len(row) != len(names):
                raise DataError(f"{file}, line {start}: {len(row)} columns, expected {len(names)} ({', '.join(names)})")
            lines.append(start)
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not CSV ({error})") from error
    if not rows:
        raise DataError(f"{file}: the table has no rows")
    columns = zip(*rows, strict=True)
    return Table(file, {name: _stripped(column) for name, column in zip(names, columns, strict=True)}, lines)


def _stripped(column: Iterable[str]) -> list[str]:
    return [value.strip() for value in column]


def _refuse_twice(file: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{file}, line 1: column {shown(name)} appears twice")


def shown(text: str) -> str:
    """Text for a message: quoted, on one line, not too long."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")
