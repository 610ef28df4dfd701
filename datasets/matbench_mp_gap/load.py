"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-mp-gap-{i + 1:06d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_mp_gap.json.gz`` with the target ``gap_pbe``."""
    return read_table(files[0], "mb-mp-gap-{:06d}", label="gap pbe", target="gap_pbe")
