"""Perceptrons and activations."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


class ShiftedSoftplus(nn.Module):
    r""":math:`\ln(\tfrac12 e^x + \tfrac12)`: softplus that is 0 at 0. Source: SchNet, https://arxiv.org/abs/1706.08566."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return F.softplus(x) - math.log(2)


class MLP(nn.Sequential):
    """Linear layers of the given widths with an activation between them, and after the last if ``final``."""

    def __init__(self, widths: Sequence[int], activation: type[nn.Module], *, final: bool) -> None:
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(before, after))
            if final or number < len(widths) - 2:
                layers.append(activation())
        super().__init__(*layers)
