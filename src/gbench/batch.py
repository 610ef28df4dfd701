"""Batches cut from flat tensors with index arithmetic, and their PyG and DGL views."""

import copy
import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gbench.devices import CPU, send, send_all
from gbench.edgepairs import Corners, EdgePairs
from gbench.graphs import Graphs
from gbench.offsets import Offsets, Rows, Slices
from gbench.quotient import Sight, quotient

if TYPE_CHECKING:
    from dgl import DGLGraph
    from torch_geometric.data import Data


class Copies(NamedTuple):
    """What the atoms and edges of a batch stand for."""

    atoms: Tensor
    """(atoms,) atoms of the crystal, as real numbers."""
    edges: Tensor
    """(edges,) edges at each atom that the centre stands for."""
    all_edges: Tensor
    """(edges,) edges of the crystal."""
    standing_for: Tensor
    """(atoms of the crystals,) the atom of the batch that stands for each."""


@dataclass(frozen=True)
class Batch:
    """Several graphs as one, disjoint. A model sees this and nothing else: no target, no id, no split."""

    numbers: Tensor
    """(atoms,) atomic numbers."""
    positions: Tensor
    """(atoms, 3) Å."""
    cell: Tensor
    """(graphs, 3, 3) Å, rows are lattice vectors."""
    edge_index: Tensor
    """(2, edges) neighbour, centre; sorted by centre."""
    image: Tensor
    """(edges, 3) lattice translation of the neighbour."""
    vector: Tensor
    """(edges, 3) from centre to neighbour, Å."""
    graph_of_atom: Tensor
    """(atoms,)"""
    atom_ptr: Tensor
    """(graphs + 1,) first atom of each graph."""
    edge_ptr: Tensor
    """(graphs + 1,) first edge of each graph."""
    pairs: Tensor
    """(2, pairs) atoms i and j of the pairs that edge targets are about; they need not be edges."""
    pair_vector: Tensor
    """(pairs, 3) from i to j, Å."""
    edge_weight: Tensor | None = None
    """(edges,) solid angle of the shared face over 4 pi, of ``voronoi`` graphs; else None."""
    distances: Tensor | None = None
    """(distances,) distinct distances, Å. None where atoms have moved: each edge then has a distance of its own."""
    distance_of_edge: Tensor | None = None
    """(edges,) which of ``distances`` each edge has."""
    copies: "Copies | None" = None
    """Where one atom stands for all that look alike (:mod:`gbench.quotient`): what each stands for."""
    angles: EdgePairs | None = None
    """The line graph, where one edge stands for all that look alike."""

    @property
    def n_graphs(self) -> int:
        """Graphs in the batch."""
        return len(self.atom_ptr) - 1

    @property
    def n_atoms(self) -> int:
        """Atoms in the batch."""
        return len(self.numbers)

    @property
    def src(self) -> Tensor:
        """(edges,) neighbour."""
        return self.edge_index[0]

    @property
    def dst(self) -> Tensor:
        """(edges,) centre."""
        return self.edge_index[1]

    @cached_property
    def distance(self) -> Tensor:
        """(edges,) Å."""
        distance: Tensor = torch.linalg.vector_norm(self.vector, dim=1)
        return distance

    def radial(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """(edges, ...) ``function`` of each edge's distance, worked out once for edges of the same length.

        ``function``: (distances,) Å -> (distances, ...), row by row.
        """
        if self.distances is None or self.distance_of_edge is None:
            return function(self.distance)
        return function(self.distances).index_select(0, self.distance_of_edge)

    @cached_property
    def pair_distance(self) -> Tensor:
        """(pairs,) Å."""
        distance: Tensor = torch.linalg.vector_norm(self.pair_vector, dim=1)
        return distance

    @cached_property
    def graph_of_edge(self) -> Tensor:
        """(edges,)"""
        return self.graph_of_atom[self.dst]

    def with_positions(self, positions: Tensor) -> "Batch":
        """The same edges over other positions, (atoms, 3) Å; gradients flow to them.

        Atoms must stand for themselves alone.
        """
        if self.copies is not None:
            raise ValueError("atoms that stand for others cannot move; make the batch without merging")
        # a vector changes by what its ends move, whatever lattice translation it holds
        moved = positions - self.positions
        vector = self.vector + moved[self.src] - moved[self.dst]
        pair_vector = self.pair_vector + moved[self.pairs[1]] - moved[self.pairs[0]]
        return dataclasses.replace(
            self,
            positions=positions,
            vector=vector,
            pair_vector=pair_vector,
            distances=None,
            distance_of_edge=None,
        )

    def pyg(self) -> "Data":
        """This batch as a PyG ``Data`` on the same memory: z, pos, edge_index, edge_vec, edge_dist, batch, ptr.

        ``edge_weight`` is the batch's own: None but for ``voronoi`` graphs.
        """
        from torch_geometric.data import Data

        return Data(
            z=self.numbers,
            pos=self.positions,
            cell=self.cell,
            edge_index=self.edge_index,
            edge_vec=self.vector,
            edge_dist=self.distance,
            edge_weight=self.edge_weight,
            batch=self.graph_of_atom,
            ptr=self.atom_ptr,
        )

    def dgl(self) -> "DGLGraph":
        """This batch as a ``DGLGraph`` with ``ndata`` z, pos and ``edata`` vec, dist; edges in the same order.

        ``voronoi`` graphs have ``edata`` weight too.
        """
        graph = import_dgl().graph((self.src, self.dst), num_nodes=self.n_atoms)
        graph.set_batch_num_nodes(torch.diff(self.atom_ptr))
        graph.set_batch_num_edges(torch.diff(self.edge_ptr))
        graph.ndata["z"], graph.ndata["pos"] = self.numbers, self.positions
        graph.edata["vec"], graph.edata["dist"] = self.vector, self.distance
        if self.edge_weight is not None:
            graph.edata["weight"] = self.edge_weight
        return graph


def import_dgl() -> Any:
    """The ``dgl`` module.

    Raises:
        SpecError: DGL is not installed.
    """
    from gbench.errors import SpecError

    # without this DGL writes a configuration file into the home folder on first import
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        import dgl
    except ImportError as error:
        raise SpecError("DGL is not installed: pip install 'gbench[dgl]' (Python 3.11, dgl 1.1.3)") from error
    return dgl


class GraphTensors:
    """The graphs of a dataset as flat tensors on one device; batches are slices of them.

    ``merge``: atoms that a network which ``sees`` no more cannot tell apart are held once (:mod:`gbench.quotient`).
    Batches then have ``copies``, and ``angles`` if those are seen.
    """

    def __init__(
        self,
        graphs: Graphs,
        dtype: torch.dtype = torch.float32,
        *,
        merge: Sight | None = None,
    ) -> None:
        crystals = graphs.crystals

        def real(array: Any) -> Tensor:
            return torch.as_tensor(array.copy(), dtype=dtype)

        def offsets(ptr: Any) -> Offsets:
            return Offsets.of(_integer(ptr), CPU)

        merged = None if merge is None else quotient(graphs, merge)
        atoms, edges = (slice(None), slice(None)) if merged is None else (merged.atom, merged.edge)
        self.numbers, self.positions = _integer(crystals.numbers[atoms]), real(crystals.positions[atoms])
        self.cell = real(crystals.cell)
        vectors = graphs.vectors(np.float64 if dtype == torch.float64 else np.float32)
        self.vector = torch.as_tensor(vectors[edges], dtype=dtype)
        self.edge_weight = None if graphs.weight is None else real(graphs.weight[edges])
        # these stay as narrow as they are held, and are widened in each batch: a large set has 10^8 edges
        self.image = torch.as_tensor(graphs.edges.image[edges].copy())
        distances = graphs.distinct_distances() if merged is None else merged.distances
        self.distances, self.distance_offsets = real(distances.angstrom), offsets(distances.ptr)
        self.distance_of_edge = torch.as_tensor(distances.of_edge)
        """(edges,) counted from the first distance of their own crystal."""
        self.all_atom_offsets = offsets(crystals.ptr)
        self.atom_offsets = self.all_atom_offsets if merged is None else offsets(merged.ptr)
        self.edge_offsets = offsets(graphs.edge_ptr if merged is None else merged.edge_ptr)
        self.pair_offsets, self.pair_vector = offsets(crystals.pair_ptr), real(crystals.pair_vector)
        pairs = crystals.pairs - crystals.ptr[crystals.crystal_of_pair, None]
        index = graphs.local_edge_index()
        self.copies: Copies | None = None
        if merged is not None:
            pairs, index = merged.class_of_atom[crystals.pairs], merged.edge_index
            self.copies = Copies(
                atoms=real(merged.atom_copies),
                edges=real(merged.edge_copies),
                all_edges=real(merged.all_edges),
                standing_for=_integer(merged.class_of_atom),
            )
            """``standing_for`` counts from the first atom of each crystal."""
        self.angles: Corners | None = None
        """Edges count from the first of each crystal."""
        if merged is not None and (angles := merged.angles) is not None:
            self.angles = Corners(_integer(angles.first), _integer(angles.second), real(angles.cosine))
            self.angle_copies, self.angle_offsets = real(angles.copies), offsets(angles.ptr)
        self.local_pairs = _integer(pairs.T)
        """(2, pairs) atom indices counted from the first atom of their own crystal."""
        self.local_edge_index = torch.as_tensor(index)
        """(2, edges) atom indices counted from the first atom of their own crystal."""

    def __len__(self) -> int:
        return len(self.cell)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.cell.device

    @property
    def n_bytes(self) -> int:
        """Memory that the tensors take."""
        parts = [part for value in vars(self).values() for part in (value if isinstance(value, tuple) else (value,))]
        return sum(part.nbytes for part in parts if isinstance(part, Tensor))

    def to(self, device: torch.device) -> "GraphTensors":
        """The same on another device; these stay as they are."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            sent = Offsets.of(value.host, device) if isinstance(value, Offsets) else send_all(value, device)
            setattr(moved, name, sent)
        return moved

    def batch(self, rows: Tensor) -> Batch:
        """The graphs of these rows, (graphs,) int64 on the host, in this order; on the device of the tensors."""
        chosen = Rows(rows, send(rows, self.device))
        atoms, edges, pairs, distances = (
            offsets.slices(chosen)
            for offsets in (self.atom_offsets, self.edge_offsets, self.pair_offsets, self.distance_offsets)
        )
        return Batch(
            numbers=self.numbers.index_select(0, atoms.places),
            positions=self.positions.index_select(0, atoms.places),
            cell=self.cell.index_select(0, chosen.here),
            edge_index=self.local_edge_index.index_select(1, edges.places) + edges.of_row(atoms.ptr[:-1]),
            image=self.image.index_select(0, edges.places).to(torch.int64),
            vector=self.vector.index_select(0, edges.places),
            graph_of_atom=atoms.of_row(torch.arange(len(rows), device=self.device)),
            atom_ptr=atoms.ptr,
            edge_ptr=edges.ptr,
            pairs=self.local_pairs.index_select(1, pairs.places) + pairs.of_row(atoms.ptr[:-1]),
            pair_vector=self.pair_vector.index_select(0, pairs.places),
            edge_weight=None if self.edge_weight is None else self.edge_weight.index_select(0, edges.places),
            distances=self.distances.index_select(0, distances.places),
            distance_of_edge=self.distance_of_edge.index_select(0, edges.places) + edges.of_row(distances.ptr[:-1]),
            copies=self._copies(chosen, atoms, edges),
            angles=self._angles(chosen, edges.ptr),
        )

    def _angles(self, rows: Rows, edge_ptr: Tensor) -> EdgePairs | None:
        if self.angles is None:
            return None
        chosen = self.angle_offsets.slices(rows)
        first_edge = chosen.of_row(edge_ptr[:-1])
        return EdgePairs(
            first=self.angles.first.index_select(0, chosen.places) + first_edge,
            second=self.angles.second.index_select(0, chosen.places) + first_edge,
            cosine=self.angles.cosine.index_select(0, chosen.places),
            edge_ptr=edge_ptr,
            copies=self.angle_copies.index_select(0, chosen.places),
        )

    def _copies(self, rows: Rows, atoms: Slices, edges: Slices) -> Copies | None:
        if self.copies is None:
            return None
        everything = self.all_atom_offsets.slices(rows)
        standing_for = self.copies.standing_for.index_select(0, everything.places)
        return Copies(
            atoms=self.copies.atoms.index_select(0, atoms.places),
            edges=self.copies.edges.index_select(0, edges.places),
            all_edges=self.copies.all_edges.index_select(0, edges.places),
            standing_for=standing_for + everything.of_row(atoms.ptr[:-1]),
        )

    def pairs(self, rows: Tensor) -> Tensor:
        """Indices, over all crystals, of the pairs of these rows, in batch order, on the host."""
        return self.pair_offsets.items(rows)

    def atoms(self, rows: Tensor) -> Tensor:
        """Indices, over all crystals, of the atoms of these rows, in the order of what a node head predicts."""
        return self.all_atom_offsets.items(rows)


def _integer(array: Any) -> Tensor:
    return torch.as_tensor(array.astype("int64"))
