"""Datasets whose split cards are known without measuring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gbench.cards import DatasetCard
from gbench.crystals import Crystals, IntArray
from gbench.dataset import Dataset
from gbench.spec import SplitSpec
from gbench.splitting import Split, make_spec

SPEC: SplitSpec = make_spec("random")


def dataset(records: Sequence[dict[str, Any]], task: str = "regression") -> Dataset:
    """A dataset of records with a label ``y``; labels default to the row."""
    labelled = [{"y": float(row), **record} for row, record in enumerate(records)]
    target = {"level": "graph", "unit": "1", "task": task, "description": "made up", "method": {"code": "none"}}
    card = DatasetCard.model_validate(
        {
            "name": "hand_made",
            "version": "1",
            "title": "hand-made",
            "description": "made for a test",
            "licence": "CC0",
            "citation": {"text": "none"},
            "sources": [{"file": "crystals.parquet", "sha256": "0" * 64}],
            "crystals": len(records),
            "targets": {"y": target},
            "default_target": "y",
            "default_split": "random",
        }
    )
    return Dataset(card, Crystals.build(labelled, ["y"]))


Rows = Sequence[int] | IntArray


def split(train: Rows, test: Rows, val: Rows = ()) -> Split:
    """A split of rows."""
    return Split(np.array(train, np.int64), np.array(val, np.int64), np.array(test, np.int64))


def rocksalt(name: str, length: float, cation: int = 11, anion: int = 17, **more: Any) -> dict[str, Any]:
    """The primitive cell of a rocksalt crystal."""
    cell = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * length / 2
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0.5]]) @ cell
    return {"id": name, "numbers": [cation, anion], "positions": positions, "cell": cell, **more}


def caesium_chloride(name: str, length: float, cation: int = 11, anion: int = 17, **more: Any) -> dict[str, Any]:
    """The cell of a crystal of the CsCl type."""
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0.5]]) * length
    return {"id": name, "numbers": [cation, anion], "positions": positions, "cell": np.eye(3) * length, **more}


def doubled(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The same crystal in a cell of twice the size, its origin moved and its atoms in another order."""
    cell, positions = np.asarray(record["cell"]), np.asarray(record["positions"])
    both = np.concatenate([positions, positions + cell[0]]) + 0.3
    numbers = np.tile(record["numbers"], 2)
    return {
        "id": name,
        "numbers": numbers[::-1].tolist(),
        "positions": both[::-1],
        "cell": cell * np.array([[2], [1], [1]]),
    }


def water(name: str, angle: float = 104.5, length: float = 0.96) -> dict[str, Any]:
    """A bent molecule; angle in degrees, length in Å."""
    half = np.deg2rad(angle / 2)
    arm = length * np.array([np.sin(half), np.cos(half), 0])
    return {"id": name, "numbers": [8, 1, 1], "positions": np.array([np.zeros(3), arm, arm * [-1, 1, 1]]), "cell": None}
