"""Neighbour search under periodic boundary conditions, many crystals at a time."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.errors import DataError, GraphError
from gbench.spec import GraphSpec

TIE_ANGSTROM = 1e-3
"""Neighbours this close in distance are one shell."""
OVERLAP_ANGSTROM = 0.5
"""No two nuclei of real matter are closer: the shortest bond, H-H, is 0.74 Å."""
DECIMALS = 8
"""Distances are compared after rounding to this many decimals (Å), so that a shell that lies exactly on the cut-off
falls on the same side of it whatever the platform's rounding noise."""
GROWTH = 1.25
MAX_RADIUS_ANGSTROM = 60.0
CHUNK_EDGES = 200_000
"""Expected edges of the crystals that are worked on at once: few enough to stay in the processor's caches."""
PARALLEL_SECONDS = 5.0
"""Expected seconds of work from which on processes share it: starting them takes about one."""

Progress = Callable[[int], object]
"""Told how many more crystals are done."""


class Edges(NamedTuple):
    """Directed edges neighbour -> centre of many crystals, sorted by (dst, src, image), in few bytes."""

    degree: NDArray[np.int32]
    """(atoms,) edges into each atom; with them the centres are known."""
    src: NDArray[Any]
    """(edges,) neighbour, counted from the first atom of its crystal; the smallest unsigned integers that hold it."""
    image: NDArray[Any]
    """(edges, 3) lattice translation of the neighbour; the smallest signed integers that hold it."""
    weight: NDArray[np.float32] | None
    """(edges,) solid angle of the shared face over 4 pi, of ``voronoi``; else None."""


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


def find_edges(
    crystals: Crystals, spec: GraphSpec, *, workers: int | None = None, progress: Progress | None = None
) -> Edges:
    """All edges of all crystals as ``spec`` defines them; every periodic image counts.

    ``vector = positions[src] + image @ cell - positions[dst]``, strictly ``d < cutoff`` with d rounded to 1e-8 Å.
    ``workers`` processes share the work; None takes one, or all processors where the work is long enough to gain.

    Raises:
        DataError: two atoms overlap.
        GraphError: an atom has too few neighbours and the spec says ``on_short: error``.

    Source: linked-cell search of pymatgen (``find_points_in_spheres``).
    """
    parts = _parts(crystals, spec.cutoff)
    done = _in_processes if (count := workers or _processes(crystals, spec)) > 1 else _in_turn
    found = []
    for size, edges in done(parts, spec, count):
        found.append(edges)
        if progress is not None:
            progress(size)
    return _concatenated(found)


def _in_turn(parts: Iterator[Part], spec: GraphSpec, _: int) -> Iterator[tuple[int, Edges]]:
    return (_sized_edges(part, spec) for part in parts)


def _in_processes(parts: Iterator[Part], spec: GraphSpec, workers: int) -> Iterator[tuple[int, Edges]]:
    from joblib import Parallel, delayed

    # arguments of this size travel faster through a pipe than through the files joblib would map them from
    pool: Any = Parallel(n_jobs=workers, return_as="generator", max_nbytes=None)
    results: Iterator[tuple[int, Edges]] = pool(delayed(_sized_edges)(part, spec) for part in parts)
    return results


def _sized_edges(part: Part, spec: GraphSpec) -> tuple[int, Edges]:
    return len(part.ids), part_edges(part, spec)


def _processes(crystals: Crystals, spec: GraphSpec) -> int:
    """Processes that are worth their start."""
    per_atom = 8e-5 if spec.kind == "voronoi" else 0.0
    seconds = 3e-5 * len(crystals) + 1e-7 * _expected_edges(crystals, spec.cutoff).sum()
    if seconds + per_atom * len(crystals.numbers) < PARALLEL_SECONDS:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _expected_edges(crystals: Crystals, cutoff: float) -> FloatArray:
    """(n,) rough numbers, from density; atoms of real matter are at most about 0.2 per Å^3."""
    atoms = crystals.n_atoms.astype(np.float64)
    volume = np.where(crystals.pbc.all(axis=1), crystals.volume, 0)
    density = np.minimum(atoms / np.maximum(volume, 1e-9), 0.2)
    expected = atoms * density * 4 / 3 * np.pi * cutoff**3
    return np.where(crystals.pbc.any(axis=1), expected, np.minimum(expected, atoms**2))


def _parts(crystals: Crystals, cutoff: float) -> Iterator[Part]:
    """The crystals in runs of about ``CHUNK_EDGES``, so that memory stays bounded however many there are."""
    chunk = np.cumsum(_expected_edges(crystals, cutoff)) // CHUNK_EDGES
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


