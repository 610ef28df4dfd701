"""Crystals with one atom for all that look alike: what a network that sees distances alone cannot tell apart.

Atoms are sorted into the coarsest classes such that two atoms of a class are of one element and have, for every class
and every distance, the same number of neighbours of that class at that distance. A network whose messages depend on
node states and distances alone gives all atoms of a class the same state, whatever its weights and its depth (colour
refinement: Weisfeiler and Leman 1968; as a bound on what such networks see, https://arxiv.org/abs/1810.00826). So one
atom per class will do, and of its edges from one class at one distance one will do, each with the number of those it
stands for. Atoms that are equivalent by symmetry are always of one class.

For a network that sees angles too, edges are sorted into classes with the atoms: two edges of a class have, for every
class and every angle, the same number of edges of that class that pass on to them at that angle.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gbench.crystals import IntArray
from gbench.edgepairs import passing
from gbench.graphs import Block, Distances, Graphs

Sight = Literal["distances", "angles"]
"""What a network sees of a graph besides elements: distances alone, or distances and the angles between edges."""
BLOCK_EDGES_WITH_ANGLES = 50_000
SAME_COSINE = 1e-6
SAME_ANGSTROM = 1e-6
"""Distances that are equal after rounding to this are one: files round coordinates to about as much."""
UIntArray = NDArray[np.uint64]


class Angles(NamedTuple):
    """Ways k -> j -> i that an edge's messages come, between kept edges."""

    ptr: IntArray
    """(n + 1,) first way of each crystal."""
    first: IntArray
    """(ways,) kept edge k -> j, counted from the first of the crystal."""
    second: IntArray
    """(ways,) kept edge j -> i; ascending."""
    cosine: NDArray[np.float64]
    """(ways,)"""
    copies: IntArray
    """(ways,) ways to the second edge that it stands for."""


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
    angles: "Angles | None"
    """Where angles were asked for."""

    @property
    def all_edges(self) -> IntArray:
        """(kept edges,) edges of the crystal that it stands for."""
        first = np.repeat(self.ptr[:-1], np.diff(self.edge_ptr))
        return np.asarray(self.edge_copies * self.atom_copies[first + self.edge_index[1]])


def quotient(graphs: Graphs, sees: Sight = "distances") -> Quotient:
    """The classes of atoms of each crystal and the edges between them, for a network that ``sees`` no more."""
    blocks = graphs.blocks() if sees == "distances" else graphs.blocks(BLOCK_EDGES_WITH_ANGLES)
    parts = [_Part(graphs, block, sees) for block in blocks]

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
        angles=None
        if sees == "distances"
        else Angles(ptr("ways_per_crystal"), joined("first"), joined("second"), joined("cosine"), joined("way_copies")),
    )


class _Part:
    """The quotient of the crystals of one block; atoms, edges and classes are counted within the block."""

    def __init__(self, graphs: Graphs, block: Block, sees: Sight) -> None:
        ptr = graphs.crystals.ptr[block.first : block.last + 1]
        self.atom = self.edge = np.empty(0, np.int64)
        self.n_crystals, self.crystal = len(ptr) - 1, np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
        first_atom, first_edge = int(ptr[0]), int(block.edges.start)
        src, dst = block.src - first_atom, block.dst - first_atom
        distance = block.distance
        bins = np.rint(distance / SAME_ANGSTROM).astype(np.int64)
        # all that an edge is to a network, besides its ends
        kind = _mix(bins)
        if graphs.weight is not None:
            kind ^= _mix(np.rint(graphs.weight[block.edges] / SAME_ANGSTROM).astype(np.int64) + 1)
        atom_ptr = graphs.atom_ptr[ptr[0] : ptr[-1] + 1] - first_edge

        numbers = graphs.crystals.numbers[ptr[0] : ptr[-1]]
        of_atom = _refined(self.crystal * 128 + numbers, src, atom_ptr, kind)
        ways = _Ways.of(block, np.stack([src, dst]), len(numbers)) if sees == "angles" else None
        if ways is not None:
            of_atom, kind = _refined_by_angles(of_atom, src, dst, atom_ptr, kind, ways)
        of_atom = self._keep_atoms(of_atom)
        edge = self._keep_edges(of_atom, src, dst, kind)
        self._keep_distances(bins[edge], distance[edge], self.crystal[dst[edge]])
        if ways is not None:
            self._keep_ways(ways, kind, edge, self.crystal[dst[edge]])
        self.edge = edge + first_edge
        self.atom = self.atom + first_atom

    def _keep_atoms(self, of_atom: IntArray) -> IntArray:
        """The classes, numbered in the order of their first atoms, which is the order of crystals."""
        atom = np.unique(of_atom, return_index=True)[1]
        order = np.argsort(atom)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        of_atom, self.atom = rank[of_atom], atom[order]
        self.atom_copies = np.bincount(of_atom)
        self.classes_per_crystal = np.bincount(self.crystal[self.atom], minlength=self.n_crystals)
        self.first_class = _before(self.classes_per_crystal)
        self.class_of_atom = of_atom - self.first_class[self.crystal]
        return of_atom

    def _keep_edges(self, of_atom: IntArray, src: IntArray, dst: IntArray, kind: UIntArray) -> IntArray:
        """Of the edges into kept atoms, one for each class of neighbour and kind."""
        into = np.flatnonzero(np.isin(dst, self.atom))
        into = into[np.lexsort((kind[into], of_atom[src[into]], of_atom[dst[into]]))]
        starts = _starts(np.stack([of_atom[dst[into]], of_atom[src[into]], kind[into].view(np.int64)]))
        self.edge_copies = np.diff(np.append(starts, len(into)))
        edge = into[starts]
        crystal = self.crystal[dst[edge]]
        self.edges_per_crystal = np.bincount(crystal, minlength=self.n_crystals)
        self.src, self.dst = (of_atom[ends[edge]] - self.first_class[crystal] for ends in (src, dst))
        return edge

    def _keep_distances(self, bins: IntArray, distance: NDArray[np.float64], crystal: IntArray) -> None:
        # one integer for both: a crystal has 2^36 places of 1e-6 Å
        _, first, place = np.unique((crystal << 36) + bins, return_index=True, return_inverse=True)
        self.angstrom = distance[first]
        self.distances_per_crystal = np.bincount(crystal[first], minlength=self.n_crystals)
        self.distance_of_edge = place - _before(self.distances_per_crystal)[crystal]

    def _keep_ways(self, ways: "_Ways", kind: UIntArray, edge: IntArray, crystal_of_edge: IntArray) -> None:
        """Of the ways to the kept edges, one for each class and angle."""
        # a class of edges is known by its hash, which is one crystal's own
        order = np.argsort(kind[edge])
        kept_of_edge = order[np.searchsorted(kind[edge], kind, sorter=order).clip(max=len(edge) - 1)]
        chosen = np.flatnonzero(np.isin(ways.second, edge))
        first, second, angle = kept_of_edge[ways.first[chosen]], kept_of_edge[ways.second[chosen]], ways.bins[chosen]
        by = np.lexsort((angle, first, second))
        starts = _starts(np.stack([second, first, angle])[:, by])
        self.way_copies = np.diff(np.append(starts, len(by)))
        kept = by[starts]
        self.cosine = ways.cosine[chosen[kept]]
        crystal, first_edge = crystal_of_edge[second[kept]], _before(self.edges_per_crystal)
        self.ways_per_crystal = np.bincount(crystal, minlength=self.n_crystals)
        self.first, self.second = first[kept] - first_edge[crystal], second[kept] - first_edge[crystal]


