"""Label files: one value per line, by id, and by site or pair where labels belong to those."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gbench.cards import Level
from gbench.errors import DataError, unknown
from gbench.reading.entry import number, shown

SITES = {"graph": ((),), "node": (("site",),), "edge": (("i", "j"), ("i", "j", "a", "b", "c"))}
"""Names of the columns between id and value, by level."""
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


@dataclass(frozen=True)
class _Layout:
    level: Level
    target: str
    name: int
    sites: tuple[int, ...]
    value: int
    others: Mapping[str, int]


def read_labels(path: Path, target: str | None, level: Level | None) -> LabelFile:
    """The labels of a file: of the column ``target``, or of the only one where the file names none.

    Raises:
        DataError: not a table of ids and numbers; message with file and line.
        UnknownNameError: no such column.
    """
    rows = _rows(path)
    if not rows:
        raise DataError(f"{path.name}: holds no labels; expected lines id,value")
    head = [field.strip() for field in rows[0][1]]
    named = len(head) > 1 and not any(map(_is_value, head[1:]))
    body = rows[1:] if named else rows
    if not body:
        raise DataError(f"{path.name}: holds column names but no labels")
    layout = (_named if named else _nameless)(rows, path.name, target, level)
    width = len(rows[0][1])
    lines = [_line(count, fields, width, layout, path.name) for count, fields in body]
    return LabelFile(path.name, target or layout.target, layout.level, lines)


def _is_value(field: str) -> bool:
    """Whether a field is a label, or an attempt at one, and not a column's name."""
    return not field[:1].isalpha() or field.lower() in ("nan", "inf", "infinity", "none", "null", "na")


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and fields of each line that is not empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: the label file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((reader.line_num, fields) for fields in reader if any(field.strip() for field in fields))
    except csv.Error as error:
        raise DataError(f"{path.name}, line {reader.line_num}: not CSV ({error})") from error
    return rows


def _named(rows: list[tuple[int, list[str]]], file: str, target: str | None, level: Level | None) -> _Layout:
    head = [field.strip() for field in rows[0][1]]
    twice = next((name for name in head if head.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{file}, line 1: column {twice!r} appears more than once; name each column once")
    found: Level
    found, names = next(
        (
            (each, columns)
            for each in ("edge", "node", "graph")
            for columns in reversed(SITES[each])
            if set(columns) <= set(head) and (level is None or level == each)
        ),
        ("graph", ()),
    )
    if level is not None and level != found:
        raise DataError(f"{file}, line 1: {level} labels need the columns id,{','.join(SITES[level][0])} and the value")
    key = "id" if "id" in head else head[0]
    free = [name for name in head if name not in (key, *names)]
    if target is None or (target not in free and len(free) == 1):
        if len(free) != 1:
            raise DataError(
                f"{file}, line 1: several columns ({', '.join(free)}); choose one with --target or --column"
            )
        target = free[0]
    if target not in free:
        raise unknown(f"column of {file}", target, free)
    others = {name: head.index(name) for name in free if name != target}
    return _Layout(
        found, target, head.index(key), tuple(head.index(name) for name in names), head.index(target), others
    )


def _nameless(rows: list[tuple[int, list[str]]], file: str, target: str | None, level: Level | None) -> _Layout:
    line, first = rows[0]
    width, ids = len(first), [fields[0] for _, fields in rows]
    if level is None:
        repeated = len(set(ids)) < len(ids)
        fitting: list[Level] = [each for each in ("node", "edge") if width in {2 + len(names) for names in SITES[each]}]
        if width > 2 and fitting and not repeated:
            raise DataError(
                f"{file}, line {line}: {width} columns may be a {fitting[0]} label or several properties of a crystal; "
                f"say --level {fitting[0]} or --level graph, or write column names"
            )
        level = fitting[0] if repeated and fitting else "graph"
    names = next((names for names in reversed(SITES[level]) if width >= 2 + len(names)), None)
    if names is None or (level != "graph" and width != 2 + len(names)):
        wanted = " or ".join(",".join(("id", *columns, "value")) for columns in SITES[level])
        raise DataError(f"{file}, line {line}: {width} columns, expected {wanted} for {level} labels")
    count = len(names)
    return _Layout(level, target or "value", 0, tuple(range(1, 1 + count)), 1 + count, {})


def _line(count: int, fields: list[str], width: int, layout: _Layout, file: str) -> Line:
    where = f"{file}, line {count}"
    if len(fields) != width:
        raise DataError(f"{where}: {len(fields)} fields, expected {width} as in the lines before")
    name = fields[layout.name].strip()
    if not name:
        raise DataError(f"{where}: the id is empty")
    sites = []
    for column in layout.sites:
        text = fields[column].strip()
        if not INTEGER.fullmatch(text):
            raise DataError(f"{where}: site or image {shown(text)} is not a whole number")
        sites.append(int(text))
    value = number(fields[layout.value], where, f"the label of {name!r}")
    others = {key: fields[column].strip() for key, column in layout.others.items()}
    return Line(count, name, tuple(sites), value, others)
