"""SE-CGCNN's third set of surfaces -> slabs, periodic in their plane. Ids are the names of the files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gbench.crystals import Crystals, FloatArray
from gbench.errors import DataError
from gbench.reading.parallel import Structures, read_cifs
from gbench.reading.tables import read_csv

LEAST_VACUUM_ANGSTROM = 15.0


def load(files: Sequence[Path]) -> Crystals:
    """Slabs of the tree, in the order of ``id_prop.csv``, each made whole along its third axis, which is then dropped.

    Raises:
        DataError: labels and structures do not belong together, or a slab without vacuum.
    """
    (folder,) = files
    table = read_csv(folder / "id_prop.csv", ("id", "cleavage_energy"))
    ids = table.ids("id")
    table.check_pairs("id", [path.stem for path in folder.glob("*.cif")], folder.name)
    structures = read_cifs([f"{name}.cif" for name in ids], [folder / f"{name}.cif" for name in ids])
    energy = {"cleavage_energy": table.numbers("cleavage_energy")}
    return free_standing(structures, ids).crystals(ids, energy, pbc=(True, True, False))


def free_standing(structures: Structures, ids: Sequence[str]) -> Structures:
    """The slabs without their third lattice vector; atoms of a slab that crosses the cell's face are moved together.

    Raises:
        DataError: less vacuum along the third axis than the periodic images of a slab need.
    """
    positions, cell = structures.positions.copy(), structures.cell.copy()
    for row, name in enumerate(ids):
        atoms = slice(structures.ptr[row], structures.ptr[row + 1])
        a, b, c = cell[row]
        normal = np.cross(a, b)
        # the fraction of c that an atom lies above the plane, by plain arithmetic: it decides about bits of positions
        height = (normal * c).sum()
        fraction = (positions[atoms] * normal).sum(axis=1) / height
        turns, vacuum = _turns(fraction)
        width = vacuum * height / np.sqrt((normal**2).sum())
        if width < LEAST_VACUUM_ANGSTROM:
            raise DataError(f"slab {name!r} has {width:.1f} Å of vacuum along its third axis; it is no free surface")
        positions[atoms] += turns[:, None] * c
        cell[row, 2] = 0
    return structures._replace(positions=positions, cell=cell)


def _turns(fraction: FloatArray) -> tuple[FloatArray, float]:
    """Lattice translations along the axis that put all atoms on one side of the widest gap, and that gap."""
    within = fraction - np.floor(fraction)
    order = np.sort(within)
    gaps = np.diff(np.append(order, order[0] + 1))
    widest = int(gaps.argmax())
    # atoms above the gap go below those under it
    above = within > order[widest]
    return -np.floor(fraction) - above, float(gaps[widest])
