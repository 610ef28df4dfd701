"""CDVAE's validation and test files of Perov-5 -> crystals. Ids are ``perov5-<material_id>``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gbench.crystals import Crystals
from gbench.reading.parallel import read_cifs
from gbench.reading.tables import read_csv

COLUMNS = {"e_form": "heat_all", "gap": "ind_gap", "gap_direct": "dir_gap"}


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of the files, one after the other, each in its order."""
    tables = [read_csv(path) for path in files]
    ids = [f"perov5-{name}" for table in tables for name in table.ids("material_id")]
    structures = read_cifs(ids, [text for table in tables for text in table.column("cif")])
    targets = {
        target: np.concatenate([table.numbers(column) for table in tables]) for target, column in COLUMNS.items()
    }
    return structures.crystals(ids, targets)
