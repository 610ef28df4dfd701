"""The official Matbench v0.1 file -> crystals. Row i has the official id ``mb-phonons-{i + 1:04d}``."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gbench.crystals import Crystals, FloatArray
from gbench.elements import symbols
from gbench.errors import DataError

TARGET = "last_phdos_peak"


def load(files: Sequence[Path]) -> Crystals:
    """Crystals of ``matbench_phonons.json.gz``: a pandas "split" table of pymatgen structures and labels.

    Positions are made from the fractional coordinates, which are what the calculation was given.

    Raises:
        DataError: a site that is disordered, or a table of another shape.

    """
    with gzip.open(files[0], "rt", encoding="utf-8") as file:
        table = json.load(file)
    if table["columns"] != ["structure", "last phdos peak"]:
        raise DataError(f"{files[0].name}: columns are {table['columns']}, expected structure and last phdos peak")
    number = {symbol: z for z, symbol in enumerate(symbols(), start=1)}
    records = [
        _record(f"mb-phonons-{row:04d}", structure, peak, number)
        for row, (structure, peak) in enumerate(table["data"], start=1)
    ]
    return Crystals.build(records, graph_targets=(TARGET,))


def _record(name: str, structure: dict[str, Any], peak: float, number: dict[str, int]) -> dict[str, Any]:
    cell = np.array(structure["lattice"]["matrix"])
    sites = structure["sites"]
    for site in sites:
        if len(site["species"]) != 1 or site["species"][0]["occu"] != 1:
            raise DataError(
                f"crystal {name!r} has a disordered site {site['label']}; only ordered crystals are supported"
            )
    return {
        "id": name,
        "numbers": [number[site["species"][0]["element"]] for site in sites],
        "positions": _cartesian(np.array([site["abc"] for site in sites]), cell),
        "cell": cell,
        TARGET: peak,
    }


def _cartesian(fractional: FloatArray, cell: FloatArray) -> FloatArray:
    """(atoms, 3) Å. A matrix product would round as the processor's BLAS does, and the content hash with it."""
    a, b, c = fractional.T[:, :, None]
    return np.asarray(a * cell[0] + b * cell[1] + c * cell[2])
