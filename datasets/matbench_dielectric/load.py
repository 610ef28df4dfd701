"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-dielectric-{i + 1:04d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_dielectric.json.gz`` with the target ``n``."""
    return read_table(files[0], "mb-dielectric-{:04d}", label="n", target="n")
