"""Normalisation of states between layers."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from gbench.devices import in_full

NormKind = Literal["none", "batch", "layer"]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation in which an item may stand for several that are alike.

    Statistics are those of all that the items stand for, so that merging what is alike changes nothing. Where several
    processes share a batch, they are those of the whole.
    """

    add_up: Callable[[Tensor], Tensor] | None = None
    """The sum of a tensor over all processes that share a batch, with gradients; None where there is one."""

    def forward(self, input: Tensor, copies: Tensor | None = None) -> Tensor:  # noqa: A002 (its name in torch)
        """Items (items, width) that stand for ``copies`` (items,) each -> (items, width)."""
        if not self.training or (copies is None and self.add_up is None):
            return super().forward(input)
        # means of many numbers need more digits than the numbers
        with in_full(input):
            precise = input.to(self.weight.dtype)
            share, items = self._shares(precise, copies)
            mean = self._whole(share @ precise)
            centred = precise - mean
            variance = self._whole(share @ centred.square())
            self._remember(mean.detach(), variance.detach(), items)
            scale = (variance + self.eps).rsqrt() * self.weight
            return torch.addcmul(self.bias, centred, scale).to(input.dtype)

    def _shares(self, values: Tensor, copies: Tensor | None) -> tuple[Tensor, Tensor]:
        """Share (items,) of each item in the whole batch, and what it stands for in all."""
        weight = values.new_ones(len(values)) if copies is None else copies
        items = self._whole(weight.sum())
        return weight / items, items

    def _whole(self, part: Tensor) -> Tensor:
        return part if self.add_up is None else self.add_up(part)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, items: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        # what is remembered is the unbiased estimate, as in torch
        self.running_var.lerp_(variance * items / (items - 1).clamp(min=1), momentum)
        self.num_batches_tracked.add_(1)


NORMS: dict[NormKind, type[nn.Module]] = {"none": nn.Identity, "batch": BatchNorm, "layer": nn.LayerNorm}


def norm_layer(kind: NormKind, width: int) -> nn.Module:
    """The normalisation of (items, width)."""
    return NORMS[kind]() if kind == "none" else NORMS[kind](width)


def normalise(norm: nn.Module, items: Tensor, copies: Tensor | None) -> Tensor:
    """(items, width) by a :func:`norm_layer`, where each item stands for ``copies`` (items,) that are alike."""
    out: Tensor = norm(items, copies) if isinstance(norm, BatchNorm) else norm(items)
    return out
