"""Where the atoms, edges or pairs of each crystal lie in flat tensors."""

from typing import NamedTuple

import torch
from torch import Tensor


class Rows(NamedTuple):
    """Chosen crystals, known to the host and to the device."""

    host: Tensor
    here: Tensor


class Slices(NamedTuple):
    """The items of chosen crystals."""

    places: Tensor
    """(items,) where they lie."""
    ptr: Tensor
    """(rows + 1,) first item of each row among them."""
    sizes: Tensor
    """(rows,) items of each row."""

    def of_row(self, values: Tensor) -> Tensor:
        """(items,) from (rows,): the value of each item's row."""
        return values.repeat_interleave(self.sizes, output_size=len(self.places))


class Offsets(NamedTuple):
    """First item of each crystal, (crystals + 1,), on the host and on a device.

    How many items a batch has decides about the size of tensors. With the numbers at hand nobody waits for the device.
    """

    host: Tensor
    here: Tensor

    @classmethod
    def of(cls, ptr: Tensor, device: torch.device) -> "Offsets":
        """From those on the host."""
        return cls(ptr, ptr.to(device))

    def slices(self, rows: Rows) -> Slices:
        """The items of these crystals, in their order, on the device."""
        return _slices(self.here, rows.here, int((self.host[rows.host + 1] - self.host[rows.host]).sum()))

    def items(self, rows: Tensor) -> Tensor:
        """(items,) those of these crystals, in their order, on the host."""
        return _slices(self.host, rows, int((self.host[rows + 1] - self.host[rows]).sum())).places


def _slices(ptr: Tensor, rows: Tensor, total: int) -> Slices:
    starts = ptr[rows]
    sizes = ptr[rows + 1] - starts
    new_ptr = torch.zeros(len(rows) + 1, dtype=torch.int64, device=ptr.device)
    torch.cumsum(sizes, 0, out=new_ptr[1:])
    offset = (starts - new_ptr[:-1]).repeat_interleave(sizes, output_size=total)
    return Slices(torch.arange(total, device=ptr.device) + offset, new_ptr, sizes)
