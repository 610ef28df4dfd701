"""The archive of CIFs and the table of pore sizes of the core-mof wheel -> metal-organic frameworks."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gbench.archives import unpack
from gbench.crystals import Crystals
from gbench.errors import DataError
from gbench.reading.parallel import read_cifs
from gbench.registry import dataset_card

TABLE = "CoRE_MOF/data/2019-ASR.csv"
ARCHIVE = "CoRE_MOF/data/2019-ASR.tar.xz"
COLUMNS = {"lcd": "LCD", "pld": "PLD", "void_fraction": "AV_VF", "asa": "ASA_m2_g"}


def load(files: Sequence[Path]) -> Crystals:
    """The frameworks in the order of the table, without those that the card drops: no reader takes some of them.

    Raises:
        DataError: a table without a column, a framework in one file but not the other, a CIF that cannot be read.
    """
    (folder,) = files
    table = _table(folder / TABLE)
    dropped = dataset_card("core_mof_asr").dropped
    with tempfile.TemporaryDirectory(prefix="core_mof_asr.", dir=folder.parent) as temporary:
        unpacked = Path(temporary) / "cif"
        unpack(folder / ARCHIVE, unpacked, ["*.cif"])
        paths = {path.stem: path for path in unpacked.rglob("*.cif")}
        if odd := sorted(paths.keys() ^ set(table.index)):
            where = TABLE if odd[0] in paths else ARCHIVE
            raise DataError(f"{where} lacks {odd[0]!r} (and {len(odd) - 1} more differences); fetch the wheel again")
        table = table[~table.index.isin(dropped)]
        ids = list(table.index)
        structures = read_cifs(ids, [paths[name] for name in ids])
    return structures.crystals(ids, {name: table[column].to_numpy() for name, column in COLUMNS.items()})


def _table(path: Path) -> pd.DataFrame:
    numbers = list(COLUMNS.values())
    try:
        text = pd.read_csv(path, usecols=["filename", *numbers], dtype=str, index_col="filename")
        # by way of text: the reader's own parser of numbers may miss the last bit
        table = text[numbers].astype("float64")
    except ValueError as error:
        raise DataError(f"{path.name}: not the table of core-mof 2019.1 ({error}); fetch the wheel again") from error
    if not table.index.is_unique:
        raise DataError(f"{path.name}: {table.index[table.index.duplicated()][0]!r} is there twice; fetch it again")
    return table
