"""Extended XYZ files and ASE databases."""

import gzip
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gbench.errors import DataError
from gbench.reading.entry import ID_KEYS, Entry, periodic_cell

if TYPE_CHECKING:
    from ase import Atoms

OWN_ARRAYS = ("numbers", "positions")


def read_xyz(path: Path, id_column: str | None = None) -> list[Entry]:
    """Entries of an extended XYZ file: labels are keys of the comment line, columns, or ``energy`` and its like.

    Raises:
        DataError: a frame that cannot be read, or lacks the id.
    """
    import ase.io

    # an open file, because ASE reads an @ in a name as the index of a frame
    with _opened(path) as file:
        frames = _guarded(ase.io.iread(file, index=":", format="extxyz"), path.name, "frame")
        return [
            _entry(atoms, f"{path.name}, frame {frame}", frame, id_column, atoms.info)
            for frame, atoms in enumerate(frames)
        ]


def read_ase_db(path: Path, id_column: str | None = None) -> list[Entry]:
    """Entries of an ASE database: labels are key-value pairs, data, or results of the calculator.

    Raises:
        DataError: not an ASE database, a row that cannot be read, or lacks the id.
    """
    import ase.db

    _refuse_other_databases(path)
    entries = []
    database = ase.db.connect(path, type="db", use_lock_file=False)
    for row in _guarded(database.select(), path.name, "row"):
        where = f"{path.name}, row {row.id}"
        values = {**(row.data or {}), **row.key_value_pairs}
        entries.append(_entry(row.toatoms(), where, row.id, id_column, values))
    return entries


def _opened(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _refuse_other_databases(path: Path) -> None:
    # ASE would make its tables in a file that lacks them
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            found = {name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.Error as error:
        raise DataError(f"{path.name}: not an ASE database ({error})") from error
    if not found >= {"systems", "information"}:
        raise DataError(f"{path.name}: not an ASE database (it lacks the table of systems)")


def _guarded(items: Iterator[Any], file: str, unit: str) -> Iterator[Any]:
    """The items, with whatever the library raises turned into one sentence."""
    for index in count():
        try:
            item = next(items, None)
        except Exception as error:  # ASE's readers raise whatever they meet: IndexError, KeyError, XYZError, ...
            why = str(error) or type(error).__name__
            raise DataError(f"{file}, {unit} {index}: cannot be read ({type(error).__name__}: {why})") from error
        if item is None:
            return
        yield item


def _entry(atoms: "Atoms", where: str, index: int, id_column: str | None, info: Mapping[str, Any]) -> Entry:
    a, b, c = (bool(axis) for axis in atoms.pbc)
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    arrays = {key: values for key, values in atoms.arrays.items() if key not in OWN_ARRAYS}
    values = {**results, **arrays, **info}
    key = id_column or next((key for key in ID_KEYS if key in values), None)
    if id_column is not None and id_column not in values:
        raise DataError(
            f"{where}: there is no {id_column!r} to be the id; keys are {', '.join(sorted(values)) or 'none'}"
        )
    return Entry(
        name=str(index if key is None else values.pop(key)),
        where=where,
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=np.asarray(atoms.positions, dtype=np.float64),
        cell=periodic_cell(atoms.cell.array, (a, b, c), where),
        pbc=(a, b, c),
        values=values,
    )
