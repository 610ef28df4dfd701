"""CIF -> atoms: the one structure of a file, by gemmi, with its symmetry expanded."""

import re
from pathlib import Path
from typing import NamedTuple, NoReturn

import gemmi
import numpy as np
from numpy.typing import NDArray

from gbench.crystals import FloatArray
from gbench.errors import DataError
from gbench.reading.cell import cartesian, cell_matrix
from gbench.reading.species import number_of_label, number_of_type
from gbench.reading.symmetry import SAME_SITE_ANGSTROM, distances, expand, operations

CELL = tuple(
    f"_cell_{name}" for name in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
SITE = "_atom_site_"
AXES = tuple(f"{SITE}fract_{axis}" for axis in "xyz")
OCCUPANCY_TOLERANCE = 1e-3
DENSE_ATOMS = 64
"""Up to this many atoms all pairs are compared; above it a tree finds the close ones."""


class CifCrystal(NamedTuple):
    """The atoms in one cell."""

    numbers: NDArray[np.int16]
    """(atoms,) atomic numbers: in file order, the images of a site one after another."""
    positions: FloatArray
    """(atoms, 3) Cartesian, Å; not wrapped into the cell."""
    cell: FloatArray
    """(3, 3) lattice vectors as rows, Å: a along x, b in the xy plane."""


def read_cif(text: str, name: str) -> CifCrystal:
    """The structure in the text of a CIF; ``name`` is what errors call it.

    Atoms are those of the file, in its order, when it states no symmetry but the identity. Otherwise each site is
    followed by its images, of which those on a special position are one atom.

    Raises:
        DataError: not a CIF, no cell, no atoms, or no or wrong symmetry; a site that is partly occupied, shares its
            place with another, or has an unknown element or coordinate.
    """
    try:
        return _crystal(_block(text))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def read_cif_file(path: Path) -> CifCrystal:
    """The structure in a CIF file; errors call it by the file's name.

    Raises:
        DataError: as :func:`read_cif`, or the file cannot be read.
    """
    try:
        # the parts that are read are ASCII; comments may be in any encoding
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror})") from error
    return read_cif(text, path.name)


def _block(text: str) -> gemmi.cif.Block:
    """The block that holds atoms."""
    if not text.isascii():
        text = text.encode("ascii", "replace").decode("ascii")
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        where = re.match(r"string:(\d+)(?::\d+\(\d+\))?(?: in (\S+))?:? *(.*)", str(error), re.DOTALL)
        if where is None:
            raise DataError(f"is not a CIF ({error})") from error
        raise DataError(f"line {where[1]} is not CIF ({where[3] or error})") from error
    blocks = list(document) if len(document) < 2 else [block for block in document if block.find_values(AXES[0])]
    if len(blocks) > 1:
        raise DataError(f"holds {len(blocks)} structures; write one per file")
    if not blocks:
        raise DataError("is empty; a CIF begins with data_ and holds a cell and atoms")
    return blocks[0]


def _crystal(block: gemmi.cif.Block) -> CifCrystal:
    sizes = [_number(block.find_value(tag), tag) for tag in CELL]
    cell = cell_matrix((sizes[0], sizes[1], sizes[2]), (sizes[3], sizes[4], sizes[5]))
    symmetry = operations(block, sizes[3], sizes[5])
    columns = _columns(block)
    labels = columns.get(f"{SITE}label") or columns.get(f"{SITE}type_symbol")
    if labels is None:
        raise DataError("has atoms without _atom_site_label or _atom_site_type_symbol; name their elements")
    types = columns.get(f"{SITE}type_symbol")
    if types is None:
        numbers = [number_of_label(label) for label in labels]
    else:
        numbers = [number_of_type(symbol, label) for symbol, label in zip(types, labels, strict=True)]
    for label, occupancy in zip(labels, columns.get(f"{SITE}occupancy", ()), strict=False):
        if occupancy not in ("1", "1.0", "1.0000"):
            _check_occupancy(occupancy, label)
    xyz = [[gemmi.cif.as_number(value) for value in columns[axis]] for axis in AXES]
    fractional = np.array(xyz).T
    if not np.isfinite(fractional).all():
        _refuse_coordinate(columns, labels)
    if symmetry is not None:
        fractional, copies = expand(fractional, cell, symmetry)
        numbers = [number for number, count in zip(numbers, copies, strict=True) for _ in range(count)]
        labels = [label for label, count in zip(labels, copies, strict=True) for _ in range(count)]
    _refuse_shared_sites(fractional, cell, labels)
    return CifCrystal(np.array(numbers, dtype=np.int16), cartesian(fractional, cell), cell)


