"""The same four crystals in every format that can be added."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import pandas as pd
import pytest
from ase import Atoms

from gbench.adding import Request, add
from gbench.content import user_datasets
from gbench.crystals import Crystals
from gbench.errors import GbenchError

NAMES = ("NaCl", "CsCl", "MgO", "LiF")
LABELS = (-2.1, -2.25, -3.0, 0.0)
CELLS = (5.64, 4.12, 4.21, 4.03)
MINE = Request(name="mine", target="e_form", unit="eV/atom")


def frames() -> list[Atoms]:
    """Four crystals of two atoms."""
    made = []
    for name, edge in zip(NAMES, CELLS, strict=True):
        atoms = Atoms(name, positions=[[0, 0, 0], [edge / 2] * 3], cell=[edge] * 3, pbc=True)
        made.append(atoms)
    return made


@cache
def structures_text() -> str:
    crystals = Crystals.build(
        [
            {"id": name, "numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array}
            for name, atoms in zip(NAMES, frames(), strict=True)
        ]
    )
    return json.dumps([crystals.to_pymatgen(row).as_dict() for row in range(len(NAMES))])


def rows() -> list[dict[str, Any]]:
    return [
        {"material_id": name, "structure": structure, "e_form": label}
        for name, structure, label in zip(NAMES, json.loads(structures_text()), LABELS, strict=True)
    ]


def folder(place: Path, labels: str | None = None, kind: str = "cif") -> Path:
    """Structures with ``id_prop.csv``."""
    path = place / "set"
    path.mkdir()
    for name, atoms in zip(NAMES, frames(), strict=True):
        if kind == "cif":
            ase.io.write(path / f"{name}.cif", atoms)
        elif kind == "poscar":
            ase.io.write(path / f"POSCAR-{name}", atoms, format="vasp")
        else:
            (path / name).mkdir()
            ase.io.write(path / name / "POSCAR", atoms, format="vasp")
    if labels is None:
        labels = "".join(f"{name},{label}\n" for name, label in zip(NAMES, LABELS, strict=True))
    (path / "id_prop.csv").write_text(labels)
    return path


def xyz(place: Path, change: Callable[[int, Atoms], None] = lambda row, atoms: None) -> Path:
    path, made = place / "set.xyz", frames()
    for row, atoms in enumerate(made):
        atoms.info |= {"id": NAMES[row], "e_form": LABELS[row]}
        change(row, atoms)
    ase.io.write(path, made, format="extxyz")
    return path


def database(place: Path) -> Path:
    path = place / "set.db"
    database = ase.db.connect(path)
    for name, label, atoms in zip(NAMES, LABELS, frames(), strict=True):
        database.write(atoms, e_form=label, material_id=name)
    return path


def table(
    place: Path, orient: Any = "split", change: Callable[[list[dict[str, Any]]], None] = lambda rows: None
) -> Path:
    path, made = place / f"{orient}.json.gz", rows()
    change(made)
    pd.DataFrame(made).to_json(path, orient=orient)
    return path


def lines(place: Path) -> Path:
    path = place / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


def frame_parquet(place: Path) -> Path:
    path = place / "set.parquet"
    frame = pd.DataFrame(rows())
    frame.assign(structure=[json.dumps(structure) for structure in frame.structure]).to_parquet(path)
    return path


def our_parquet(place: Path) -> Path:
    path = place / "ours.parquet"
    records = [
        {"id": name, "numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array, "e_form": label}
        for name, atoms, label in zip(NAMES, frames(), LABELS, strict=True)
    ]
    Crystals.build(records, graph_targets=("e_form",)).write(path)
    return path


FORMATS: dict[str, Callable[[Path], Path]] = {
    "CIF folder": folder,
    "POSCAR folder": lambda place: folder(place, kind="poscar"),
    "folder of folders": lambda place: folder(place, kind="folders"),
    "extended XYZ": xyz,
    "ASE database": database,
    "split": lambda place: table(place, "split"),
    "records": lambda place: table(place, "records"),
    "columns": lambda place: table(place, "columns"),
    "index": lambda place: table(place, "index"),
    "lines": lines,
    "Parquet": frame_parquet,
    "our Parquet": our_parquet,
}


def refused(path: Path, message: str, request: Request = MINE) -> None:
    """Held to: one sentence, and nothing on disk."""
    with pytest.raises(GbenchError, match=message) as caught:
        add(path, request)
    assert "\n" not in str(caught.value)
    assert not [entry for entry in user_datasets().rglob("*") if entry.is_file()]
