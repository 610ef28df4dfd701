"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-perovskites-{i + 1:05d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_perovskites.json.gz`` with the target ``e_form``."""
    return read_table(files[0], "mb-perovskites-{:05d}", label="e_form", target="e_form")