def _columns(block: gemmi.cif.Block) -> dict[str, list[str]]:
    """The values of the atom loop, or of a single atom, by lower-case tag."""
    loop = block.find_loop(AXES[0]).get_loop()
    if loop is not None:
        values, width = loop.values, loop.width()
        columns = {tag.lower(): values[i::width] for i, tag in enumerate(loop.tags)}
    else:
        tags = (*AXES, f"{SITE}label", f"{SITE}type_symbol", f"{SITE}occupancy")
        columns = {tag: [value] for tag in tags if (value := block.find_value(tag)) is not None}
    if not any(axis in columns for axis in AXES):
        raise DataError("has no atoms with fractional coordinates (_atom_site_fract_x and so on)")
    for axis in AXES:
        if axis not in columns:
            raise DataError(f"has atoms without {axis}")
    return columns


def _number(value: str | None, tag: str) -> float:
    if value is None:
        raise DataError(f"has no cell: {tag} is missing")
    number = gemmi.cif.as_number(gemmi.cif.as_string(value))
    if number != number:
        raise DataError(f"{tag} is {value}, not a number")
    return number


def _check_occupancy(value: str, label: str) -> None:
    if value in ("?", "."):
        return
    occupancy = gemmi.cif.as_number(gemmi.cif.as_string(value))
    if not abs(occupancy - 1) <= OCCUPANCY_TOLERANCE:
        raise DataError(
            f"site {label!r} has occupancy {value}; only fully occupied sites are supported, order it first"
        )


def _refuse_coordinate(columns: dict[str, list[str]], labels: list[str]) -> NoReturn:
    for axis in AXES:
        for value, label in zip(columns[axis], labels, strict=True):
            if not np.isfinite(gemmi.cif.as_number(value)):
                raise DataError(f"site {label!r} has {axis} {value}, not a number")
    raise AssertionError("unreachable")


def _refuse_shared_sites(fractional: FloatArray, cell: FloatArray, labels: list[str]) -> None:
    """Raise DataError if two atoms lie on one site."""
    atoms = len(fractional)
    if atoms == 1:
        return
    if atoms <= DENSE_ATOMS:
        close = distances(fractional, fractional, cell) < SAME_SITE_ANGSTROM
        if np.count_nonzero(close) == atoms:
            return
        i, j = np.argwhere(np.triu(close, 1))[0].tolist()
    else:
        pair = _close_pair(fractional, cell)
        if pair is None:
            return
        i, j = pair
    raise DataError(
        f"sites {labels[i]!r} and {labels[j]!r} (atoms {i} and {j}) lie on one place, less than {SAME_SITE_ANGSTROM} Å "
        f"apart; keep one, or order the structure"
    )


def _close_pair(fractional: FloatArray, cell: FloatArray) -> tuple[int, int] | None:
    from scipy.spatial import KDTree

    heights = 1 / np.sqrt((np.linalg.inv(cell) ** 2).sum(axis=0))
    wrapped = np.mod(np.mod(fractional, 1), 1)
    reach = float(np.sqrt(((SAME_SITE_ANGSTROM / heights) ** 2).sum()))
    candidates = KDTree(wrapped, boxsize=1).query_pairs(reach, output_type="ndarray")
    for i, j in candidates[np.lexsort(candidates.T[::-1])].tolist():
        if distances(fractional[i : i + 1], fractional[j : j + 1], cell)[0, 0] < SAME_SITE_ANGSTROM:
            return i, j
    return None
