"""Crystals with one atom for all that look alike: what a network that sees distances alone cannot tell apart.

Atoms are sorted into the coarsest classes such that two atoms of a class are of one element and have, for every class
and every distance, the same number of neighbours of that class at that distance. A network whose messages depend on
node states and distances alone gives all atoms of a class the same state, whatever its weights and its depth (colour
refinement: Weisfeiler and Leman 1968; as a bound on what such networks see, https://arxiv.org/abs/1810.00826). So one
atom per class will do, and of its edges from one class at one distance one will do, each with the number of those it
stands for. Atoms that are equivalent by symmetry are always of one class.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import IntArray
from gbench.graphs import Block, Distances, Graphs

SAME_ANGSTROM = 1e-6
"""Distances that are equal after rounding to this are one: files round coordinates to about as much."""
UIntArray = NDArray[np.uint64]


class Quotient(NamedTuple):
    """The classes of the atoms of some crystals, and the edges between classes."""

    ptr: IntArray
    """(n + 1,) first class of each crystal."""
    atom: IntArray
    """(classes,) the atom that stands for the class, over all crystals; ascending."""
    atom_copies: IntArray
    """(classes,) atoms of the crystal that are of the class."""
    class_of_atom: IntArray
    """(atoms,) counted from the first class of their own crystal."""
    edge_ptr: IntArray
    """(n + 1,) first kept edge of each crystal."""
    edge: IntArray
    """(kept edges,) one of the edges it stands for, over all crystals; sorted by class of the centre."""
    edge_index: NDArray[np.int32]
    """(2, kept edges) class of the neighbour and of the centre, counted from the first class of the crystal."""
    edge_copies: IntArray
    """(kept edges,) edges it stands for at one centre."""
    distances: Distances
    """The distinct distances of the kept edges."""

    @property
    def all_edges(self) -> IntArray:
        """(kept edges,) edges of the crystal that it stands for."""
        first = np.repeat(self.ptr[:-1], np.diff(self.edge_ptr))
        return np.asarray(self.edge_copies * self.atom_copies[first + self.edge_index[1]])


def quotient(graphs: Graphs) -> Quotient:
    """The classes of atoms of each crystal and the edges between them."""
    parts = [_Part(graphs, block) for block in graphs.blocks()]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    def ptr(name: str) -> IntArray:
        return np.concatenate([[0], np.cumsum(joined(name), dtype=np.int64)])

    return Quotient(
        ptr=ptr("classes_per_crystal"),
        atom=joined("atom"),
        atom_copies=joined("atom_copies"),
        class_of_atom=joined("class_of_atom"),
        edge_ptr=ptr("edges_per_crystal"),
        edge=joined("edge"),
        edge_index=np.stack([joined("src"), joined("dst")]).astype(np.int32),
        edge_copies=joined("edge_copies"),
        distances=Distances(ptr("distances_per_crystal"), joined("angstrom"), joined("distance_of_edge")),
    )


class _Part:
    """The quotient of the crystals of one block, all counted within the block until the end."""

    def __init__(self, graphs: Graphs, block: Block) -> None:
        ptr = graphs.crystals.ptr[block.first : block.last + 1]
        first_atom, first_edge = int(ptr[0]), int(block.edges.start)
        numbers = graphs.crystals.numbers[ptr[0] : ptr[-1]]
        crystal = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
        src, dst = block.src - first_atom, block.dst - first_atom
        distance = block.distance
        bins = np.rint(distance / SAME_ANGSTROM).astype(np.int64)
        # all that an edge is to a network, besides its ends
        kind = _mix(bins)
        if graphs.weight is not None:
            kind ^= _mix(np.rint(graphs.weight[block.edges] / SAME_ANGSTROM).astype(np.int64) + 1)
        atom_ptr = graphs.atom_ptr[ptr[0] : ptr[-1] + 1] - first_edge

        of_atom = _refined(crystal * 128 + numbers, src, atom_ptr, kind)
        self.atom = np.unique(of_atom, return_index=True)[1]
        # classes in the order of their first atoms, which is the order of crystals
        order = np.argsort(self.atom)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        of_atom, self.atom = rank[of_atom], self.atom[order]
        self.atom_copies = np.bincount(of_atom)
        self.classes_per_crystal = np.bincount(crystal[self.atom], minlength=len(ptr) - 1)
        first_class = np.cumsum(self.classes_per_crystal) - self.classes_per_crystal
        self.class_of_atom = of_atom - first_class[crystal]

        kept = np.flatnonzero(np.isin(dst, self.atom))
        kept = kept[np.lexsort((kind[kept], of_atom[src[kept]], of_atom[dst[kept]]))]
        key = np.stack([of_atom[dst[kept]], of_atom[src[kept]], kind[kept].view(np.int64)])
        starts = np.flatnonzero(np.diff(key, axis=1, prepend=-1).any(axis=0)) if len(kept) else kept
        self.edge_copies = np.diff(np.append(starts, len(kept)))
        edge = kept[starts]
        of_edge = crystal[dst[edge]]
        self.edges_per_crystal = np.bincount(of_edge, minlength=len(ptr) - 1)
        self.src = of_atom[src[edge]] - first_class[of_edge]
        self.dst = of_atom[dst[edge]] - first_class[of_edge]

        # one integer for both: a crystal has 2^36 places of 1e-6 Å
        _, first, place = np.unique((of_edge << 36) + bins[edge], return_index=True, return_inverse=True)
        self.angstrom = distance[edge[first]]
        self.distances_per_crystal = np.bincount(of_edge[first], minlength=len(ptr) - 1)
        first_distance = np.cumsum(self.distances_per_crystal) - self.distances_per_crystal
        self.distance_of_edge = place - first_distance[of_edge]
        self.edge = edge + first_edge
        self.atom = self.atom + first_atom


def _refined(colour: IntArray, src: IntArray, atom_ptr: IntArray, kind: UIntArray) -> IntArray:
    """Class of each atom: colours refined by those of the neighbours until no class splits.

    A multiset of neighbours is told from another by the sum of their hashes, modulo 2^64: two that differ are mistaken
    for each other about once in 10^19 comparisons.
    """
    names, colour = np.unique(colour, return_inverse=True)
    while True:
        neighbor = _mix(colour[src] + 1) + kind
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(neighbor), dtype=np.uint64)])
        heard = total[atom_ptr[1:]] - total[atom_ptr[:-1]]
        finer, colour = np.unique(_mix(colour + 1) + _mix(heard), return_inverse=True)
        if len(finer) == len(names):
            return colour
        names = finer


def _mix(values: NDArray[Any]) -> UIntArray:
    """A hash of each integer: the finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2714064.2660195)."""
    x = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
