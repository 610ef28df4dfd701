"""Periodic graphs of a whole dataset: built once, hashed, cached on disk, memory-mapped."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gbench.content import cache_dir
from gbench.crystals import Crystals, IntArray
from gbench.edgefile import StoredEdges, read_edges, write_edges
from gbench.neighbors import Edges, Progress, find_edges
from gbench.spec import GraphSpec

FORMAT = 1
"""Raised whenever the same spec would give other edges; part of every graph's hash and cache key."""
BLOCK_EDGES = 1_000_000
"""Edges that are expanded at once where all of them are not needed at once."""
NO_NEIGHBORS = GraphSpec(cutoff=0.01, on_short="pad")
"""A radius within which no two atoms may be."""
SAME_ANGSTROM = 1e-8
"""Distances that are equal after rounding to this are one."""


class Distances(NamedTuple):
    """The distinct distances of each crystal. Symmetry makes many edges equally long, and the way back always is."""

    ptr: IntArray
    """(n + 1,) first distance of each crystal."""
    angstrom: NDArray[np.float64]
    """(distances,)"""
    of_edge: NDArray[np.integer[Any]]
    """(edges,) which distance an edge has, counted from the first of its own crystal; as narrow as it can be."""


@dataclass(frozen=True)
class Graphs:
    """The graphs of some crystals. Edges run neighbour -> centre and are sorted by (dst, src, image).

    What is held is ``edges``, a few bytes for each, perhaps a mapped file; the rest is worked out when asked for.
    """

    crystals: Crystals
    spec: GraphSpec
    edges: Edges
    digest: str | None = field(default=None, repr=False)
    """sha256 of the edges where it is known; see :attr:`edges_sha256`."""
    known_key: str | None = field(default=None, repr=False)
    """:attr:`key` where it is known."""

    @cached_property
    def atom_ptr(self) -> IntArray:
        """(atoms + 1,) first incoming edge of each atom."""
        return np.concatenate([[0], np.cumsum(self.edges.degree, dtype=np.int64)])

    @cached_property
    def edge_ptr(self) -> IntArray:
        """(n + 1,) first edge of each crystal."""
        return self.atom_ptr[self.crystals.ptr]

    @cached_property
    def src(self) -> IntArray:
        """(edges,) atom index of the neighbour, over all crystals."""
        return self.edges.src + np.repeat(self.crystals.ptr[:-1], np.diff(self.edge_ptr))

    @cached_property
    def dst(self) -> IntArray:
        """(edges,) atom index of the centre."""
        return np.repeat(np.arange(len(self.edges.degree)), self.edges.degree)

    @cached_property
    def image(self) -> NDArray[np.int32]:
        """(edges, 3) lattice translation of the neighbour."""
        return self.edges.image.astype(np.int32)

    @property
    def weight(self) -> NDArray[np.float32] | None:
        """(edges,) solid angle of the shared face over 4 pi, of ``voronoi``; else None."""
        return self.edges.weight

    @cached_property
    def vector(self) -> NDArray[np.float64]:
        """(edges, 3) from centre to neighbour, Å."""
        return self.vectors(np.float64)

    @cached_property
    def distance(self) -> NDArray[np.float64]:
        """(edges,) Å."""
        distance = np.empty(self.n_edges)
        for block in self.blocks():
            distance[block.edges] = block.distance
        return distance

    def distinct_distances(self) -> Distances:
        """Each distance of a crystal once, sorted, and which one every edge has."""
        counts, angstrom = np.zeros(len(self.crystals), np.int64), []
        of_edge = np.empty(self.n_edges, np.int32)
        for block in self.blocks():
            lengths = np.diff(self.edge_ptr[block.first : block.last + 1])
            crystal = np.repeat(np.arange(len(lengths)), lengths)
            distance = block.distance
            # one integer for both: a crystal has 2^36 places of 1e-8 Å, 687 Å
            key = (crystal << 36) + np.rint(distance / SAME_ANGSTROM).astype(np.int64)
            _, first, place = np.unique(key, return_index=True, return_inverse=True)
            found = np.bincount(crystal[first], minlength=len(lengths))
            counts[block.first : block.last] = found
            angstrom.append(distance[first])
            of_edge[block.edges] = place - np.repeat(np.cumsum(found) - found, lengths)
        narrow = np.int16 if counts.max(initial=0) < 2**15 else np.int32
        ptr = np.concatenate([[0], np.cumsum(counts)])
        return Distances(ptr, np.concatenate([*angstrom, np.empty(0)]), of_edge.astype(narrow, copy=False))

    def vectors(self, dtype: DTypeLike) -> NDArray[Any]:
        """:attr:`vector` in another precision, without a copy in float64 on the way."""
        vector = np.empty((self.n_edges, 3), dtype)
        for block in self.blocks():
            vector[block.edges] = block.vector
        return vector

    def local_edge_index(self) -> NDArray[np.int32]:
        """(2, edges) neighbour and centre, counted from the first atom of their own crystal."""
        place = np.arange(len(self.edges.degree)) - np.repeat(self.crystals.ptr[:-1], self.crystals.n_atoms)
        index = np.empty((2, self.n_edges), np.int32)
        index[0] = self.edges.src
        index[1] = np.repeat(place.astype(np.int32), self.edges.degree)
        return index

    @property
    def n_edges(self) -> int:
        """Edges of all crystals."""
        return len(self.edges.src)

    @property
    def edges_per_atom(self) -> float:
        """Mean number of neighbours."""
        return self.n_edges / len(self.crystals.numbers)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of results made on these graphs must know."""
        if self.spec.shells == "cut" and self.spec.kind == "knn":
            return ("cut shells: which of several equally near neighbours is kept depends on the choice of cell",)
        return ()

    @cached_property
    def edges_sha256(self) -> str:
        """Hash of the edges alone: integers, in their order.

        Which edges there are is decided on distances rounded to 1e-8 Å, so a crystal whose coordinates differ by
        rounding noise has the same edges and this same hash, even with a whole shell on the cut-off. The weights of
        ``voronoi`` edges are not in it: like distances, they follow from structures and spec.
        """
        return self.digest or _edges_digest(self)

    @cached_property
    def sha256(self) -> str:
        """Hash of structures, spec and edges.

        It is equal on every machine that reads the same dataset version. The structures are in it by their own exact
        content hash, so coordinates that differ in the last bit are another dataset and give another hash here, while
        :attr:`edges_sha256` stays.
        """
        return hashlib.sha256((self.key + self.edges_sha256).encode()).hexdigest()

    @cached_property
    def key(self) -> str:
        """Hash of structures and spec: the name of the cache file."""
        return self.known_key or _key(self.crystals, self.spec)

    def blocks(self) -> Iterator["Block"]:
        """Runs of whole crystals with about ``BLOCK_EDGES`` edges."""
        starts = np.flatnonzero(np.diff(self.edge_ptr[1:] // BLOCK_EDGES, prepend=-1))
        for first, last in zip(starts, np.append(starts[1:], len(self.crystals)), strict=True):
            yield Block(self, int(first), int(last))


@dataclass(frozen=True)
class Block:
    """The edges of the crystals ``first`` to ``last``, expanded."""

    graphs: Graphs
    first: int
    last: int

    @property
    def edges(self) -> slice:
        """Which edges they are."""
        return slice(self.graphs.edge_ptr[self.first], self.graphs.edge_ptr[self.last])

    @property
    def src(self) -> IntArray:
        """Atom index of the neighbour, over all crystals."""
        ptr, edge_ptr = self.graphs.crystals.ptr, self.graphs.edge_ptr
        lengths = np.diff(edge_ptr[self.first : self.last + 1])
        return np.asarray(self.graphs.edges.src[self.edges] + np.repeat(ptr[self.first : self.last], lengths))

    @property
    def dst(self) -> IntArray:
        """Atom index of the centre, over all crystals."""
        first, last = self.graphs.crystals.ptr[[self.first, self.last]]
        return np.repeat(np.arange(first, last), self.graphs.edges.degree[first:last])

    @property
    def vector(self) -> NDArray[np.float64]:
        """From centre to neighbour, Å."""
        crystals, edge_ptr = self.graphs.crystals, self.graphs.edge_ptr
        cell = np.repeat(crystals.cell[self.first : self.last], np.diff(edge_ptr[self.first : self.last + 1]), axis=0)
        shift = np.einsum("ei,eij->ej", self.graphs.edges.image[self.edges].astype(np.float64), cell)
        return np.asarray(crystals.positions[self.src] - crystals.positions[self.dst] + shift)

    @property
    def distance(self) -> NDArray[np.float64]:
        """Å"""
        return np.asarray(np.linalg.norm(self.vector, axis=1))


def build_graphs(
    crystals: Crystals, spec: GraphSpec, *, workers: int | None = None, progress: Progress | None = None
) -> Graphs:
    """Graphs of ``crystals``, computed; ``workers`` and ``progress`` as in :func:`gbench.neighbors.find_edges`.

    Raises:
        DataError: overlapping atoms.
        GraphError: an atom with too few neighbours under ``on_short: error``.
    """
    return Graphs(crystals, spec, find_edges(crystals, spec, workers=workers, progress=progress))


def without_edges(crystals: Crystals) -> Graphs:
    """The crystals without any edge, for networks that look at atoms and cells alone."""
    atoms, none = len(crystals.numbers), np.empty(0, np.uint8)
    edges = Edges(np.zeros(atoms, np.int32), none, np.empty((0, 3), np.int8), None)
    return Graphs(crystals, NO_NEIGHBORS, edges)


def cached_graphs(
    crystals: Crystals,
    spec: GraphSpec,
    folder: Path | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Graphs:
    """Graphs of ``crystals``, from the cache or computed and cached; memory-mapped either way.

    Any number of processes may call this at once: each writes its own temporary file and moves it into place whole.
    A damaged cache file is replaced.
    """
    key = _key(crystals, spec)
    path = graph_file(key, folder)
    stored = read_edges(path)
    if stored is None:
        built = build_graphs(crystals, spec, workers=workers, progress=progress)
        write_edges(path, StoredEdges(built.edges, built.edges_sha256), crystals.ptr)
        stored = read_edges(path) or StoredEdges(built.edges, built.edges_sha256)
    return Graphs(crystals, spec, stored.edges, stored.digest, key)


def graph_file(key: str, folder: Path | None = None) -> Path:
    """Where the graphs of a cache key lie."""
    return (folder or cache_dir() / "graphs") / f"{key}.arrow"


def _edges_digest(graphs: Graphs) -> str:
    digest = hashlib.sha256()
    # a column at a time, and of each a block at a time: the bytes hashed are many times what is held
    for column in ("src", "dst"):
        for block in graphs.blocks():
            digest.update(np.ascontiguousarray(getattr(block, column), dtype="<i8").data)
    for block in graphs.blocks():
        digest.update(np.ascontiguousarray(graphs.edges.image[block.edges], dtype="<i4").data)
    return digest.hexdigest()


def _key(crystals: Crystals, spec: GraphSpec) -> str:
    text = json.dumps([FORMAT, crystals.sha256(), spec.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
