"""CIF files and lines ``host:i-j,i,j,5 energies,5 points`` of d2gnn -> supercells with the barriers of some hops."""

import csv
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import Crystals, FloatArray
from gbench.errors import DataError
from gbench.reading.cif import CifCrystal, read_cif_file

LABELS = ("id_prop.csv.0.k0_outer.train", "id_prop.csv.0.k0_outer.test")
TARGET = "barrier"
IMAGES = 5
DECIMALS = 8
"""Distances are compared after rounding to this many decimals (Å); of equal ones the first image counts."""


class Hop(NamedTuple):
    """A vacancy that moves from site i to site j, while the atom at j moves to i."""

    where: str
    """File and line, for messages."""
    host: str
    i: int
    j: int
    energies: tuple[float, ...]
    """(images,) eV, from the vacancy at i to the vacancy at j."""
    path: FloatArray
    """(images, 3) fractional coordinates of the moving atom, from j to i."""

    @property
    def barrier(self) -> float:
        """eV, the highest image above the first."""
        return max(self.energies) - self.energies[0]


def load(files: Sequence[Path]) -> Crystals:
    """The supercells of a folder of CIFs, by name, with the barriers of the hops in its label files.

    Raises:
        DataError: a line that is damaged, names no host or no site of it; a CIF that cannot be read.
    """
    (folder,) = files
    hosts = {path.stem: read_cif_file(path) for path in sorted(folder.glob("*.cif"))}
    hops: dict[str, list[Hop]] = {name: [] for name in hosts}
    for name in LABELS:
        for hop in read_hops(folder / name):
            if hop.host not in hosts:
                raise DataError(f"{hop.where}: there is no {hop.host}.cif")
            if not 0 <= min(hop.i, hop.j) <= max(hop.i, hop.j) < len(hosts[hop.host].numbers):
                raise DataError(f"{hop.where}: {hop.host}.cif has no sites {hop.i} and {hop.j}")
            hops[hop.host].append(hop)
    return Crystals.build(
        [_record(name, host, sorted(hops[name], key=lambda hop: (hop.i, hop.j))) for name, host in hosts.items()],
        edge_targets=(TARGET,),
    )


def read_hops(path: Path) -> Iterator[Hop]:
    """The hops of a label file."""
    with path.open(encoding="utf-8", newline="") as file:
        for count, row in enumerate(csv.reader(file), start=1):
            where = f"{path.name}, line {count}"
            try:
                host, _, pair = row[0].rpartition(":")
                i, j = (int(site) for site in row[1:3])
                if pair != f"{i}-{j}" or len(row) != 3 + 4 * IMAGES:
                    raise ValueError(pair)
                values = [float(value) for value in row[3:]]
            except (ValueError, IndexError) as error:
                raise DataError(
                    f"{where}: expected host:i-j,i,j, {IMAGES} energies and {IMAGES} points; fetch it again"
                ) from error
            yield Hop(where, host, i, j, tuple(values[:IMAGES]), np.array(values[IMAGES:]).reshape(IMAGES, 3))


def shortest_image(cell: FloatArray, vector: FloatArray) -> NDArray[np.int32]:
    """(3,) The lattice translation that makes ``vector`` (3,) Å shortest, for a cell however skewed.

    Every translation that can be as short as the one found by rounding is compared. Equal lengths: the first in
    lexicographic order.
    """
    fractional = np.linalg.solve(cell.T, vector)
    nearest = -np.rint(fractional)
    bound = np.linalg.norm(vector + nearest @ cell)
    # |fraction + image| along an axis is at most the length over the distance of the lattice planes
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = np.ceil(bound / heights + 0.5).astype(int)
    images = nearest + np.array(list(product(*(range(-steps, steps + 1) for steps in reach))))
    lengths = np.linalg.norm(vector + images @ cell, axis=1).round(DECIMALS)
    return np.asarray(images[lengths.argmin()], dtype=np.int32)


def _record(name: str, host: CifCrystal, hops: Sequence[Hop]) -> dict[str, object]:
    positions = host.positions
    return {
        "id": name,
        "numbers": host.numbers,
        "positions": positions,
        "cell": host.cell,
        "pairs": [(hop.i, hop.j) for hop in hops],
        "pair_image": [shortest_image(host.cell, positions[hop.j] - positions[hop.i]) for hop in hops],
        TARGET: [hop.barrier for hop in hops],
    }
