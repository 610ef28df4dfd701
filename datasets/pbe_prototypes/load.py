"""PBE prototypes: structures and labels as they lie beside the card."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals


def load(files: Sequence[Path]) -> Crystals:
    """The crystals in ``crystals.parquet``, the only source."""
    (path,) = files
    return Crystals.read(path)
