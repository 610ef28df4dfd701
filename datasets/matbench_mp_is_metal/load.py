"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-mp-is-metal-{i + 1:06d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_mp_is_metal.json.gz`` with the target ``is_metal``."""
    return read_table(files[0], "mb-mp-is-metal-{:06d}", label="is_metal", target="is_metal")
