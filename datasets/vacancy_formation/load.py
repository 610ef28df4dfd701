"""CIF files and lines ``host:element+number,site,energy`` of d2gnn -> oxides with energies on some of their sites."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbench.crystals import Crystals, FloatArray
from gbench.elements import symbols
from gbench.errors import DataError
from gbench.reading.cif import CifCrystal, read_cif_file

LABELS = ("id_prop.csv.train_k1", "id_prop.csv.hold_k1")
TARGET = "formation_energy"


class Vacancy(NamedTuple):
    """The energy of taking one atom out."""

    where: str
    """File and line, for messages."""
    host: str
    element: str
    site: int
    """Counted from 0 in the host's CIF."""
    energy: float
    """eV"""


def load(files: Sequence[Path]) -> Crystals:
    """The oxides of a folder of CIFs, by name, with the vacancy formation energies of its label files.

    Raises:
        DataError: a line that is damaged, names no host or another element than its site has, or contradicts another
            line; a CIF that cannot be read.
    """
    (folder,) = files
    hosts = {path.stem: read_cif_file(path) for path in sorted(folder.glob("*.cif"))}
    energies = {name: np.full(len(host.numbers), np.nan) for name, host in hosts.items()}
    for name in LABELS:
        for vacancy in _read(folder / name):
            _put(vacancy, hosts, energies)
    records = [
        {"id": name, "numbers": host.numbers, "positions": host.positions, "cell": host.cell, TARGET: energies[name]}
        for name, host in hosts.items()
    ]
    return Crystals.build(records, node_targets=(TARGET,))


def _read(path: Path) -> Iterator[Vacancy]:
    with path.open(encoding="utf-8", newline="") as file:
        for count, row in enumerate(csv.reader(file), start=1):
            where = f"{path.name}, line {count}"
            try:
                name, site, energy = row
                host, _, label = name.rpartition(":")
                yield Vacancy(where, host, label.rstrip("0123456789"), int(site), float(energy))
            except ValueError as error:
                raise DataError(f"{where}: {','.join(row)!r} is not host:site,index,energy; fetch it again") from error


def _put(vacancy: Vacancy, hosts: dict[str, CifCrystal], energies: dict[str, FloatArray]) -> None:
    """Write the energy to its site."""
    where, host, element, site, energy = vacancy
    if host not in hosts:
        raise DataError(f"{where}: there is no {host}.cif")
    numbers = hosts[host].numbers
    if not 0 <= site < len(numbers) or symbols()[numbers[site] - 1] != element:
        raise DataError(f"{where}: site {site} of {host}.cif is no {element}; sites count from 0 in the file's order")
    known = energies[host][site]
    if not np.isnan(known) and known != energy:
        raise DataError(f"{where}: site {site} of {host} has {energy} eV here and {known} eV on another line")
    energies[host][site] = energy
