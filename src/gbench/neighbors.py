"""Which atoms are neighbours: the edges of many crystals as a graph spec defines them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.cores import cores
from gbench.crystals import Crystals, IntArray
from gbench.errors import GraphError
from gbench.search import (
    MAX_RADIUS_ANGSTROM,
    Found,
    Part,
    attainable,
    expected_edges,
    in_order,
    joined,
    parts_of,
    refuse_overlaps,
    within,
)
from gbench.spec import GraphSpec
from gbench.voronoi import faces

TIE_ANGSTROM = 1e-3
"""Neighbours this close in distance are one shell."""
GROWTH = 1.25
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
    parts = parts_of(crystals, spec.cutoff)
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
    seconds = 3e-5 * len(crystals) + 1e-7 * expected_edges(crystals, spec.cutoff).sum()
    if seconds + per_atom * len(crystals.numbers) < PARALLEL_SECONDS:
        return 1
    return cores()


def part_edges(part: Part, spec: GraphSpec) -> Edges:
    """The edges of a few crystals as ``spec`` defines them."""
    if spec.kind == "voronoi":
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


def _short(found: Found, wanted: IntArray) -> IntArray:
    degree = np.bincount(found.centre, minlength=len(wanted))
    return np.flatnonzero(degree < wanted)


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
