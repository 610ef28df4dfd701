"""Periodic graphs of a whole dataset: built once, hashed, cached on disk, memory-mapped."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gbench.content import cache_dir
from gbench.crystals import Crystals, IntArray
from gbench.neighbors import Neighbors, find_neighbors
from gbench.spec import GraphSpec
from gbench.storage import atomic_path

DIGEST = "gbench.edges"
FORMAT = 1
"""Raised whenever the same spec would give other edges; part of every graph's hash and cache key."""


@dataclass(frozen=True)
class Graphs:
    """The graphs of some crystals. Edges run neighbour -> centre and are sorted by (dst, src, image)."""

    crystals: Crystals
    spec: GraphSpec
    src: IntArray
    """(edges,) atom index of the neighbour, over all crystals."""
    dst: IntArray
    """(edges,) atom index of the centre."""
    image: NDArray[np.int32]
    """(edges, 3) lattice translation of the neighbour."""

    @cached_property
    def atom_ptr(self) -> IntArray:
        """(atoms + 1,) first incoming edge of each atom."""
        return np.searchsorted(self.dst, np.arange(len(self.crystals.numbers) + 1))

    @cached_property
    def edge_ptr(self) -> IntArray:
        """(n + 1,) first edge of each crystal."""
        return self.atom_ptr[self.crystals.ptr]

    @cached_property
    def vector(self) -> NDArray[np.float64]:
        """(edges, 3) from centre to neighbour, Å."""
        positions = self.crystals.positions
        crystal = self.crystals.crystal_of_atom[self.dst]
        shift = np.einsum("ei,eij->ej", self.image.astype(np.float64), self.crystals.cell[crystal])
        return np.asarray(positions[self.src] - positions[self.dst] + shift)

    @cached_property
    def distance(self) -> NDArray[np.float64]:
        """(edges,) Å."""
        return np.asarray(np.linalg.norm(self.vector, axis=1))

    @property
    def edges_per_atom(self) -> float:
        """Mean number of neighbours."""
        return len(self.src) / len(self.crystals.numbers)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of results made on these graphs must know."""
        if self.spec.shells == "cut" and self.spec.kind == "knn":
            return ("cut shells: which of several equally near neighbours is kept depends on the choice of cell",)
        return ()

    @cached_property
    def sha256(self) -> str:
        """Hash of structures, spec and edges: integers only, so rounding noise cannot change it."""
        edges = _edges_digest(self.src, self.dst, self.image)
        return hashlib.sha256((_key(self.crystals, self.spec) + edges).encode()).hexdigest()


def build_graphs(crystals: Crystals, spec: GraphSpec) -> Graphs:
    """Graphs of ``crystals``, computed.

    Raises:
        DataError: overlapping atoms.
        GraphError: an atom with too few neighbours under ``on_short: error``.
    """
    edges = find_neighbors(crystals, spec)
    return Graphs(crystals, spec, edges.src, edges.dst, edges.image)


def cached_graphs(crystals: Crystals, spec: GraphSpec, folder: Path | None = None) -> Graphs:
    """Graphs of ``crystals``, from the cache or computed and cached; memory-mapped either way.

    Any number of processes may call this at once: each writes its own temporary file and moves it into place whole.
    A damaged cache file is replaced.
    """
    path = (folder or cache_dir() / "graphs") / f"{_key(crystals, spec)}.arrow"
    edges = _read(path)
    if edges is None:
        edges = find_neighbors(crystals, spec)
        _write(path, edges)
    return Graphs(crystals, spec, edges.src, edges.dst, edges.image)


def _edges_digest(src: IntArray, dst: IntArray, image: NDArray[np.int32]) -> str:
    digest = hashlib.sha256(src.astype("<i8").tobytes())
    digest.update(dst.astype("<i8").tobytes())
    digest.update(image.astype("<i4").tobytes())
    return digest.hexdigest()


def _key(crystals: Crystals, spec: GraphSpec) -> str:
    text = json.dumps([FORMAT, crystals.sha256(), spec.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, edges: Neighbors) -> None:
    table = pa.table(
        {
            "src": edges.src.astype(np.int64),
            "dst": edges.dst.astype(np.int64),
            "image": pa.FixedSizeListArray.from_arrays(pa.array(edges.image.astype(np.int32).reshape(-1)), 3),
        },
    ).replace_schema_metadata({DIGEST: _edges_digest(edges.src, edges.dst, edges.image)})
    # 64-byte aligned and uncompressed, so that the file can be used as memory
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=max(1, len(table)))


def _read(path: Path) -> Neighbors | None:
    """Edges in the file, or None if there is no such file or they are not the edges that were written."""
    if not path.is_file():
        return None
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        src, dst = table["src"].combine_chunks().to_numpy(), table["dst"].combine_chunks().to_numpy()
        image = table["image"].combine_chunks().flatten().to_numpy().reshape(-1, 3)
        written = table.schema.metadata[DIGEST.encode()].decode()
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None
    if written != _edges_digest(src, dst, image):
        return None
    return Neighbors(src, dst, image, np.empty(0))
