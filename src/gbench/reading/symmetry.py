"""The symmetry a CIF states: its operations, and the atoms they make of the sites that are listed."""

from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np

from gbench.crystals import FloatArray
from gbench.errors import DataError

SAME_SITE_ANGSTROM = 0.1
"""Images of a site closer than this are one atom on a special position, whose digits were rounded."""
METRIC_TOLERANCE = 0.02
MAX_OPERATIONS = 192
OPERATION_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
NAME_TAGS = (
    "_space_group_name_H-M_alt",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_Hall",
    "_symmetry_space_group_name_Hall",
)
NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
UNKNOWN = ("", "?", ".")


class Operations(NamedTuple):
    """Symmetry operations in fractional coordinates: x -> rotation x + translation."""

    rotations: FloatArray
    """(operations, 3, 3)"""
    translations: FloatArray
    """(operations, 3)"""


def operations(block: gemmi.cif.Block, alpha: float, gamma: float) -> Operations | None:
    """The operations a block states, or None where that is the identity alone.

    A list of operations comes before a name, and a name before a number.

    Raises:
        DataError: no symmetry is stated, it is not understood or contradicts itself, or its origin is left open.
    """
    listed: tuple[str, ...] = ()
    for tag in OPERATION_TAGS:
        listed = listed or tuple(gemmi.cif.as_string(value) for value in block.find_values(tag))
    names = [name for tag in NAME_TAGS if (name := _text(block, tag)) not in UNKNOWN]
    numbers = [number for tag in NUMBER_TAGS if (number := _text(block, tag)) not in UNKNOWN]
    if not listed:
        return _from_group(names, numbers, alpha, gamma)
    if len(listed) == 1 and (names or numbers) and not _triclinic(tuple(names), tuple(numbers)):
        raise DataError(
            f"lists the identity as its only symmetry operation but says space group {(names or numbers)[0]!r}; "
            f"list all operations, or say 'P 1' if all atoms are listed"
        )
    return _from_list(listed)


def _text(block: gemmi.cif.Block, tag: str) -> str:
    return gemmi.cif.as_string(block.find_value(tag) or "").strip()


@lru_cache(maxsize=256)
def _triclinic(names: tuple[str, ...], numbers: tuple[str, ...]) -> bool:
    """Whether nothing said is more than P 1; a name that is not known may mean anything."""
    groups = [gemmi.find_spacegroup_by_name(name) for name in names]
    return all(group is None or group.number == 1 for group in groups) and all(number == "1" for number in numbers)


@lru_cache(maxsize=512)
def _from_list(listed: tuple[str, ...]) -> Operations | None:
    if len(listed) > MAX_OPERATIONS:
        raise DataError(f"lists {len(listed)} symmetry operations; no space group has more than {MAX_OPERATIONS}")
    parsed = []
    for text in listed:
        try:
            operation = gemmi.Op(text).wrap()
        except (RuntimeError, ValueError, TypeError) as error:
            raise DataError(f"has the symmetry operation {text!r}, which is not understood ({error})") from error
        if abs(operation.det_rot()) != gemmi.Op.DEN**3:
            raise DataError(f"has the symmetry operation {text!r}, which changes volumes; it is not a symmetry")
        parsed.append(operation)
    return _closed(parsed)


@lru_cache(maxsize=512)
def _from_named(group: str) -> Operations | None:
    return _closed(list(gemmi.SpaceGroup(group).operations()))


def _from_group(names: list[str], numbers: list[str], alpha: float, gamma: float) -> Operations | None:
    """Operations of a space group that is named or numbered only."""
    group = None
    for name in names:
        group = group or gemmi.find_spacegroup_by_name(name, alpha, gamma)
    if group is None and names:
        raise DataError(f"says space group {names[0]!r}, which is not known, and lists no symmetry operations")
    if group is None:
        if not numbers:
            raise DataError("states no symmetry; add _space_group_name_H-M_alt 'P 1' if all atoms are listed")
        known = numbers[0].isascii() and numbers[0].isdecimal() and 1 <= int(numbers[0][:4]) <= 230
        reference = gemmi.find_spacegroup_by_number(int(numbers[0])) if known else None
        if reference is None:
            raise DataError(f"says space group number {numbers[0]!r}; numbers run from 1 to 230")
        group = gemmi.find_spacegroup_by_name(reference.hm, alpha, gamma) or reference
    if group.ext in ("1", "2") and not any(name.replace(" ", "").endswith(f":{group.ext}") for name in names):
        raise DataError(
            f"says space group {group.hm!r} but not which of its two origins; list the symmetry operations or name it "
            f"{group.hm + ':1'!r} or {group.hm + ':2'!r}"
        )
    return _from_named(group.xhm())


def _closed(parsed: list[gemmi.Op]) -> Operations | None:
    distinct = {operation.triplet(): operation for operation in parsed}
    if "x,y,z" not in distinct or any(
        (one * other).wrap().triplet() not in distinct for one in parsed for other in parsed
    ):
        raise DataError("lists symmetry operations that do not form a group; some are missing or wrong")
    if len(distinct) == 1:
        return None
    # the identity comes first, so that the site of the file is the first of its images
    ordered = sorted(distinct.values(), key=lambda operation: operation.triplet() != "x,y,z")
    rotations = np.array([operation.rot for operation in ordered], dtype=np.float64) / gemmi.Op.DEN
    translations = np.array([operation.tran for operation in ordered], dtype=np.float64) / gemmi.Op.DEN
    return Operations(rotations, translations)


def expand(fractional: FloatArray, cell: FloatArray, symmetry: Operations) -> tuple[FloatArray, list[int]]:
    """Fractional coordinates of all atoms in the cell, site by site, and how many each site has.

    Raises:
        DataError: the cell does not have the symmetry.
    """
    rotations, translations = symmetry
    metric = (cell[:, None] * cell[None]).sum(axis=2)
    turned = np.einsum("oji,jk,okl->oil", rotations, metric, rotations)
    if np.abs(turned - metric).max() > METRIC_TOLERANCE * np.diag(metric).max():
        raise DataError("has a cell that does not have the symmetry of its space group; correct either")
    parts = []
    for x, y, z in fractional:
        images = rotations[:, :, 0] * x + rotations[:, :, 1] * y + rotations[:, :, 2] * z + translations
        near = np.tril(distances(images, images, cell) < SAME_SITE_ANGSTROM, -1)
        parts.append(images[~near.any(axis=1)])
    return np.concatenate(parts), [len(part) for part in parts]


def distances(one: FloatArray, other: FloatArray, cell: FloatArray) -> FloatArray:
    """(n, m) Å between fractional coordinates and the images of others; right where short against the cell."""
    apart = one[:, None] - other[None]
    apart -= np.rint(apart)
    cartesian = apart @ cell
    return np.asarray(np.sqrt(np.einsum("ijk,ijk->ij", cartesian, cartesian)))
