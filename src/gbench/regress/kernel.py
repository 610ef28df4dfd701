"""Work that gauges a machine: as much of memory and arithmetic as what it is compared with, and nothing of gbench.

It must never be made faster or slower, or stored speed ratios lose their meaning.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

CRYSTALS = 800
ATOMS, EDGES, DISTANCES = (1, 3), (2, 11), (1, 5)
"""Fewest and most of a crystal."""


class CollateKernel:
    """Cuts batches from flat tensors with index arithmetic."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def ptr(bounds: tuple[int, int]) -> Tensor:
            sizes = torch.randint(bounds[0], bounds[1] + 1, (CRYSTALS,), generator=generator)
            return torch.cat([torch.zeros(1, dtype=torch.int64), torch.cumsum(sizes, 0)])

        self.atom_ptr, self.edge_ptr, self.distance_ptr = ptr(ATOMS), ptr(EDGES), ptr(DISTANCES)
        self.none = torch.zeros(CRYSTALS + 1, dtype=torch.int64)
        atoms, edges, distances = (int(ptr[-1]) for ptr in (self.atom_ptr, self.edge_ptr, self.distance_ptr))
        self.numbers, self.copies, self.standing_for = torch.arange(atoms) % 90, torch.rand(atoms), torch.arange(atoms)
        self.positions, self.cell = torch.rand(atoms, 3), torch.rand(CRYSTALS, 3, 3)
        self.index = torch.zeros(2, edges, dtype=torch.int32)
        self.image, self.vector = torch.zeros(edges, 3, dtype=torch.int8), torch.rand(edges, 3)
        self.edge_copies, self.all_edges = torch.rand(edges), torch.rand(edges)
        self.distances, self.place = torch.rand(distances), torch.zeros(edges, dtype=torch.int16)
        self.pairs, self.pair_vector = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3)

    def batch(self, rows: Tensor) -> list[Tensor]:
        """The tensors of a batch of these rows."""
        atoms, atom_ptr = self._slices(self.atom_ptr, rows)
        edges, edge_ptr = self._slices(self.edge_ptr, rows)
        pairs, pair_ptr = self._slices(self.none, rows)
        distances, distance_ptr = self._slices(self.distance_ptr, rows)
        everything, ptr = self._slices(self.atom_ptr, rows)
        sizes, edge_sizes = torch.diff(atom_ptr), torch.diff(edge_ptr)
        first_atom = atom_ptr[:-1].repeat_interleave(edge_sizes)
        first_distance = distance_ptr[:-1].repeat_interleave(edge_sizes)
        return [
            self.numbers.index_select(0, atoms),
            self.positions.index_select(0, atoms),
            self.cell.index_select(0, rows),
            self.index.index_select(1, edges) + first_atom,
            self.image.index_select(0, edges).to(torch.int64),
            self.vector.index_select(0, edges),
            torch.arange(len(rows)).repeat_interleave(sizes),
            self.pairs.index_select(1, pairs) + atom_ptr[:-1].repeat_interleave(torch.diff(pair_ptr)),
            self.pair_vector.index_select(0, pairs),
            self.distances.index_select(0, distances),
            self.place.index_select(0, edges) + first_distance,
            self.copies.index_select(0, atoms),
            self.edge_copies.index_select(0, edges),
            self.all_edges.index_select(0, edges),
            self.standing_for.index_select(0, everything) + atom_ptr[:-1].repeat_interleave(torch.diff(ptr)),
        ]

    def _slices(self, ptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        starts = ptr[rows]
        lengths = ptr[rows + 1] - starts
        new_ptr = torch.zeros(len(rows) + 1, dtype=torch.int64)
        torch.cumsum(lengths, 0, out=new_ptr[1:])
        offset = (starts - new_ptr[:-1]).repeat_interleave(lengths)
        return torch.arange(len(offset)) + offset, new_ptr


class StepKernel:
    """Steps of training: dense layers, gathering and scattering, their gradients, an optimizer."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        atoms, edges, width = 160, 1500, 32
        self.state = torch.rand(atoms, width, generator=generator)
        self.src, self.dst = torch.randint(atoms, (2, edges), generator=generator)
        self.filters = torch.rand(edges, width, generator=generator)
        self.weights = [
            torch.empty(width, width).uniform_(-0.1, 0.1, generator=generator).requires_grad_() for _ in range(8)
        ]
        self.optimizer = torch.optim.AdamW(self.weights, lr=1e-4, fused=True)

    def step(self) -> None:
        """One step."""
        state = self.state
        for layer in range(4):
            gate, dense = self.weights[2 * layer], self.weights[2 * layer + 1]
            message = torch.sigmoid(self.filters @ gate) * (state @ dense).index_select(0, self.src)
            state = F.softplus(state + torch.zeros_like(state).index_add(0, self.dst, message))
        self.optimizer.zero_grad(set_to_none=True)
        state.abs().mean().backward()
        self.optimizer.step()
