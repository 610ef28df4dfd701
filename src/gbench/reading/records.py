"""Tables with a structure in each row: JSON and JSON lines (plain or gzipped), and Parquet that is not ours."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gbench.errors import DataError
from gbench.reading.entry import ID_KEYS, Entry
from gbench.reading.structures import FORMS, is_structure, read_structure

Row = Mapping[str, Any]
INDEX = "index"
"""Key of pandas' row names, which are ids where no column is."""


def read_json(path: Path, id_column: str | None = None) -> list[Entry]:
    """Entries of a JSON file: pandas' "split", "records", "columns" or "index" orientation, or one row per line.

    Raises:
        DataError: not JSON, not a table, no structures, a row without one.
    """
    text = _text(path)
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        return entries(_lines(text, path.name), path.name, id_column, unit="line", first=1)
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not valid JSON: {error}") from error
    return entries(list(_rows(table, path.name)), path.name, id_column)


def read_parquet(path: Path, id_column: str | None = None) -> list[Entry]:
    """Entries of a Parquet file with a column of structures.

    Raises:
        DataError: not Parquet, or no structures in it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path.name}: not a Parquet file that can be read ({error})") from error
    return entries(rows, path.name, id_column)


def entries(
    rows: Sequence[Row], file: str, id_column: str | None = None, *, unit: str = "row", first: int = 0
) -> list[Entry]:
    """Entries of table rows. Rows are counted from ``first`` in messages; ids default to the count from 0.

    Raises:
        DataError: no column of structures, no such id column, a row without id or structure.
    """
    if not rows:
        raise DataError(f"{file}: the table has no rows")
    column = _structure_column(rows[0], file)
    name = _id_column(rows[0], file, id_column)
    made = []
    for index, row in enumerate(rows):
        where = f"{file}, {unit} {index + first}"
        if row.get(column) is None:
            raise DataError(f"{where}: there is no {column!r}; every row needs a structure")
        own = index if name is None else row.get(name)
        if own is None or own == "":
            raise DataError(f"{where}: there is no {name!r}; every row needs an id")
        read = read_structure(row[column], where)
        values = {**read.site_values, **{key: value for key, value in row.items() if key not in (column, name, INDEX)}}
        made.append(Entry(str(own), where, read.numbers, read.positions, read.cell, read.pbc, values))
    return made


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: the gzip file is truncated or damaged ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _lines(text: str, file: str) -> list[Row]:
    rows: list[Row] = []
    for count, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}, line {count}: not valid JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{file}, line {count}: expected an object with a structure and its labels")
        rows.append(row)
    return rows


def _rows(table: Any, file: str) -> Iterator[Row]:
    """The rows of any of pandas' orientations."""
    if isinstance(table, dict) and isinstance(table.get("columns"), list) and isinstance(table.get("data"), list):
        yield from _split(table["columns"], table["data"], table.get("index"), file)
        return
    if isinstance(table, dict) and table and all(isinstance(part, dict) for part in table.values()):
        outer = list(table)
        # "columns" maps column -> index -> value, "index" the other way round
        if all(any(is_structure(value) for value in part.values()) for part in table.values()):
            table = [{INDEX: name, **table[name]} for name in outer]
        else:
            names = list(table[outer[0]])
            table = [{INDEX: name, **{key: table[key].get(name) for key in outer}} for name in names]
    if not isinstance(table, list):
        raise DataError(f"{file}: expected a list of rows or a table written by pandas' to_json")
    for index, row in enumerate(table):
        if not isinstance(row, dict):
            raise DataError(f"{file}, row {index}: expected an object with a structure and its labels")
        yield row


def _split(columns: list[Any], data: list[Any], index: Any, file: str) -> Iterator[Row]:
    names = [str(column) for column in columns]
    labels = index if isinstance(index, list) and len(index) == len(data) else range(len(data))
    for count, (label, cells) in enumerate(zip(labels, data, strict=True)):
        if not isinstance(cells, list) or len(cells) != len(names):
            raise DataError(f"{file}, row {count}: expected {len(names)} values, one for each of {', '.join(names)}")
        yield {INDEX: label, **dict(zip(names, cells, strict=True))}


def _structure_column(row: Row, file: str) -> str:
    found = [key for key, value in row.items() if is_structure(value)]
    if "structure" in row:
        return "structure"
    if len(found) != 1:
        named = f"several columns of structures ({', '.join(found)}); keep one" if found else "no column of structures"
        raise DataError(f"{file}: {named}; a structure is {FORMS}, the columns are {', '.join(map(str, row))}")
    return found[0]


def _id_column(row: Row, file: str, chosen: str | None) -> str | None:
    if chosen is None:
        return next((key for key in (*ID_KEYS, INDEX) if key in row), None)
    if chosen not in row:
        raise DataError(f"{file}: --id-column {chosen}: no such column; the columns are {', '.join(map(str, row))}")
    return chosen
