"""Radial bases."""

import torch
from torch import Tensor, nn


class GaussianBasis(nn.Module):
    r"""Distances smeared over evenly spaced Gaussians, :math:`\exp(-(d - \mu_k)^2 / w^2)`.

    The width ``w`` is the spacing of the centres unless given (Å).

    Shapes: distance (edges,) Å -> (edges, size).

    Source: CGCNN, https://doi.org/10.1103/PhysRevLett.120.145301, supplementary material.
    """

    centres: Tensor

    def __init__(self, stop: float, size: int, start: float = 0.0, width: float | None = None) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(start, stop, size), persistent=False)
        self.scale = -1.0 / (width or (stop - start) / (size - 1)) ** 2

    def forward(self, distance: Tensor) -> Tensor:
        """(edges,) Å -> (edges, size)."""
        exponent = (distance[:, None] - self.centres).square_().mul_(self.scale)
        # e^-80 is nothing; below e^-87 float32 results are subnormal, which makes exp eight times slower
        return exponent.clamp_(min=-80.0).exp_()
