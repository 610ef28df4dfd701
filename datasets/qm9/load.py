"""The three tables of the qm9pack wheel -> molecules. Molecule i of GDB-9 has the id ``qm9-{i:06d}``."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow.csv import ConvertOptions, ReadOptions, read_csv

from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.elements import symbols
from gbench.errors import DataError

HARTREE_EV = 27.211386245988
"""CODATA 2018, https://doi.org/10.1103/RevModPhys.93.025010"""
PARTS = 3


class Column(NamedTuple):
    """Where a graph target stands, and the factor to its unit on the card."""

    name: str
    factor: float = 1.0


GRAPH_TARGETS = {
    "gap": Column("HOMO_LUMO_gap_au", HARTREE_EV),
    "homo": Column("HOMO_au", HARTREE_EV),
    "lumo": Column("LUMO_au", HARTREE_EV),
    "mu": Column("Dipole_debye"),
    "alpha": Column("Polarizability_bohr3"),
    "u0": Column("InternalEnergy_0K_au", HARTREE_EV),
    "g": Column("GibbsFreeEnergy_298K_au", HARTREE_EV),
    "cv": Column("Heatcapacity_Cv_cal_mol_K"),
    "zpve": Column("ZPVE_au", HARTREE_EV),
}
# element lists, coordinates and charges are written as Python lists: without these characters they are plain numbers
BRACKETS = b"[]' "
COMMA_TO_LINE = bytes.maketrans(b",", b"\n")


def load(files: Sequence[Path]) -> Crystals:
    """Molecules from the folder that holds ``qm9pack/data/qm9_part{1,2,3}.csv``.

    Raises:
        DataError: a table without a column, a value that is no number, or lists of unequal length.
    """
    table = _table(files[0])
    index = table["Index"].to_numpy()
    sizes = table["N_atoms"].to_numpy().astype(np.int64)
    ptr = np.concatenate([[0], np.cumsum(sizes)])
    n, atoms = len(table), int(ptr[-1])
    return Crystals(
        ids=tuple(f"qm9-{number:06d}" for number in index.tolist()),
        numbers=_numbers(_flat(table, "Elements", sizes, pa.string())),
        positions=_floats(table, "XYZ_Ang", sizes * 3).reshape(atoms, 3),
        cell=np.zeros((n, 3, 3)),
        pbc=np.zeros((n, 3), dtype=bool),
        ptr=ptr,
        graph_targets={name: table[column.name].to_numpy() * column.factor for name, column in GRAPH_TARGETS.items()},
        node_targets={"charge": _floats(table, "Mulliken_pop", sizes)},
    ).check()


def _table(folder: Path) -> pa.Table:
    columns = {column.name: pa.float64() for column in GRAPH_TARGETS.values()}
    columns |= {"Index": pa.int64(), "N_atoms": pa.int64()}
    columns |= dict.fromkeys(("Elements", "XYZ_Ang", "Mulliken_pop"), pa.string())
    options = ConvertOptions(include_columns=list(columns), column_types=columns)
    parts = []
    for part in range(1, PARTS + 1):
        path = folder / f"qm9pack/data/qm9_part{part}.csv"
        try:
            parts.append(read_csv(path, convert_options=options))
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise DataError(f"{path.name}: not the table of qm9pack 1.0.3 ({error}); fetch the wheel again") from error
    return pa.concat_tables(parts)


def _floats(table: pa.Table, name: str, lengths: IntArray) -> FloatArray:
    return np.asarray(_flat(table, name, lengths, pa.float64()).to_numpy(), dtype=np.float64)


def _flat(table: pa.Table, name: str, lengths: IntArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The values of a column of lists, one after the other."""
    column = table[name].to_pylist()
    found = np.array([text.count(",") + 1 for text in column])
    wrong = np.flatnonzero(found != lengths)
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"qm9pack: molecule {table['Index'][row]} has {found[row]} values in {name}, expected {lengths[row]}; "
            f"fetch the wheel again"
        )
    text = "\n".join(column).encode().translate(COMMA_TO_LINE, BRACKETS)
    options = {
        "read_options": ReadOptions(column_names=[name]),
        "convert_options": ConvertOptions(column_types={name: kind}),
    }
    try:
        return read_csv(BytesIO(text), **options)[name]
    except pa.ArrowInvalid as error:
        raise DataError(f"qm9pack: {name} holds what is no number ({error}); fetch the wheel again") from error


def _numbers(elements: pa.ChunkedArray) -> NDArray[np.int16]:
    number = {symbol: z for z, symbol in enumerate(symbols(), start=1)}
    encoded = elements.combine_chunks().dictionary_encode()
    present = encoded.dictionary.to_pylist()
    strange = [symbol for symbol in present if symbol not in number]
    if strange:
        raise DataError(f"qm9pack: {strange[0]!r} is no element; fetch the wheel again")
    of_code = np.array([number[symbol] for symbol in present], dtype=np.int16)
    return np.asarray(of_code[encoded.indices.to_numpy()])
