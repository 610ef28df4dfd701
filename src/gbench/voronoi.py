"""Neighbours that share a face of the Voronoi tessellation, and the solid angle under which each face is seen."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import FloatArray, IntArray
from gbench.errors import GraphError
from gbench.search import MAX_RADIUS_ANGSTROM, Found, Part, attainable, in_order, joined, refuse_overlaps, within
from gbench.spec import GraphSpec

START_RADIUS_ANGSTROM = 6.0
"""Most cells of dense crystals end within half of it."""
RADIUS_GROWTH = 1.6
OPEN_RADIUS_ANGSTROM = 30.0
"""Where an axis is not periodic, atoms beyond it do not bound a cell that is open to the vacuum."""
WEIGHT_DECIMALS = 6
"""Weights are compared with ``tol`` after rounding to this many decimals."""
GHOST = 1e-7
GHOSTS = GHOST * np.concatenate([np.eye(3), -np.eye(3)])
"""Inverted images of points 2e7 Å away on every side: they close a cell that has no end, and make flat ones solid."""


class _Cells(NamedTuple):
    """The dual hulls of some atoms."""

    weight: FloatArray
    """(candidates,) solid angle over 4 pi; 0 for a candidate without a face."""
    extent: FloatArray
    """(centres,) distance of the farthest corner of each cell, Å."""


def faces(part: Part, spec: GraphSpec) -> Found:
    """All pairs that share a face of more than ``spec.tol``, at any distance, sorted.

    The weight is the solid angle of the face over 4 pi: the weights of an atom sum to one, and the two ends of a
    face see it under the same angle. Every image of a neighbour has its own face. Towards an axis that is not
    periodic a cell may have no end; that share of the sphere belongs to no edge, and the weights sum to less than one.

    Method: the cell is {v : v . p <= 1} for all p = 2 d / |d|^2, d the vectors to the other atoms, so it is the polar
    dual of the convex hull of the p. A face's solid angle is that of the normals at the vertex p of the hull, which by
    Descartes' theorem is 2 pi less the angles of the hull's triangles there. An atom farther than twice the farthest
    corner of the cell cannot cut it.

    Raises:
        DataError: two atoms overlap.
        GraphError: a crystal is mostly vacuum.

    Source: hulls by Qhull (scipy); solid angles as weights, https://doi.org/10.1107/S0567739479001765.
    """
    pending, radius, done = np.arange(len(part.positions)), START_RADIUS_ANGSTROM, []
    is_open = np.asarray(~part.pbc.all(axis=1))[part.crystal_of_atom]
    others = attainable(part, np.full(len(part.positions), np.iinfo(np.int64).max))
    while len(pending):
        candidates = within(part, radius, pending)
        refuse_overlaps(part, candidates)
        cells = _cells(part, candidates, pending)
        everyone = np.bincount(candidates.centre, minlength=len(others))[pending] == others[pending]
        whole = (2 * cells.extent <= radius) | everyone | (is_open[pending] & (radius >= OPEN_RADIUS_ANGSTROM))
        ready = np.zeros(len(part.positions), dtype=bool)
        ready[pending[whole]] = True
        shared = np.round(cells.weight, WEIGHT_DECIMALS) > (spec.tol or 0.0)
        done.append(candidates._replace(weight=cells.weight).where(shared & ready[candidates.centre]))
        pending, radius = pending[~whole], radius * RADIUS_GROWTH
        if len(pending) and radius > MAX_RADIUS_ANGSTROM:
            name = part.ids[part.crystal_of_atom[pending[0]]]
            raise GraphError(
                f"crystal {name!r}: the Voronoi cell of an atom has no end within {MAX_RADIUS_ANGSTROM:.0f} Å; the "
                f"crystal is mostly vacuum, or the lattice is wrong; set pbc to false along its open axes"
            )
    return in_order(part, joined(done))


def _cells(part: Part, candidates: Found, centres: IntArray) -> _Cells:
    from scipy.spatial import ConvexHull

    cell = part.cell[part.crystal_of_atom[candidates.centre]]
    vector = part.positions[candidates.neighbor] - part.positions[candidates.centre]
    vector += np.einsum("ei,eij->ej", candidates.image.astype(np.float64), cell)
    dual = 2 * vector / np.square(vector).sum(axis=1, keepdims=True)
    bounds = [*np.searchsorted(candidates.centre, centres).tolist(), len(dual)]
    triangles, corners, extent = [], [], np.empty(len(centres))
    for place, (first, last) in enumerate(pairwise(bounds)):
        hull = ConvexHull(np.concatenate([GHOSTS, dual[first:last]]))
        triangles.append(hull.points[hull.simplices])
        corners.append(np.where(hull.simplices < len(GHOSTS), -1, hull.simplices + (first - len(GHOSTS))))
        # a face of the hull at distance b from the origin is a corner of the cell at distance 1 / b
        extent[place] = 1 / max(-hull.equations[:, 3].max(), 1e-300)
    corner, angle = np.concatenate(corners).reshape(-1), _angles(np.concatenate(triangles)).reshape(-1)
    real = corner >= 0
    turned = np.bincount(corner[real], angle[real], minlength=len(dual))
    touched = np.bincount(corner[real], minlength=len(dual)) > 0
    return _Cells(np.where(touched, 0.5 - turned / (4 * np.pi), 0.0), extent)


def _angles(triangles: FloatArray) -> NDArray[np.float64]:
    """(triangles, 3) angle at each corner."""
    ahead = np.roll(triangles, -1, axis=1) - triangles
    back = np.roll(triangles, 1, axis=1) - triangles
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(ahead, back), axis=2), (ahead * back).sum(axis=2)))