def part_edges(part: Part, spec: GraphSpec) -> Edges:
    """The edges of a few crystals as ``spec`` defines them."""
    if spec.kind == "voronoi":
        from gbench.voronoi import faces

        everything = faces(part, spec)
        found = everything.where(everything.distance < spec.cutoff)
    else:
        everything = found = within(part, spec.cutoff)
    refuse_overlaps(part, everything)
    wanted = np.full(len(part.positions), spec.neighbors or 1)
    short = _short(found, wanted)
    if len(short) and spec.on_short == "error":
        raise GraphError(_short_message(part, found, spec, int(short[0])))
    if spec.on_short == "grow":
        short = _short(found, wanted := attainable(part, wanted))
        if len(short):
            more = everything if spec.kind == "voronoi" else _grown(part, short, wanted, spec.cutoff)
            nearest = _nearest(more.where(np.isin(more.centre, short)), wanted, whole_shells=True)
            found = in_order(part, joined([found.where(~np.isin(found.centre, short)), nearest]))
    if spec.kind == "knn":
        found = _nearest(found, wanted, whole_shells=spec.shells == "whole")
    return _compact(part, found)


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


def _short(found: Found, wanted: IntArray) -> IntArray:
    degree = np.bincount(found.centre, minlength=len(wanted))
    return np.flatnonzero(degree < wanted)


def attainable(part: Part, wanted: IntArray) -> IntArray:
    """(atoms,) neighbours an atom can have: in a molecule, no more than there are other atoms."""
    others = np.where(part.pbc.any(axis=1), np.iinfo(np.int64).max, np.diff(part.ptr) - 1)
    return np.asarray(np.minimum(wanted, np.repeat(others, np.diff(part.ptr))))


def _grown(part: Part, short: IntArray, wanted: IntArray, cutoff: float) -> Found:
    """Edges into the ``short`` atoms out to a radius, each its own, that holds the whole shell of the last wanted."""
    radius, grown = cutoff, []
    while len(short):
        radius *= GROWTH
        if radius > MAX_RADIUS_ANGSTROM:
            raise GraphError(
                f"crystal {part.ids[part.crystal_of_atom[short[0]]]!r}: an atom has fewer than {wanted[short[0]]} "
                f"neighbours within {MAX_RADIUS_ANGSTROM:.0f} Å; the cell is mostly vacuum, or the lattice is wrong"
            )
        # a little farther, so that a shell the radius would divide is whole
        found = within(part, radius + 2 * TIE_ANGSTROM, short)
        degree = np.bincount(found.centre[found.distance < radius], minlength=len(wanted))
        enough = degree >= wanted
        grown.append(found.where(enough[found.centre]))
        short = short[~enough[short]]
    return in_order(part, joined(grown))


def _nearest(found: Found, k: IntArray, *, whole_shells: bool) -> Found:
    """The ``k[atom]`` nearest of each centre, with the ties of the k-th if ``whole_shells``; order is kept."""
    # stable: equally near neighbours are ranked by (neighbour, image)
    order = np.lexsort((found.distance, found.centre))
    centre, distance = found.centre[order], found.distance[order]
    starts = np.flatnonzero(np.diff(centre, prepend=-1))
    degree = np.diff(starts, append=len(centre))
    keep = np.empty(len(order), dtype=bool)
    if whole_shells:
        kth = distance[starts + np.minimum(degree, k[centre[starts]]) - 1]
        keep[order] = distance <= np.repeat(kth, degree) + TIE_ANGSTROM
    else:
        keep[order] = np.arange(len(order)) - np.repeat(starts, degree) < k[centre]
    return found.where(keep)


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


def _compact(part: Part, found: Found) -> Edges:
    local = found.neighbor - part.first_of_atom[found.centre]
    return Edges(
        np.bincount(found.centre, minlength=len(part.positions)).astype(np.int32),
        local.astype(np.min_scalar_type(int(local.max(initial=0)))),
        found.image.astype(np.min_scalar_type(-int(np.abs(found.image).max(initial=0)) - 1)),
        None if found.weight is None else found.weight.astype(np.float32),
    )


def _concatenated(parts: list[Edges]) -> Edges:
    weights = [part.weight for part in parts if part.weight is not None]
    return Edges(
        np.concatenate([part.degree for part in parts]),
        # numpy promotes to the widest of the parts
        np.concatenate([part.src for part in parts]),
        np.concatenate([part.image for part in parts]),
        np.concatenate(weights) if weights else None,
    )


def _short_message(part: Part, found: Found, spec: GraphSpec, atom: int) -> str:
    from gbench.elements import symbols

    row = int(part.crystal_of_atom[atom])
    own = slice(part.ptr[row], part.ptr[row + 1])
    degree = np.bincount(found.centre, minlength=len(part.positions))
    size, wanted = int(part.ptr[row + 1] - part.ptr[row]), spec.neighbors or 1
    if not part.pbc[row].any() and size <= wanted:
        what = "is a lone atom without images" if size == 1 else f"is a molecule of {size} atoms"
        why = "" if size == 1 else f", none of which can have {wanted} neighbours"
        return f"crystal {part.ids[row]!r} {what}{why}; drop it, or --set graph.on_short=pad"
    has = f"has {degree[atom]} of {spec.neighbors} neighbours" if spec.neighbors else "has no neighbour"
    how_many = int((degree[own] < wanted).sum())
    others = f" ({how_many} such atoms in this crystal)" if how_many > 1 else ""
    return (
        f"crystal {part.ids[row]!r}: atom {atom - part.ptr[row]} ({symbols()[part.numbers[atom] - 1]}) {has} within "
        f"{spec.cutoff} Å{others}; raise it (--set graph.cutoff={spec.cutoff + 2}) or --set graph.on_short=grow"
    )
