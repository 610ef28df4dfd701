"""Cells and coordinates by plain arithmetic, so that content hashes are the same on every processor.

A matrix product rounds as the processor's BLAS does, and a cosine as its C library does. What is hashed is made of
``+ - * /`` and ``sqrt`` alone, which IEEE 754 defines to the last bit.
"""

import math
from functools import lru_cache

import numpy as np

from gbench.crystals import FloatArray
from gbench.errors import DataError

# Taylor series of sine and cosine to full double precision on [0, pi/4]
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9, -1, -1))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(9, -1, -1))


@lru_cache(maxsize=4096)
def cosine(degrees: float) -> float:
    """Cosine of an angle in [0, 180] degrees, the same bits on every machine; exact at 0, 60, 90, 120 and 180."""
    if degrees > 90:
        return -cosine(180 - degrees)
    if degrees == 60:
        return 0.5
    complement = degrees > 45
    x = (90 - degrees if complement else degrees) * (math.pi / 180)
    value = 0.0
    for coefficient in SINE if complement else COSINE:
        value = value * (x * x) + coefficient
    return value * x if complement else value


def cell_matrix(lengths: tuple[float, float, float], angles: tuple[float, float, float]) -> FloatArray:
    """(3, 3) lattice vectors as rows, Å, from a, b, c in Å and alpha, beta, gamma in degrees.

    The convention of crystallography, ASE and gemmi: a along x, b in the xy plane, c above it.

    Raises:
        DataError: a length or angle out of range, or angles that no cell can have.
    """
    a, b, c = lengths
    if not all(0 < length < math.inf for length in lengths):
        raise DataError(f"has cell lengths {a:g}, {b:g}, {c:g}; each must be positive")
    if not all(0 < angle < 180 for angle in angles):
        raise DataError("has cell angles {:g}, {:g}, {:g}; each must be between 0 and 180".format(*angles))
    alpha, beta, gamma = (cosine(angle) for angle in angles)
    sine = math.sqrt(1 - gamma * gamma)
    y = (alpha - beta * gamma) / sine
    z = 1 - beta * beta - y * y
    if not z > 1e-8:
        raise DataError("has cell angles {:g}, {:g}, {:g}, which no cell of finite volume can have".format(*angles))
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * gamma, b * sine, 0.0],
            [c * beta, c * y, c * math.sqrt(z)],
        ]
    )


def cartesian(fractional: FloatArray, cell: FloatArray) -> FloatArray:
    """(atoms, 3) Å from fractional coordinates (atoms, 3) and lattice vectors (3, 3) as rows."""
    a, b, c = fractional.T[:, :, None]
    return np.asarray(a * cell[0] + b * cell[1] + c * cell[2])
