"""The spherical basis of DimeNet: distances by spherical Bessel functions, angles by Legendre polynomials."""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gbench.devices import in_full
from gbench.nn.angles import legendre

SPARE_DEGREES = 40
"""Chebyshev coefficients of a function of frequency z fall like the Bessel functions J_k(z): below 1e-13 from
k = z + 40 on, for z up to 60."""


class SphericalBasis(nn.Module):
    r"""Orthonormal functions of a distance and an angle, the solutions of the wave equation in a sphere.

    .. math::
        \sqrt{\frac{2}{c^3 j_{l+1}^2(z_{ln})}}\; j_l\!\left(\frac{z_{ln}}{c} d\right) Y_l^0(\alpha), \quad
        Y_l^0 = \sqrt{\frac{2 l + 1}{4 \pi}} P_l(\cos \alpha)

    with :math:`z_{ln}` the n-th root of the spherical Bessel function :math:`j_l`, l = 0 ... ``angular`` - 1 and
    n = 1 ... ``radial``. Beyond the cut-off ``c`` (``stop``, Å) they are 0.

    :math:`j_l` is summed as a Chebyshev series through values of scipy: one product for all l and n, with slopes, and
    without the cancellation at short distances that the upward recurrence suffers from.

    Source: DimeNet, https://arxiv.org/abs/2003.03123, equation 6. The authors' code divides by d besides.
    """

    coefficients: Tensor
    harmonics: Tensor

    def __init__(self, stop: float, angular: int, radial: int) -> None:
        super().__init__()
        self.stop, self.angular, self.radial = stop, angular, radial
        series = torch.as_tensor(bessel_series(angular, radial) * stop**-1.5, dtype=torch.get_default_dtype())
        self.register_buffer("coefficients", series, persistent=False)
        harmonics = ((2 * torch.arange(angular) + 1) / (4 * math.pi)).sqrt()
        self.register_buffer("harmonics", harmonics, persistent=False)

    def of_distance(self, distance: Tensor) -> Tensor:
        """(edges,) Å -> (edges, angular, radial), the radial factors."""
        x = (distance / self.stop).clamp(max=1.0)
        terms = [torch.ones_like(x), x]
        for _ in range(len(self.coefficients) - 2):
            terms.append(2 * x * terms[-1] - terms[-2])
        inside = (distance < self.stop).to(x.dtype)[:, None]
        # a series of large terms that cancel
        with in_full(x):
            values = torch.stack(terms, dim=1) @ self.coefficients * inside
        return values.view(-1, self.angular, self.radial)

    def of_angle(self, cosine: Tensor) -> Tensor:
        """(angles,) -> (angles, angular), the angular factors."""
        return legendre(cosine, self.angular) * self.harmonics

    def forward(self, radial: Tensor, cosine: Tensor) -> Tensor:
        """(angles, angular * radial) from the radial factors (angles, angular, radial) and cosines (angles,)."""
        return (radial * self.of_angle(cosine)[:, :, None]).flatten(1)


@cache
def bessel_roots(orders: int, count: int) -> NDArray[np.float64]:
    """(orders, count) first roots of the spherical Bessel functions of orders 0 ... orders - 1."""
    from scipy.optimize import brentq
    from scipy.special import spherical_jn

    # between two roots of one order lies exactly one of the next, and those of order 0 are multiples of pi
    roots: list[NDArray[np.float64]] = [np.arange(1, count + orders) * np.float64(math.pi)]
    for order in range(1, orders):
        ends = pairwise(roots[-1])
        roots.append(np.array([brentq(lambda z, n=order: spherical_jn(n, z), a, b, xtol=1e-14) for a, b in ends]))
    return np.stack([row[:count] for row in roots])


@cache
def bessel_series(orders: int, count: int) -> NDArray[np.float64]:
    r"""(degree + 1, orders * count) Chebyshev coefficients of the normalised radial functions on [-1, 1].

    The functions are :math:`\sqrt{2} / |j_{l+1}(z_{ln})|\, j_l(z_{ln} x)`, for all l and n in row-major order.
    """
    from scipy.special import spherical_jn

    roots = bessel_roots(orders, count)
    degree = math.ceil(roots.max()) + SPARE_DEGREES
    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    order = np.arange(orders)[:, None]
    scale = math.sqrt(2) / np.abs(spherical_jn(order + 1, roots))
    # j_l(-x) = (-1)^l j_l(x); scipy knows positive arguments only
    sign = np.where(nodes[:, None, None] < 0, (-1.0) ** order, 1.0)
    values = scale * sign * spherical_jn(order, roots * np.abs(nodes)[:, None, None])
    terms = np.polynomial.chebyshev.chebvander(nodes, degree)
    # the Chebyshev polynomials are orthogonal over these nodes
    weights = np.full(degree + 1, 2.0 / (degree + 1))
    weights[0] /= 2
    return np.asarray(weights[:, None] * (terms.T @ values.reshape(degree + 1, -1)), dtype=np.float64)
