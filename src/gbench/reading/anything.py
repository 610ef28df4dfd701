"""Entries of whatever file or folder a person points at."""

from pathlib import Path

from gbench.cards import Level
from gbench.errors import DataError
from gbench.reading.entry import Entry

ACCEPTED = (
    "a folder of CIF or POSCAR files with id_prop.csv, an extended XYZ (.xyz, .extxyz), an ASE database (.db), or a "
    "table with pymatgen structures (.json, .jsonl, either with .gz, or .parquet)"
)
PICKLES = (".pkl", ".pickle", ".p", ".pckl", ".joblib", ".pt", ".pth")


def read_entries(
    path: Path,
    *,
    key: str | None = None,
    level: Level | None = None,
    id_column: str | None = None,
    labels: str | None = None,
) -> list[Entry]:
    """All structures of a file or folder. ``key``, ``level`` and ``labels`` say how to read a label file.

    Raises:
        DataError: no such path, a format that is not read, or content that is not what its format says.
    """
    if path.is_dir():
        from gbench.reading.folder import read_folder

        if id_column is not None:
            raise DataError(f"{path}: is a folder, whose ids are its file names; leave out --id-column")
        return read_folder(path, key, level, labels)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; give {ACCEPTED}")
    if labels is not None:
        raise DataError(f"{path}: --labels belongs to a folder of structures; leave it out")
    entries = _read_file(path, id_column)
    if not entries:
        raise DataError(f"{path.name}: holds no structures")
    return entries


def _read_file(path: Path, id_column: str | None) -> list[Entry]:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    # a pickle begins with its protocol, 2 to 5
    if suffix in PICKLES or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        raise DataError(
            f"{path.name}: is a pickle, which can run code when it is opened, so gbench opens none from outside; write "
            f"it as JSON, with as_dict() of the structures and DataFrame.to_json(orient='split')"
        )
    if suffix in (".json", ".jsonl"):
        from gbench.reading.records import read_json

        return read_json(path, id_column)
    if suffix == ".parquet":
        from gbench.reading.records import read_parquet

        return read_parquet(path, id_column)
    if suffix in (".xyz", ".extxyz"):
        from gbench.reading.ase_files import read_xyz

        return read_xyz(path, id_column)
    if suffix == ".db":
        from gbench.reading.ase_files import read_ase_db

        return read_ase_db(path, id_column)
    raise DataError(f"{path.name}: files of this kind are not read; give {ACCEPTED}")
