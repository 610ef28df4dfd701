"""Pairs of atoms within a radius under periodic boundary conditions, a few crystals at a time."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.errors import DataError

OVERLAP_ANGSTROM = 0.5
"""No two nuclei of real matter are closer: the shortest bond, H-H, is 0.74 Å."""
DECIMALS = 8
"""Distances are compared after rounding to this many decimals (Å), so that a shell that lies exactly on the cut-off
falls on the same side of it whatever the platform's rounding noise."""
MAX_RADIUS_ANGSTROM = 60.0
CHUNK_EDGES = 200_000
"""Expected edges of the crystals that are worked on at once: few enough to stay in the processor's caches."""


class Part(NamedTuple):
    """A few crystals, as the search needs them."""

    positions: FloatArray
    cell: FloatArray
    """(n, 3, 3) of full rank, also along axes that are not periodic."""
    pbc: NDArray[np.int64]
    ptr: IntArray
    ids: tuple[str, ...]
    numbers: NDArray[np.int16]

    @property
    def crystal_of_atom(self) -> IntArray:
        """(atoms,) row of the crystal each atom belongs to."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.ptr))

    @property
    def first_of_atom(self) -> IntArray:
        """(atoms,) first atom of the crystal each atom belongs to."""
        return np.repeat(self.ptr[:-1], np.diff(self.ptr))


class Found(NamedTuple):
    """Edges of a part, sorted by (centre, neighbour, image)."""

    centre: IntArray
    """(edges,) atom of the part."""
    neighbor: IntArray
    """(edges,) atom of the part."""
    image: NDArray[np.int32]
    distance: FloatArray
    """(edges,) Å, rounded to ``DECIMALS``."""
    weight: FloatArray | None = None

    def where(self, chosen: NDArray[np.bool_] | IntArray) -> "Found":
        """The chosen edges."""
        weight = None if self.weight is None else self.weight[chosen]
        return Found(self.centre[chosen], self.neighbor[chosen], self.image[chosen], self.distance[chosen], weight)


def expected_edges(crystals: Crystals, cutoff: float) -> FloatArray:
    """(n,) rough numbers, from density; atoms of real matter are at most about 0.2 per Å^3."""
    atoms = crystals.n_atoms.astype(np.float64)
    volume = np.where(crystals.pbc.all(axis=1), crystals.volume, 0)
    density = np.minimum(atoms / np.maximum(volume, 1e-9), 0.2)
    expected = atoms * density * 4 / 3 * np.pi * cutoff**3
    return np.where(crystals.pbc.any(axis=1), expected, np.minimum(expected, atoms**2))


def parts_of(crystals: Crystals, cutoff: float) -> Iterator[Part]:
    """The crystals in runs of about ``CHUNK_EDGES``, so that memory stays bounded however many there are."""
    chunk = np.cumsum(expected_edges(crystals, cutoff)) // CHUNK_EDGES
    starts = np.flatnonzero(np.diff(chunk, prepend=-1))
    for first, last in zip(starts, np.append(starts[1:], len(crystals)), strict=True):
        atoms = slice(crystals.ptr[first], crystals.ptr[last])
        yield Part(
            np.ascontiguousarray(crystals.positions[atoms]),
            _full_cells(crystals.cell[first:last]),
            crystals.pbc[first:last].astype(np.int64),
            crystals.ptr[first : last + 1] - crystals.ptr[first],
            crystals.ids[first:last],
            crystals.numbers[atoms],
        )


def _full_cells(cells: FloatArray) -> FloatArray:
    """Cells of full rank: axes that are not periodic and have no vector get one normal to the others."""
    given: NDArray[np.bool_] = np.asarray(cells.any(axis=2))
    full = cells.copy()
    full[~np.asarray(given.any(axis=1))] = np.eye(3)
    for row in np.flatnonzero(given.any(axis=1) & ~given.all(axis=1)):
        for axis in np.flatnonzero(~given[row]):
            others = full[row][np.asarray(full[row].any(axis=1))]
            # the last right-singular vector is normal to every row
            full[row, axis] = np.linalg.svd(np.vstack([others, np.zeros((1, 3))]))[2][-1]
    return full


def within(part: Part, radius: float, centres: IntArray | None = None) -> Found:
    """Edges strictly shorter than ``radius``, into all atoms of a part or into these ``centres`` (ascending)."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    rows = range(len(part.ids)) if centres is None else np.unique(part.crystal_of_atom[centres]).tolist()
    bounds = part.ptr.tolist()
    raw = []
    for row in rows:
        first, last = bounds[row], bounds[row + 1]
        positions = around = part.positions[first:last]
        if centres is not None:
            around = part.positions[centres[slice(*np.searchsorted(centres, (first, last)))]]
        raw.append(
            find_points_in_spheres(
                all_coords=positions,
                center_coords=around,
                r=radius + 10.0**-DECIMALS,
                pbc=part.pbc[row],
                lattice=part.cell[row],
                tol=10.0**-DECIMALS,
            )
        )
    if not raw:
        return Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3), np.int32), np.empty(0))
    return _flat(part, radius, raw, list(rows), centres)


