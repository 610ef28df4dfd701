"""CrysXPP's tree of Materials Project CIFs, with the labels that MEGNet's authors' copy adds -> crystals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gbench.crystals import Crystals
from gbench.errors import DataError
from gbench.reading.parallel import read_cifs
from gbench.reading.tables import Table, read_csv


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of the tree, in its order of rows, under their Materials Project ids.

    ``id_prop.csv`` of the tree holds formation energies; the second file holds them again, with band gap, Fermi energy
    and two columns that are not published here: cell volume, which the structure gives, and a magnetisation of unknown
    unit.

    Raises:
        DataError: the tables do not fit together.
    """
    tree, more = files
    hashes = read_csv(tree / "material_id_hash.csv", ("row", "id"))
    energies = read_csv(tree / "id_prop.csv", ("row", "e_form"))
    labels = read_csv(more, ("row", "e_form", "gap", "fermi", "volume", "magnetisation"))
    rows = hashes.ids("row")
    for table in (energies, labels):
        _refuse_other_rows(rows, table)
    e_form = energies.numbers("e_form")
    differ = np.flatnonzero(np.abs(e_form - labels.numbers("e_form")) > 1e-9)
    if len(differ):
        raise DataError(f"{labels.where(differ[0])}: e_form is not that of {energies.where(differ[0])}")
    hashes.check_pairs("row", [path.stem for path in tree.glob("*.cif")], tree.name)
    structures = read_cifs([f"{row}.cif" for row in rows], [tree / f"{row}.cif" for row in rows])
    return structures.crystals(
        hashes.ids("id"), {"e_form": e_form, "gap": labels.numbers("gap"), "fermi": labels.numbers("fermi")}
    )


def _refuse_other_rows(rows: list[str], table: Table) -> None:
    others = table.ids("row")
    for row, (ours, theirs) in enumerate(zip(rows, others, strict=False)):
        if ours != theirs:
            raise DataError(f"{table.where(row)}: row {theirs!r} where {ours!r} belongs")
    if len(rows) != len(others):
        raise DataError(f"{table.file}: {len(others)} rows, expected {len(rows)}")
