"""What a crystal is made of, as a vector of fixed length."""

import torch
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.elements import N_ELEMENTS
from gbench.nn.atoms import element_table
from gbench.nn.segments import gather, segment_count, segment_max, segment_mean


class CompositionEncoder(nn.Module):
    """Mean, average deviation, minimum, maximum and range of each element property over the atoms of a crystal.

    The statistics of Magpie (https://doi.org/10.1038/npjcompumats.2016.28) over standardised properties: those of
    :func:`gbench.features.composition_statistics`, shifted and scaled. With ``identity`` the fraction of each element
    follows them.

    Shapes: -> (graphs, width).
    """

    table: Tensor

    def __init__(self, *, identity: bool = True) -> None:
        super().__init__()
        self.identity = identity
        self.register_buffer("table", element_table(), persistent=False)

    @property
    def width(self) -> int:
        """Length of the vector."""
        return 5 * self.table.shape[1] + (N_ELEMENTS if self.identity else 0)

    def atoms(self, numbers: Tensor) -> Tensor:
        """(atoms, properties) what each atom contributes."""
        return gather(self.table, numbers)

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, width)"""
        index, size = batch.graph_of_atom, batch.n_graphs
        values = self.atoms(batch.numbers)
        mean = segment_mean(values, index, size)
        deviation = segment_mean((values - gather(mean, index)).abs(), index, size)
        highest, lowest = segment_max(values, index, size), -segment_max(-values, index, size)
        parts = [mean, deviation, lowest, highest, highest - lowest]
        if self.identity:
            place = index * N_ELEMENTS + batch.numbers - 1
            counts = segment_count(place, size * N_ELEMENTS).view(size, N_ELEMENTS).to(values.dtype)
            parts.append(counts / counts.sum(dim=1, keepdim=True))
        return torch.cat(parts, dim=1)
