"""Neighbour search under periodic boundary conditions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import Crystals, IntArray
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


class Neighbors(NamedTuple):
    """Directed edges neighbour -> centre, sorted by (dst, src, image)."""

    src: IntArray
    """(edges,) atom index of the neighbour, over all crystals."""
    dst: IntArray
    """(edges,) atom index of the centre."""
    image: NDArray[np.int32]
    """(edges, 3) lattice translation of the neighbour."""
    distance: NDArray[np.float64]
    """(edges,) Å."""


def find_neighbors(crystals: Crystals, spec: GraphSpec) -> Neighbors:
    """All edges of all crystals as ``spec`` defines them; every periodic image counts.

    ``vector = positions[src] + image @ cell - positions[dst]``, strictly ``d < cutoff``.

    Raises:
        DataError: two atoms overlap.
        GraphError: an atom has too few neighbours and the spec says ``on_short: error``.

    Source: linked-cell search of pymatgen (``find_points_in_spheres``).
    """
    found = [_search(crystals, row, spec) for row in range(len(crystals))]
    edges = _joined(found)
    _refuse_overlaps(crystals, edges)
    return _sorted(edges, len(crystals.numbers))


def _search(crystals: Crystals, row: int, spec: GraphSpec) -> Neighbors:
    wanted = spec.neighbors or 1
    edges = _within(crystals, row, spec.cutoff)
    short = _short_atoms(crystals, row, edges, wanted)
    if len(short) and spec.on_short == "error":
        raise GraphError(_short_message(crystals, row, edges, spec, int(short[0]), len(short)))
    if len(short) and spec.on_short == "grow":
        edges = _grown(crystals, row, edges, short, wanted, spec.cutoff)
    if spec.kind == "knn":
        edges = _nearest(edges, wanted, whole_shells=spec.shells == "whole")
    return edges


def _within(crystals: Crystals, row: int, radius: float) -> Neighbors:
    """Edges of one crystal strictly shorter than ``radius``."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    first, last = crystals.ptr[row], crystals.ptr[row + 1]
    positions = np.ascontiguousarray(crystals.positions[first:last])
    cell = _full_cell(crystals.cell[row])
    dst, src, image, _ = find_points_in_spheres(
        all_coords=positions,
        center_coords=positions,
        r=radius + 10.0**-DECIMALS,
        pbc=crystals.pbc[row].astype(np.int64),
        lattice=cell,
        tol=10.0**-DECIMALS,
    )
    vector = positions[src] - positions[dst] + image @ cell
    distance = np.round(np.sqrt(np.einsum("ij,ij->i", vector, vector)), DECIMALS)
    itself = (src == dst) & ~image.any(axis=1)
    keep = (distance < radius) & ~itself
    return Neighbors(src[keep] + first, dst[keep] + first, image[keep].astype(np.int32), distance[keep])


