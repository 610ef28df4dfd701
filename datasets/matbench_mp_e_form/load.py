"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-mp-e-form-{i + 1:06d}``."""

from collections.abc import Sequence
from pathlib import Path

from gbench.crystals import Crystals
from gbench.reading.pymatgen_json import read_table


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_mp_e_form.json.gz`` with the target ``e_form``."""
    return read_table(files[0], "mb-mp-e-form-{:06d}", label="e_form", target="e_form")
