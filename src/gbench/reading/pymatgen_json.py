"""Matbench's files: a pandas "split" table of pymatgen structures and labels, read row by row."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from gbench.crystals import Crystals
from gbench.elements import symbols
from gbench.errors import DataError
from gbench.reading.cell import cartesian
from gbench.waiting import bar

STRUCTURE = "structure"
BLOCK = 2**22


def read_table(path: Path, ids: str, label: str, target: str) -> Crystals:
    """Crystals of a gzipped table with the columns ``structure`` and ``label``, whose values become ``target``.

    ``ids`` makes the id of a row, counted from 1: ``mb-phonons-{:04d}``. Positions are made from the fractional
    coordinates, which are what the calculation was given. One row at a time is held as JSON: the largest table unpacks
    to gigabytes.

    Raises:
        DataError: a table of another shape, a damaged file, a site that is disordered, or an unknown element.
    """
    number = {symbol: z for z, symbol in enumerate(symbols(), start=1)}
    records = []
    try:
        with path.open("rb") as packed, bar(f"reading {path.name}", path.stat().st_size) as advance:
            done = 0
            with gzip.open(packed, "rt", encoding="utf-8") as file:
                for row, (structure, value) in enumerate(_rows(file, path.name, label), start=1):
                    records.append({**_structure(ids.format(row), structure, number), target: _label(ids, row, value)})
                    if (place := packed.tell()) != done:
                        advance(place - done)
                        done = place
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: cannot be unpacked ({error}); fetch it again") from error
    return Crystals.build(records, graph_targets=(target,))


def _structure(name: str, structure: Any, number: dict[str, int]) -> dict[str, Any]:
    try:
        cell = np.array(structure["lattice"]["matrix"], dtype=np.float64)
        sites = structure["sites"]
        for site in sites:
            if len(site["species"]) != 1 or site["species"][0]["occu"] != 1:
                raise DataError(
                    f"crystal {name!r} has a disordered site {site['label']}; only ordered crystals are supported"
                )
        return {
            "id": name,
            "numbers": np.array([number[site["species"][0]["element"]] for site in sites], dtype=np.int16),
            "positions": cartesian(np.array([site["abc"] for site in sites], dtype=np.float64), cell),
            "cell": cell,
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"crystal {name!r} is not an ordered pymatgen structure of known elements ({error!r})"
        ) from error


def _label(ids: str, row: int, value: Any) -> float:
    if value is None:
        return float("nan")
    if not isinstance(value, bool | int | float):
        raise DataError(f"crystal {ids.format(row)!r} has the label {value!r}, not a number")
    return float(value)


def _rows(file: TextIO, name: str, label: str) -> Iterator[tuple[Any, Any]]:
    """Structure and label of each row of ``{"columns": [...], "data": [[...], ...]}``."""
    reader = _Reader(file, name)
    columns: list[Any] | None = None
    found = False
    reader.expect("{")
    while True:
        key = reader.value()
        reader.expect(":")
        if key != "data":
            value = reader.value()
            columns = value if key == "columns" else columns
        else:
            if columns is None or STRUCTURE not in columns or label not in columns:
                raise DataError(f"{name}: columns are {columns}, expected {STRUCTURE} and {label}")
            found = True
            for row in reader.items():
                if not isinstance(row, list) or len(row) != len(columns):
                    raise DataError(f"{name}: a row of the table does not have the {len(columns)} columns it names")
                yield row[columns.index(STRUCTURE)], row[columns.index(label)]
        if reader.expect(",}") == "}":
            break
    if not found:
        raise DataError(f"{name}: holds no data, expected a pandas table in 'split' orientation")


class _Reader:
    """JSON values from a stream, one at a time."""

    def __init__(self, file: TextIO, name: str) -> None:
        self.file, self.name = file, name
        self.text, self.at = "", 0
        self.decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not space."""
        while True:
            while self.at < len(self.text):
                if not self.text[self.at].isspace():
                    return self.text[self.at]
                self.at += 1
            if not self._more():
                raise DataError(f"{self.name}: the table ends too early; fetch it again")

    def expect(self, characters: str) -> str:
        """The next character, which must be one of ``characters``."""
        found = self.peek()
        if found not in characters:
            raise DataError(f"{self.name}: not the JSON of a table ({found!r} where one of {characters!r} belongs)")
        self.at += 1
        return found

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except (ValueError, RecursionError) as error:
                if not self._more():
                    raise DataError(f"{self.name}: not the JSON of a table ({error})") from error
                continue
            # a number may go on in the next block
            if end < len(self.text) or not self._more():
                self.at = end
                return value

    def items(self) -> Iterator[Any]:
        """The items of a list."""
        self.expect("[")
        if self.peek() == "]":
            self.expect("]")
            return
        while True:
            yield self.value()
            if self.expect(",]") == "]":
                return

    def _more(self) -> bool:
        block = self.file.read(BLOCK)
        self.text, self.at = self.text[self.at :] + block, 0
        return bool(block)