def _full_cell(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """A cell of full rank: axes that are not periodic and have no vector get one normal to the others."""
    if cell.any(axis=1).all():
        return np.ascontiguousarray(cell)
    full = cell.copy()
    for axis in np.flatnonzero(~full.any(axis=1)):
        others = full[np.flatnonzero(full.any(axis=1))]
        # the last right-singular vector is normal to every row
        full[axis] = np.linalg.svd(np.vstack([others, np.zeros((1, 3))]))[2][-1]
    return full


def _short_atoms(crystals: Crystals, row: int, edges: Neighbors, wanted: int) -> IntArray:
    first, last = crystals.ptr[row], crystals.ptr[row + 1]
    degree = np.bincount(edges.dst - first, minlength=last - first)
    return np.asarray(np.flatnonzero(degree < wanted) + first)


def _grown(crystals: Crystals, row: int, edges: Neighbors, short: IntArray, wanted: int, cutoff: float) -> Neighbors:
    """``edges``, with those of the ``short`` atoms replaced by their ``wanted`` nearest, in whole shells."""
    if not crystals.pbc[row].any():
        wanted = min(wanted, int(crystals.n_atoms[row]) - 1)
    radius = cutoff
    while len(_short_atoms(crystals, row, edges_of := _within(crystals, row, radius), wanted)):
        radius *= GROWTH
        if radius > MAX_RADIUS_ANGSTROM:
            raise GraphError(
                f"crystal {crystals.ids[row]!r}: an atom has fewer than {wanted} neighbours within "
                f"{MAX_RADIUS_ANGSTROM:.0f} Å; the cell is mostly vacuum, or the lattice is wrong"
            )
    more = _within(crystals, row, radius + 2 * TIE_ANGSTROM) if len(edges_of.src) else edges_of
    more = _nearest(_subset(more, np.isin(more.dst, short)), wanted, whole_shells=True)
    kept = _subset(edges, ~np.isin(edges.dst, short))
    return _joined([kept, more])


def _nearest(edges: Neighbors, k: int, *, whole_shells: bool) -> Neighbors:
    """The ``k`` nearest of each centre, with the ties of the k-th if ``whole_shells``."""
    order = np.lexsort((*edges.image.T[::-1], edges.src, edges.distance, edges.dst))
    edges = _subset(edges, order)
    starts = np.flatnonzero(np.diff(edges.dst, prepend=-1))
    degree = np.diff(starts, append=len(edges.dst))
    rank = np.arange(len(edges.dst)) - np.repeat(starts, degree)
    if not whole_shells:
        return _subset(edges, rank < k)
    kth = edges.distance[starts + np.minimum(degree, k) - 1]
    return _subset(edges, edges.distance <= np.repeat(kth, degree) + TIE_ANGSTROM)


def _subset(edges: Neighbors, chosen: NDArray[np.bool_] | IntArray) -> Neighbors:
    return Neighbors(edges.src[chosen], edges.dst[chosen], edges.image[chosen], edges.distance[chosen])


def _joined(parts: list[Neighbors]) -> Neighbors:
    return Neighbors(
        np.concatenate([part.src for part in parts]),
        np.concatenate([part.dst for part in parts]),
        np.concatenate([part.image for part in parts]),
        np.concatenate([part.distance for part in parts]),
    )


def _sorted(edges: Neighbors, atoms: int) -> Neighbors:
    if not len(edges.src):
        return edges
    # one integer key sorts far quicker than a lexsort over five columns
    reach = int(np.abs(edges.image).max())
    side = 2 * reach + 1
    code = ((edges.image[:, 0] + reach) * side + edges.image[:, 1] + reach) * side + edges.image[:, 2] + reach
    key = (edges.dst.astype(np.int64) * atoms + edges.src) * side**3 + code
    if atoms**2 * float(side) ** 3 >= 2.0**63:
        return _subset(edges, np.lexsort((*edges.image.T[::-1], edges.src, edges.dst)))
    return _subset(edges, np.argsort(key))


def _refuse_overlaps(crystals: Crystals, edges: Neighbors) -> None:
    close = np.flatnonzero(edges.distance < OVERLAP_ANGSTROM)
    if len(close):
        edge = close[0]
        row = int(np.searchsorted(crystals.ptr, edges.dst[edge], side="right")) - 1
        first = crystals.ptr[row]
        raise DataError(
            f"crystal {crystals.ids[row]!r}: atoms {edges.dst[edge] - first} and {edges.src[edge] - first} are "
            f"{edges.distance[edge]:.3f} Å apart, closer than {OVERLAP_ANGSTROM} Å; mend the structure or drop the row"
        )


def _short_message(crystals: Crystals, row: int, edges: Neighbors, spec: GraphSpec, atom: int, how_many: int) -> str:
    from gbench.elements import symbols

    site = atom - crystals.ptr[row]
    degree = int((edges.dst == atom).sum())
    has = f"has {degree} of {spec.neighbors} neighbours" if spec.neighbors else "has no neighbour"
    if not crystals.pbc[row].any() and crystals.n_atoms[row] == 1:
        return f"crystal {crystals.ids[row]!r} is a lone atom without images; drop it, or --set graph.on_short=pad"
    others = f" ({how_many} such atoms in this crystal)" if how_many > 1 else ""
    return (
        f"crystal {crystals.ids[row]!r}: atom {site} ({symbols()[crystals.numbers[atom] - 1]}) {has} within "
        f"{spec.cutoff} Å{others}; raise it (--set graph.cutoff={spec.cutoff + 2}) or --set graph.on_short=grow"
    )
