"""Cells as networks without a graph need them: shapes that no rotation changes, and coordinates in them."""

from typing import NamedTuple

import torch
from ase.geometry import complete_cell
from torch import Tensor

from gbench.batch import Batch
from gbench.devices import in_full
from gbench.nn.segments import gather, segment_max

MARGIN_ANGSTROM = 4.0
"""Of vacuum that a box leaves around a molecule longer than the box, at least."""


def shape_of(cell: Tensor, unit: float = 1.0) -> Tensor:
    """(n, 6) lengths of the lattice vectors a, b, c in ``unit`` (Å) and cosines of alpha, beta, gamma; 0 where a
    vector is.

    They are the same for a crystal and its rotated or mirrored copy.
    """
    lengths = torch.linalg.vector_norm(cell, dim=2)
    along = cell / lengths.clamp(min=torch.finfo(cell.dtype).tiny)[:, :, None]
    cosines = torch.stack([(along[:, i] * along[:, j]).sum(1) for i, j in ((1, 2), (0, 2), (0, 1))], dim=1)
    return torch.cat([lengths / unit, cosines], dim=1)


class Boxes(NamedTuple):
    """A parallelepiped around each crystal of a batch."""

    cell: Tensor
    """(graphs, 3, 3) Å, of full rank."""
    fractional: Tensor
    """(atoms, 3) coordinates in it, in [0, 1)."""


def boxes(batch: Batch, length: float) -> Boxes:
    """The cells of crystals; where a structure is not periodic, a box of ``length`` Å, or longer if it is longer.

    Along such axes atoms are counted from the centre of the structure. The axes of a molecule's box are those of
    the coordinate system: there is nothing else to align it with.
    """
    open_axes = (batch.cell == 0).all(dim=2)
    cell = batch.cell.clone()
    for row in torch.nonzero(open_axes.any(dim=1))[:, 0].cpu().tolist():
        cell[row] = torch.as_tensor(complete_cell(batch.cell[row].cpu().numpy()), dtype=cell.dtype, device=cell.device)
    along = torch.linalg.solve(cell.mT[batch.graph_of_atom], batch.positions)
    highest, lowest = (sign * segment_max(sign * along, batch.graph_of_atom, batch.n_graphs) for sign in (1, -1))
    # completed vectors have a length of 1 Å, so what is along them is in Å
    sides = torch.where(open_axes, (highest - lowest + MARGIN_ANGSTROM).clamp(min=length), 1.0)
    centre = torch.where(open_axes, (highest + lowest) / 2, 0.0)
    fractional = (along - gather(centre, batch.graph_of_atom)) / gather(sides, batch.graph_of_atom)
    return Boxes(cell * sides[:, :, None], fractional - fractional.floor())


def nearest_distance(vector: Tensor, cell: Tensor) -> Tensor:
    """(pairs,) length (Å) of the shortest of ``vector`` (pairs, 3) and its images under ``cell`` (pairs, 3, 3).

    Images are sought among the 27 around the one with the least fractional coordinates: all that count where the cell
    is not very skew. Where a row of the cell is zero there is one image.
    """
    with in_full(cell):
        inverse = torch.linalg.pinv(cell)
        near = vector - (torch.einsum("pi,pij->pj", vector, inverse).round()[:, None] @ cell)[:, 0]
        steps = torch.arange(-1, 2, dtype=cell.dtype, device=cell.device)
        images = torch.cartesian_prod(steps, steps, steps) @ cell
    shortest: Tensor = torch.linalg.vector_norm(near[:, None] + images, dim=2).amin(dim=1)
    return shortest
