"""From raw DFT energies to the published labels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gbench.crystals import Crystals
from gbench.elements import symbols
from gbench.errors import DataError

from .calculations import ANIONS, Calculation

GRAPH_TARGETS = ("e_form", "gap")
NODE_TARGETS = ("hirshfeld",)
GAP_FORMERS = ANIONS | {"Si", "Ge", "Sn"}
"""A compound that holds none of these is an alloy of metals. Si, Ge and Sn are the anions of Mg2Si and its like."""


def reference_energies(calculations: Iterable[Calculation]) -> dict[str, float]:
    """Energy of each element's reference phase, eV/atom, by symbol.

    A solid's energy is the minimum of the parabola in V^(-2/3) through its three volumes, the Birch-Murnaghan form
    to second order (https://doi.org/10.1103/PhysRev.71.809), or the lowest of the three where the parabola opens
    downwards (bcc Ba, whose energies scatter by more than they curve); a molecule has one energy.

    Raises:
        DataError: a phase without three volumes.

    """
    phases: dict[str, list[Calculation]] = defaultdict(list)
    for row in calculations:
        if row.kind != "crystal" and row.error is None:
            phases[row.key.split("-")[1]].append(row)
    return {symbol: _phase_energy(phases[symbol]) for symbol in sorted(phases)}


def crystals(calculations: Iterable[Calculation]) -> Crystals:
    """Every crystal that was computed, with its labels, sorted by id."""
    rows = sorted((row for row in calculations if row.error is None), key=lambda row: row.key)
    references = reference_energies(rows)
    records = [_record(row, references) for row in rows if row.kind == "crystal"]
    return Crystals.build(records, graph_targets=GRAPH_TARGETS, node_targets=NODE_TARGETS)


def _record(row: Calculation, references: Mapping[str, float]) -> dict[str, object]:
    names = [symbols()[number - 1] for number in row.numbers]
    missing = sorted(set(names) - references.keys())
    if missing:
        raise DataError(f"{row.key}: no reference energy for {', '.join(missing)}; compute their ref- rows first")
    formation = _energy(row) - sum(references[name] for name in names)
    return {
        "id": row.key,
        "numbers": row.numbers,
        "positions": _cartesian(row),
        "cell": row.cell,
        # a coarse k-grid can miss the bands that cross the Fermi level
        "gap": row.gap if GAP_FORMERS & set(names) else 0.0,
        "e_form": formation / len(names),
        "hirshfeld": row.hirshfeld,
    }


def _cartesian(row: Calculation) -> NDArray[np.float64]:
    # a plain sum, not a BLAS product, so that every machine gives the same bits and the same content hash
    products = np.array(row.frac, dtype=np.float64)[:, :, None] * np.array(row.cell, dtype=np.float64)
    positions: NDArray[np.float64] = products.sum(axis=1)
    return positions


def _phase_energy(rows: Sequence[Calculation]) -> float:
    per_atom = [_energy(row) / len(row.numbers) for row in rows]
    if rows[0].kind == "molecule":
        return per_atom[0]
    if len(rows) != 3:
        raise DataError(f"{rows[0].key}: the phase has {len(rows)} computed volumes, expected 3; compute the others")
    volumes = [abs(float(np.linalg.det(np.array(row.cell)))) / len(row.numbers) for row in rows]
    return _parabola_minimum([volume ** (-2 / 3) for volume in volumes], per_atom)


def _parabola_minimum(x: Sequence[float], y: Sequence[float]) -> float:
    """Minimum of the parabola through three points, by Newton's divided differences, or the lowest of the points."""
    slope_left = (y[1] - y[0]) / (x[1] - x[0])
    slope_right = (y[2] - y[1]) / (x[2] - x[1])
    curvature = (slope_right - slope_left) / (x[2] - x[0])
    if curvature <= 0:
        return min(y)
    at_minimum = (x[0] + x[1]) / 2 - slope_left / (2 * curvature)
    return y[0] + (at_minimum - x[0]) * (slope_left + curvature * (at_minimum - x[1]))


def _energy(row: Calculation) -> float:
    if row.energy is None:
        raise DataError(f"{row.key}: neither an energy nor an error; compute it again")
    return row.energy