class _Ways(NamedTuple):
    """Ways k -> j -> i within a block."""

    first: IntArray
    second: IntArray
    cosine: NDArray[np.float64]
    bins: IntArray
    """The cosine in units of ``SAME_COSINE``."""

    @classmethod
    def of(cls, block: Block, edge_index: IntArray, n_atoms: int) -> "_Ways":
        image = block.graphs.edges.image[block.edges].astype(np.int64)
        edges = torch.as_tensor(edge_index), torch.as_tensor(image), torch.as_tensor(block.vector)
        first, second, cosine = (tensor.numpy() for tensor in passing(*edges, n_atoms))
        return cls(first, second, cosine, np.rint(cosine / SAME_COSINE).astype(np.int64))


def _refined(colour: IntArray, src: IntArray, atom_ptr: IntArray, kind: UIntArray) -> IntArray:
    """Class of each atom: colours refined by those of the neighbours until no class splits.

    A multiset of neighbours is told from another by the sum of their hashes, modulo 2^64: two that differ are mistaken
    for each other about once in 10^19 comparisons.
    """
    names, colour = np.unique(colour, return_inverse=True)
    while True:
        heard = _sums(_mix(_mix(colour[src]) + kind), atom_ptr)
        finer, colour = np.unique(_mix(colour) + _mix(heard), return_inverse=True)
        if len(finer) == len(names):
            return colour
        names = finer


def _refined_by_angles(
    colour: IntArray, src: IntArray, dst: IntArray, atom_ptr: IntArray, edge: UIntArray, ways: _Ways
) -> tuple[IntArray, UIntArray]:
    """Class of each atom, and a hash of the class of each edge, refined in turns until no class splits."""
    way_ptr = np.concatenate([[0], np.cumsum(np.bincount(ways.second, minlength=len(src)))])
    angle = _mix(ways.bins)
    classes = (0, 0)
    while True:
        # odd factors keep the ends apart: an edge is not its way back
        edge = _mix(edge + 3 * _mix(colour[src]) + 5 * _mix(colour[dst]))
        edge = _mix(edge + 7 * _mix(_sums(_mix(edge[ways.first] + angle), way_ptr)))
        finer, colour = np.unique(_mix(colour) + _mix(_sums(_mix(edge), atom_ptr)), return_inverse=True)
        found = (len(finer), len(np.unique(edge)))
        if found == classes:
            return colour, edge
        classes = found


def _sums(values: UIntArray, ptr: IntArray) -> UIntArray:
    """(segments,) sums of hashes, modulo 2^64."""
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64)])
    return np.asarray(total[ptr[1:]] - total[ptr[:-1]])


def _before(counts: IntArray) -> IntArray:
    """How many come before each."""
    return np.asarray(np.cumsum(counts) - counts)


def _starts(keys: IntArray) -> IntArray:
    """Where the columns of sorted keys (parts, items) begin to differ from those before."""
    return np.flatnonzero(np.concatenate([np.ones(min(keys.shape[1], 1), bool), (np.diff(keys) != 0).any(axis=0)]))


def _mix(values: NDArray[Any]) -> UIntArray:
    """A hash of each integer: the finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2714064.2660195)."""
    x = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
