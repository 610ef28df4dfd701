"""Small crystals made by hand."""

from typing import Any

from gbench.crystals import Crystals


def crystal(numbers: list[int], positions: Any, cell: Any, name: str = "x", **targets: Any) -> dict[str, Any]:
    """One record for :meth:`Crystals.build`."""
    return {"id": name, "numbers": numbers, "positions": positions, "cell": cell, **targets}


def one(numbers: list[int], positions: Any, cell: Any) -> Crystals:
    """Crystals with one member."""
    return Crystals.build([crystal(numbers, positions, cell)])
