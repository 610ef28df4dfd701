"""What a network knows of an atom before it looks around."""

import torch
from torch import Tensor, nn

from gbench.elements import N_ELEMENTS, properties


class AtomEncoder(nn.Module):
    """Learned element embedding plus a linear map of the standardised element properties.

    The properties (electronegativity, covalent radius, group, period, mass, valence electrons, ...) let rare elements
    borrow from their neighbours in the periodic table. Leave them out with ``properties=False``.

    Shapes: numbers (atoms,) int64 -> (atoms, width).
    """

    table: Tensor

    def __init__(self, width: int, *, with_properties: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_ELEMENTS + 1, width)
        self.from_properties = nn.Linear(len(properties()[0]), width, bias=False) if with_properties else None
        values = properties()[1:]
        scaled = torch.zeros((N_ELEMENTS + 1, values.shape[1]))
        scaled[1:] = torch.as_tensor((values - values.mean(axis=0)) / values.std(axis=0))
        self.register_buffer("table", scaled, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """(atoms, width)"""
        weight = self.embedding.weight
        if self.from_properties is not None:
            # one product for the elements instead of one per atom
            weight = weight + self.from_properties(self.table)
        return weight.index_select(0, numbers)
