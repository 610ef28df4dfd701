"""Label files: one value per line, by id, and by site or pair where labels belong to those."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gbench.cards import Level
from gbench.errors import DataError, unknown
from gbench.reading.entry import number
from gbench.reading.tables import Table, read_csv, shown

ID = "id"
BETWEEN: Mapping[Level, tuple[tuple[str, ...], ...]] = {
    "edge": (("i", "j", "a", "b", "c"), ("i", "j")),
    "node": (("site",),),
    "graph": ((),),
}
"""Names of the columns between id and value, by level; where several are there, the first that fits is meant."""
NO_NAMES = ("nan", "inf", "infinity", "none", "null", "na")
INTEGER = re.compile(r"-?\d{1,9}", re.ASCII)


class Line(NamedTuple):
    """One label."""

    number: int
    """Line of the file, from 1."""
    name: str
    sites: tuple[int, ...]
    """Nothing, (site,), (i, j) or (i, j, a, b, c)."""
    value: float
    """NaN where it is missing."""
    others: Mapping[str, str]
    """Further columns by name."""


@dataclass(frozen=True)
class LabelFile:
    """The labels of one target."""

    file: str
    target: str
    level: Level
    lines: Sequence[Line]


def read_labels(path: Path, target: str | None, level: Level | None) -> LabelFile:
    """The labels of a file: of the column ``target``, or of the only one there is.

    Raises:
        DataError: not a table of ids and numbers; message with file and line.
        UnknownNameError: no such column.
    """
    named = not any(map(_is_value, _first_row(path)[1:]))
    table = read_csv(path) if named else _nameless(path, level)
    found, between = _layout(table, level)
    key = ID if ID in table.columns else next(iter(table.columns))
    free = [name for name in table.columns if name not in (key, *between)]
    column = _choose(table.file, free, target, named=named)
    lines = []
    for row, name in enumerate(table.column(key)):
        where = table.where(row)
        if not name:
            raise DataError(f"{where}: the id is empty")
        sites = tuple(_whole(table.columns[part][row], where) for part in between)
        value = number(table.columns[column][row], where, f"the label of {name!r}")
        others = {other: table.columns[other][row] for other in free if other != column}
        lines.append(Line(table.lines[row], name, sites, value, others))
    return LabelFile(table.file, target or column, found, lines)


def _first_row(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            return next((row for row in csv.reader(file) if row), [])
    except OSError as error:
        raise DataError(f"{path}: the label file cannot be read ({error.strerror})") from error
    except csv.Error as error:
        raise DataError(f"{path.name}, line 1: not CSV ({error})") from error


def _is_value(field: str) -> bool:
    """Whether a field is a label, or an attempt at one, and not a column's name."""
    return not field.strip()[:1].isalpha() or field.strip().lower() in NO_NAMES


def _nameless(path: Path, level: Level | None) -> Table:
    """The table of a file whose first line is data, with the columns its level has."""
    width = len(_first_row(path))
    plain = read_csv(path, [str(column) for column in range(width)])
    fitting: list[Level] = [each for each in ("node", "edge") if width in _widths(each)]
    if level is None:
        ids = plain.columns["0"]
        repeated = len(set(ids)) < len(ids)
        if fitting and not repeated:
            raise DataError(
                f"{plain.where(0)}: {width} columns may be a {fitting[0]} label or several properties of a crystal; "
                f"say --level {fitting[0]}, or --level graph, or write column names"
            )
        level = fitting[0] if repeated and fitting else "graph"
    between = next((names for names in BETWEEN[level] if width == 2 + len(names)), None)
    if between is None and (level != "graph" or width < 2):
        wanted = " or ".join(",".join((ID, *names, "value")) for names in BETWEEN[level])
        raise DataError(f"{plain.where(0)}: {width} columns, expected {wanted} for {level} labels")
    names = (ID, *(between or ()), "value", *(f"column {column}" for column in range(3, width + 1)))
    return plain._replace(columns=dict(zip(names, plain.columns.values(), strict=False)))


def _widths(level: Level) -> set[int]:
    return {2 + len(names) for names in BETWEEN[level]}


def _layout(table: Table, level: Level | None) -> tuple[Level, tuple[str, ...]]:
    """The level that the columns say, and the names of those between id and value."""
    for each, choices in BETWEEN.items():
        for names in choices:
            if set(names) <= table.columns.keys() and level in (None, each):
                return each, names
    wanted = ",".join(BETWEEN[level or "graph"][-1])
    raise DataError(f"{table.file}, line 1: {level} labels need the columns id,{wanted} and the value")


def _choose(file: str, free: Sequence[str], target: str | None, *, named: bool) -> str:
    """The column of values."""
    if not free:
        raise DataError(f"{file}, line 1: no column of values beside the ids")
    if len(free) == 1 or not named:
        return free[0]
    if target is None:
        raise DataError(
            f"{file}, line 1: several columns ({', '.join(map(shown, free))}); choose one with --target or --column"
        )
    if target not in free:
        raise unknown(f"column of {file}", target, free)
    return target


def _whole(text: str, where: str) -> int:
    if not INTEGER.fullmatch(text):
        raise DataError(f"{where}: site or image {shown(text)} is not a whole number")
    return int(text)