def _flat(part: Part, radius: float, raw: list[Any], rows: list[int], centres: IntArray | None) -> Found:
    """What the search gave for each of ``rows``, in one piece, filtered and sorted."""
    counts = [len(found[0]) for found in raw]
    first = np.repeat(part.ptr[rows], counts)
    centre, neighbor = np.concatenate([found[0] for found in raw]), np.concatenate([found[1] for found in raw]) + first
    if centres is None:
        centre += first
    else:
        centre = centres[centre + np.repeat(np.searchsorted(centres, part.ptr[rows]), counts)]
    exact: FloatArray = np.concatenate([found[3] for found in raw])
    distance = exact.round(DECIMALS)
    # nothing but an atom itself and an overlapping one is at distance zero
    keep = np.flatnonzero((distance < radius) & ((distance > 0) | (centre != neighbor)))
    image = np.concatenate([found[2] for found in raw]).astype(np.int32)
    return in_order(part, Found(centre[keep], neighbor[keep], image[keep], distance[keep]))


def in_order(part: Part, found: Found) -> Found:
    """The edges sorted by (centre, neighbour, image)."""
    if not len(found.centre):
        return found
    # one integer key sorts far quicker than five columns, above all when centres are in order already
    reach = int(np.abs(found.image).max())
    side = 2 * reach + 1
    largest = int(np.diff(part.ptr).max())
    if float(len(part.positions)) * largest * float(side) ** 3 >= 2.0**63:
        return found.where(np.lexsort((*found.image.T[::-1], found.neighbor, found.centre)))
    key = found.centre * largest + (found.neighbor - part.first_of_atom[found.centre])
    for axis in range(3):
        key *= side
        key += found.image[:, axis] + reach
    return found.where(np.argsort(key, kind="stable"))


def joined(parts: Sequence[Found]) -> Found:
    """Edges of the same part, one after the other."""
    weights = [found.weight for found in parts if found.weight is not None]
    return Found(
        np.concatenate([found.centre for found in parts]),
        np.concatenate([found.neighbor for found in parts]),
        np.concatenate([found.image for found in parts]),
        np.concatenate([found.distance for found in parts]),
        np.concatenate(weights) if weights else None,
    )


def attainable(part: Part, wanted: IntArray) -> IntArray:
    """(atoms,) neighbours an atom can have: in a molecule, no more than there are other atoms."""
    others = np.where(part.pbc.any(axis=1), np.iinfo(np.int64).max, np.diff(part.ptr) - 1)
    return np.asarray(np.minimum(wanted, np.repeat(others, np.diff(part.ptr))))


def refuse_overlaps(part: Part, found: Found) -> None:
    """Nothing, if no two atoms are closer than ``OVERLAP_ANGSTROM``.

    Raises:
        DataError: two are.
    """
    close = np.flatnonzero(found.distance < OVERLAP_ANGSTROM)
    if len(close):
        centre, neighbor = int(found.centre[close[0]]), int(found.neighbor[close[0]])
        first = int(part.first_of_atom[centre])
        raise DataError(
            f"crystal {part.ids[part.crystal_of_atom[centre]]!r}: atoms {centre - first} and {neighbor - first} are "
            f"{found.distance[close[0]]:.3f} Å apart, closer than {OVERLAP_ANGSTROM} Å; mend the structure or drop "
            f"the row"
        )
