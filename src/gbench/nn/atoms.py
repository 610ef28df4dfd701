"""What a network knows of an atom before it looks around."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gbench.elements import N_ELEMENTS, properties, property_names
from gbench.errors import SpecError, unknown


def element_table() -> Tensor:
    """(104, properties) element properties by atomic number, standardised over the elements; row 0 is zero."""
    values = properties()[1:]
    table = torch.zeros((N_ELEMENTS + 1, values.shape[1]))
    table[1:] = torch.as_tensor((values - values.mean(axis=0)) / values.std(axis=0))
    return table


class AtomEncoder(nn.Module):
    """Learned element embedding plus a linear map of standardised element properties.

    The properties (electronegativity, covalent radius, group, period, mass, valence electrons, ...) let rare elements
    borrow from their neighbours in the periodic table. Either part can be left out; ``names`` chooses properties.
    Beside properties the embedding starts from zero: an element that training never sees is known by its properties
    alone, not by random numbers. ``apart`` starts it from random numbers even so.

    Shapes: numbers (atoms,) int64 -> (atoms, width).

    Raises:
        SpecError: both parts are left out.
        UnknownNameError: a property that does not exist.
    """

    table: Tensor

    def __init__(
        self,
        width: int,
        *,
        identity: bool = True,
        with_properties: bool = True,
        names: Sequence[str] = (),
        apart: bool = False,
    ) -> None:
        super().__init__()
        if not identity and not with_properties:
            raise SpecError("atoms would all look alike; leave model.identity or model.properties on")
        for name in names:
            if name not in property_names():
                raise unknown("element property", name, property_names())
        chosen = [property_names().index(name) for name in names] or list(range(len(property_names())))
        self.embedding = nn.Embedding(N_ELEMENTS + 1, width) if identity else None
        self.from_properties = nn.Linear(len(chosen), width, bias=False) if with_properties else None
        if self.embedding is not None and with_properties and not apart:
            nn.init.zeros_(self.embedding.weight)
        self.register_buffer("table", element_table()[:, chosen], persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """(atoms, width)"""
        # one product for the elements instead of one per atom
        parts = [] if self.embedding is None else [self.embedding.weight]
        if self.from_properties is not None:
            parts.append(self.from_properties(self.table))
        weight: Tensor = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return weight.index_select(0, numbers)
