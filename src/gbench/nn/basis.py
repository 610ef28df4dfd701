"""Radial bases and envelopes."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

BasisKind = Literal["gaussian", "bessel"]
EnvelopeKind = Literal["none", "cosine", "polynomial"]


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


class BesselBasis(nn.Module):
    r"""Spherical Bessel functions of order 0, :math:`\sqrt{2 / c}\, \sin(n \pi d / c) / d` for n = 1 ... size.

    Each vanishes at the cut-off ``c`` (``stop``) and beyond it is 0.

    Shapes: distance (edges,) Å -> (edges, size).

    Source: DimeNet, https://arxiv.org/abs/2003.03123, equation 7.
    """

    frequencies: Tensor

    def __init__(self, stop: float, size: int) -> None:
        super().__init__()
        self.stop = stop
        frequencies = torch.arange(1, size + 1, dtype=torch.get_default_dtype()) * math.pi / stop
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """(edges,) Å -> (edges, size)."""
        d = distance[:, None]
        inside = (d < self.stop).to(distance.dtype)
        return math.sqrt(2 / self.stop) * torch.sin(d * self.frequencies) / d * inside


def envelope(kind: EnvelopeKind, distance: Tensor, stop: float) -> Tensor | None:
    r"""(edges,) weight of an edge, 1 at distance 0 and 0 from ``stop`` on; None for ``none``.

    ``cosine``: :math:`(1 + \cos(\pi x)) / 2`, with :math:`x = d / c` (Behler 2011,
    https://doi.org/10.1063/1.3553717). ``polynomial``: :math:`1 - 28 x^6 + 48 x^7 - 21 x^8`, whose first two
    derivatives vanish at the cut-off (DimeNet, equation 8, p = 6).
    """
    if kind == "none":
        return None
    x = (distance / stop).clamp(max=1.0)
    if kind == "cosine":
        return (1 + torch.cos(math.pi * x)) / 2
    return 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
