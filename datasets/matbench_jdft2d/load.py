"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-jdft2d-{i + 1:03d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_jdft2d.json.gz`` with the target ``exfoliation_en``."""
    return read_table(files[0], "mb-jdft2d-{:03d}", label="exfoliation_en", target="exfoliation_en")
