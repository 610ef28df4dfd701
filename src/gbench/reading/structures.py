"""Structures inside tables: dictionaries of pymatgen, ASE or JARVIS, or CIF text. Nothing is executed."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.errors import DataError
from gbench.reading.cell import cartesian
from gbench.reading.entry import FloatArray, atomic_number, periodic_cell, shown

FORMS = "a pymatgen Structure or Molecule (as_dict), ASE or JARVIS atoms, or CIF text"


class Read(NamedTuple):
    """What a structure says."""

    numbers: NDArray[np.int64]
    positions: FloatArray
    cell: FloatArray | None
    pbc: tuple[bool, bool, bool]
    site_values: Mapping[str, list[Any]]
    """Site properties that every site has."""


def is_structure(value: Any) -> bool:
    """Whether a table's value looks like a structure."""
    if isinstance(value, str):
        return "_cell_length_a" in value or ('"sites"' in value and value.lstrip().startswith("{"))
    return isinstance(value, Mapping) and bool({"sites", "positions", "coords"} & value.keys())


def read_structure(value: Any, where: str) -> Read:
    """A structure from a table's cell.

    Raises:
        DataError: not a structure, a disordered site, an unknown element, a flat cell.
    """
    if isinstance(value, str):
        if "_cell_length_a" in value:
            return _cif(value, where)
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: the structure is text, but neither JSON nor CIF; expected {FORMS}") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: the structure is {shown(value)}; expected {FORMS}")
    try:
        if "sites" in value:
            return _pymatgen(value, where)
        if "coords" in value:
            return _jarvis(value, where)
        return _ase(value, where)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(f"{where}: the structure cannot be read ({error!r}); expected {FORMS}") from error


def _cif(text: str, where: str) -> Read:
    from gbench.reading.cif import read_cif

    crystal = read_cif(text, where)
    numbers = np.asarray(crystal.numbers, dtype=np.int64)
    return Read(numbers, np.asarray(crystal.positions), np.asarray(crystal.cell), (True, True, True), {})


def _pymatgen(value: Mapping[str, Any], where: str) -> Read:
    sites = value["sites"]
    numbers = np.array([_species(site, row, where) for row, site in enumerate(sites)], dtype=np.int64)
    lattice = value.get("lattice")
    if lattice is None:
        positions = np.array([site["xyz"] for site in sites], dtype=np.float64).reshape(-1, 3)
        return Read(numbers, positions, None, (False, False, False), _site_values(sites))
    a, b, c = (bool(axis) for axis in lattice.get("pbc") or (True, True, True))
    full = np.array(lattice["matrix"], dtype=np.float64).reshape(3, 3)
    positions = cartesian(np.array([site["abc"] for site in sites], dtype=np.float64), full)
    return Read(numbers, positions, periodic_cell(full, (a, b, c), where), (a, b, c), _site_values(sites))


def _species(site: Mapping[str, Any], row: int, where: str) -> int:
    species = site["species"]
    if len(species) != 1 or species[0].get("occu", 1) != 1:
        parts = ", ".join(f"{part['element']} {part.get('occu', 1):g}" for part in species)
        raise DataError(
            f"{where}: site {row} is disordered ({parts}); only ordered structures are supported, order it first"
        )
    return atomic_number(species[0]["element"], where)


def _site_values(sites: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    own = [site.get("properties") or {} for site in sites]
    shared = set(own[0]).intersection(*own[1:]) if own else set()
    return {str(key): [properties[key] for properties in own] for key in sorted(shared)}


def _jarvis(value: Mapping[str, Any], where: str) -> Read:
    numbers = np.array([atomic_number(str(symbol).strip(), where) for symbol in value["elements"]], dtype=np.int64)
    cell = periodic_cell(value["lattice_mat"], (True, True, True), where)
    coordinates = np.array(value["coords"], dtype=np.float64).reshape(-1, 3)
    if cell is not None and not value["cartesian"]:
        coordinates = cartesian(coordinates, cell)
    return Read(numbers, coordinates, cell, (True, True, True), {})


def _ase(value: Mapping[str, Any], where: str) -> Read:
    a, b, c = (bool(axis) for axis in value["pbc"])
    positions = np.array(value["positions"], dtype=np.float64).reshape(-1, 3)
    numbers = np.array(value["numbers"], dtype=np.int64)
    return Read(numbers, positions, periodic_cell(value["cell"], (a, b, c), where), (a, b, c), {})
