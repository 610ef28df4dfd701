"""What a dataset holds, in numbers."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gbench.crystals import Crystals, FloatArray
from gbench.dataset import Dataset
from gbench.elements import counts, symbols

BINS = 32


@dataclass(frozen=True)
class Spread:
    """Of one number per crystal."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class LabelOverview:
    """Of the values of one target, in its unit."""

    labels: int
    missing: int
    """Crystals, sites or pairs without a value."""
    min: float
    max: float
    mean: float
    std: float
    histogram: tuple[int, ...]
    """Labels in each of equally wide bins from ``min`` to ``max``."""


@dataclass(frozen=True)
class Overview:
    """Of a dataset."""

    crystals: int
    atoms: int
    pairs: int
    atoms_per_crystal: Spread
    volume_per_atom: Spread | None
    """Å^3; None where no cell is periodic along three axes."""
    periodic_axes: dict[str, int]
    """Crystals by the number of axes they are periodic along."""
    elements: dict[str, int]
    """Crystals that hold each element, in order of atomic number."""
    targets: dict[str, LabelOverview]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def overview(dataset: Dataset) -> Overview:
    """Counts, sizes, elements and label distributions of a dataset."""
    crystals = dataset.crystals
    axes, members = np.unique(crystals.pbc.sum(axis=1), return_counts=True)
    bulk = crystals.pbc.all(axis=1)
    return Overview(
        crystals=len(crystals),
        atoms=int(crystals.ptr[-1]),
        pairs=len(crystals.pairs),
        atoms_per_crystal=_spread(crystals.n_atoms.astype(float)),
        volume_per_atom=_spread((crystals.volume / crystals.n_atoms)[bulk]) if bulk.any() else None,
        periodic_axes={str(axis): int(count) for axis, count in zip(axes, members, strict=True)},
        elements=_elements(crystals),
        targets={name: _labels(dataset.labels(name)) for name in dataset.card.targets},
    )


def _elements(crystals: Crystals) -> dict[str, int]:
    holding = (counts(crystals) > 0).sum(axis=0)
    return {symbol: int(holding[z]) for z, symbol in enumerate(symbols(), start=1) if holding[z]}


def _spread(values: FloatArray) -> Spread:
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))


def _labels(values: FloatArray) -> LabelOverview:
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if not len(known):
        return LabelOverview(0, missing, 0.0, 0.0, 0.0, 0.0, ())
    low, high = float(known.min()), float(known.max())
    return LabelOverview(
        labels=len(known),
        missing=missing,
        min=low,
        max=high,
        mean=float(known.mean()),
        std=float(known.std()),
        histogram=_histogram(known, low, high),
    )


def _histogram(values: FloatArray, low: float, high: float) -> tuple[int, ...]:
    if np.diff(np.linspace(low, high, BINS + 1)).min() <= 0:
        # the span is too small to be divided
        return (len(values),)
    found, _ = np.histogram(values, bins=BINS, range=(low, high))
    return tuple(int(count) for count in found)
