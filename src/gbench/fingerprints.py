"""Fixed-length descriptions of structures, for clustering and distances."""

from functools import cache

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from gbench.elements import N_ELEMENTS, element_property
from gbench.graphs import Graphs

FloatArray = NDArray[np.float64]
SUBSHELLS = {"s": 2, "p": 6, "d": 10, "f": 14}
FALLOFF = 0.1


def orbital_field(graphs: Graphs) -> FloatArray:
    r"""(n, entries) mean orbital-field matrix of the sites of each crystal: those of its 32 x 32 entries that occur.

    A site's matrix is :math:`\sum_k w_k\, o_i o_k^T` over its neighbours, where the 32 entries of ``o`` mark how many
    electrons the valence subshells hold (s1, s2, p1 ... f14). Weights are those of an effective coordination number,
    :math:`w = \exp(-(d / d_\text{nearest} - 1) / 0.1)`, instead of the solid angles of the source: they need no Voronoi
    cells and change as smoothly.

    Source: orbital-field matrix, Pham et al. 2017, https://doi.org/10.1080/14686996.2017.1378060.
    """
    crystals = graphs.crystals
    numbers = crystals.numbers.astype(np.int64)
    distance, dst = graphs.distance, graphs.dst
    nearest = np.full(len(numbers), np.inf)
    np.minimum.at(nearest, dst, distance)
    weight = np.exp(-(distance / nearest[dst] - 1) / FALLOFF)
    # few pairs of elements occur: their weights are added up before the 32 x 32 products are formed
    pair = numbers[dst] * (N_ELEMENTS + 1) + numbers[graphs.src]
    row = crystals.crystal_of_atom[dst]
    summed = scipy.sparse.coo_matrix((weight, (row, pair)), shape=(len(crystals), (N_ELEMENTS + 1) ** 2)).tocsc()
    occurring = np.flatnonzero(np.diff(summed.indptr))
    orbitals = _orbitals()
    products = np.einsum(
        "pa,pb->pab", orbitals[occurring // (N_ELEMENTS + 1)], orbitals[occurring % (N_ELEMENTS + 1)]
    ).reshape(len(occurring), -1)
    filled = products[:, products.any(axis=0)]
    return np.asarray(summed[:, occurring] @ filled) / crystals.n_atoms[:, None]


@cache
def _orbitals() -> FloatArray:
    """(104, 32) by atomic number: which count of electrons each valence subshell holds."""
    table = np.zeros((N_ELEMENTS + 1, sum(SUBSHELLS.values())))
    first = 0
    for subshell, capacity in SUBSHELLS.items():
        held = element_property(subshell)
        for number in range(1, N_ELEMENTS + 1):
            if held[number] >= 1:
                table[number, first + int(held[number]) - 1] = 1
        first += capacity
    return table
