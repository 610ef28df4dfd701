"""CDVAE's validation and test files of Carbon-24 -> crystals. Ids are the AIRSS names of the structures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gbench.crystals import Crystals
from gbench.reading.parallel import read_cifs
from gbench.reading.tables import read_csv


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of the files, one after the other, each in its order."""
    tables = [read_csv(path) for path in files]
    ids = [name for table in tables for name in table.ids("material_id")]
    structures = read_cifs(ids, [text for table in tables for text in table.column("cif")])
    return structures.crystals(ids, {"energy": np.concatenate([table.numbers("energy_per_atom") for table in tables])})
