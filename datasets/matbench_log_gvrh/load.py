"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-log-gvrh-{i + 1:05d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_log_gvrh.json.gz`` with the target ``log10_g_vrh``."""
    return read_table(files[0], "mb-log-gvrh-{:05d}", label="log10(G_VRH)", target="log10_g_vrh")
