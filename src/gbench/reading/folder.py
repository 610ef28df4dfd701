"""A folder of CIF or POSCAR files with a label file beside them, as CGCNN has it.

``id_prop.csv`` holds, with or without a line of column names: ``id,value`` for a graph target; ``id,site,value`` for a
node target, one line per labelled site; ``id,i,j,value`` or ``id,i,j,a,b,c,value`` for an edge target, one line per
labelled pair, where a, b, c is the lattice translation of j. Sites are counted from 0 in the order of the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.cards import Level
from gbench.errors import DataError
from gbench.reading.entry import Entry, FloatArray, atomic_number, check_pair, check_site, periodic_cell
from gbench.reading.label_file import LabelFile, Line, read_labels
from gbench.reading.parallel import read_cifs

LABELS = "id_prop.csv"
FOREIGN = (".cif", ".vasp", ".poscar")
VASP_NAMES = ("POSCAR", "CONTCAR")
PERIODIC = (True, True, True)


def read_folder(path: Path, target: str | None, level: Level | None, labels: str | None = None) -> list[Entry]:
    """Entries of a folder, in the order of its label file.

    Raises:
        DataError: no structures, no labels, an id without a structure or the reverse, or a file that cannot be read.
    """
    files = structure_files(path)
    table = read_labels(_label_file(path, files, labels), target, level)
    lines: dict[str, list[Line]] = {}
    for line in table.lines:
        name = line.name if line.name in files else _without_suffix(line.name)
        if name not in files:
            raise DataError(
                f"{table.file}, line {line.number}: there is no structure file for id {line.name!r} in {path}"
            )
        lines.setdefault(name, []).append(line)
    for name, file in files.items():
        if name not in lines:
            raise DataError(
                f"{file.name}: id {name!r} has no line in {table.file}; add `{name},` where its label is missing, or "
                f"move the file away"
            )
    structures = _read_all(files, list(lines))
    return [_entry(name, read, own, table) for (name, own), read in zip(lines.items(), structures, strict=True)]


def structure_files(path: Path) -> dict[str, Path]:
    """Structure files by id: ``<id>.cif``, ``<id>.vasp``, ``<id>.poscar``, ``POSCAR-<id>`` or ``<id>/POSCAR``.

    Raises:
        DataError: none, or two for one id.
    """
    files: dict[str, Path] = {}
    for file in sorted(path.rglob("*")):
        name = _id(file)
        if name is None or file.name.startswith(".") or not file.is_file():
            continue
        if name in files:
            first, second = (f.relative_to(path) for f in (files[name], file))
            raise DataError(f"{path}: {first} and {second} are both the structure of id {name!r}; keep one")
        files[name] = file
    if not files:
        raise DataError(
            f"{path}: holds no CIF or POSCAR files; expected <id>.cif, <id>.vasp, POSCAR-<id> or <id>/POSCAR"
        )
    return files


def _id(file: Path) -> str | None:
    if file.suffix.lower() in FOREIGN:
        return file.stem
    for prefix in VASP_NAMES:
        if file.name == prefix:
            return file.parent.name
        if file.name.startswith(prefix) and file.name[len(prefix)] in "-_.":
            return file.name[len(prefix) + 1 :]
    return None


def _without_suffix(name: str) -> str:
    return next((name[: -len(suffix)] for suffix in FOREIGN if name.lower().endswith(suffix)), name)


def _label_file(path: Path, files: Mapping[str, Path], chosen: str | None) -> Path:
    if chosen is not None:
        return path / chosen
    if (path / LABELS).is_file():
        return path / LABELS
    found = sorted(file.name for file in path.glob("*.csv"))
    if len(found) == 1:
        return path / found[0]
    beside = f"; it holds {', '.join(found)}: choose one with --labels" if found else ""
    raise DataError(f"{path}: holds {len(files)} structures but no {LABELS} with their labels{beside}")


class _Structure(NamedTuple):
    numbers: NDArray[np.int64]
    positions: FloatArray
    cell: FloatArray


def _read_all(files: Mapping[str, Path], names: Sequence[str]) -> list[_Structure]:
    """Structures in the order of ``names``; CIFs are read over all cores."""
    cifs = [name for name in names if files[name].suffix.lower() == ".cif"]
    read: dict[str, _Structure] = {}
    if cifs:
        flat = read_cifs([files[name].name for name in cifs], [files[name] for name in cifs])
        for row, name in enumerate(cifs):
            atoms = slice(flat.ptr[row], flat.ptr[row + 1])
            read[name] = _Structure(flat.numbers[atoms].astype(np.int64), flat.positions[atoms], flat.cell[row])
    return [read.get(name) or _poscar(files[name]) for name in names]


def _poscar(path: Path) -> _Structure:
    from io import StringIO

    from ase.io.vasp import read_vasp

    file = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not a text file in UTF-8 (byte {error.start})") from error
    lines = text.splitlines()
    words = lines[5].split() if len(lines) > 5 else []
    if not words or not all(word[0].isalpha() for word in words):
        raise DataError(f"{file}, line 6: expected element symbols; a POSCAR of VASP 4 does not say what its atoms are")
    for word in words:
        atomic_number(word.split("_")[0].split("/")[0], f"{file}, line 6")
    try:
        atoms = read_vasp(StringIO(text))
    except Exception as error:  # ASE's reader raises whatever it meets
        raise DataError(f"{file}: not a POSCAR that can be read ({type(error).__name__}: {error})") from error
    cell = periodic_cell(atoms.cell.array, PERIODIC, file)
    if cell is None:
        raise DataError(f"{file}: has no cell")
    return _Structure(np.asarray(atoms.numbers, dtype=np.int64), np.asarray(atoms.positions), cell)


def _entry(name: str, read: _Structure, lines: Sequence[Line], table: LabelFile) -> Entry:
    return Entry(
        name=name,
        where=f"{table.file}, line {lines[0].number}",
        numbers=read.numbers,
        positions=read.positions,
        cell=read.cell,
        pbc=PERIODIC,
        values={**lines[0].others, table.target: _VALUES[table.level](lines, table, len(read.numbers))},
    )


def _graph_value(lines: Sequence[Line], table: LabelFile, _: int) -> float | None:
    if len(lines) > 1:
        raise DataError(
            f"{table.file}, line {lines[1].number}: id {lines[1].name!r} appears before, in line {lines[0].number}; "
            f"ids must be unique"
        )
    return None if np.isnan(lines[0].value) else lines[0].value


def _node_values(lines: Sequence[Line], table: LabelFile, atoms: int) -> Any:
    values, seen = np.full(atoms, np.nan), dict[int, int]()
    for line in lines:
        (site,) = line.sites
        where = f"{table.file}, line {line.number}"
        check_site(site, atoms, where)
        if site in seen:
            raise DataError(f"{where}: site {site} of {line.name!r} has a label before, in line {seen[site]}; keep one")
        seen[site] = line.number
        values[site] = line.value
    return values


def _edge_values(lines: Sequence[Line], table: LabelFile, atoms: int) -> list[list[float]]:
    rows = []
    for line in lines:
        i, j, a, b, c = (*line.sites, 0, 0, 0)[:5]
        check_pair(i, j, (a, b, c), atoms, f"{table.file}, line {line.number}")
        rows.append([i, j, a, b, c, line.value])
    return rows


_VALUES = {"graph": _graph_value, "node": _node_values, "edge": _edge_values}
