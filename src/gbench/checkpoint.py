"""Checkpoints: everything a training needs to go on as if it had never stopped."""

import dataclasses
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gbench.errors import DataError
from gbench.storage import atomic_path


@dataclass(frozen=True)
class Checkpoint:
    """State of the loop after a step."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    averages: list[Tensor]
    best_weights: dict[str, Tensor]
    best_epoch: int
    best_criterion: float
    loss_sum: float
    loss_items: int
    elapsed: float
    """Seconds already spent in the unfinished epoch."""
    history: list[dict[str, Any]]
    random_state: Tensor


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write whole or not at all: a reader never sees half a file."""
    values = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)}
    buffer = io.BytesIO()
    torch.save(values, buffer)
    # through bytes: torch reports a full disk as a RuntimeError
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint, or None if there is none. Loaded with ``weights_only``: it cannot run code.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        return Checkpoint(**torch.load(path, weights_only=True))
    except (RuntimeError, EOFError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: the checkpoint is damaged; delete it to train from the start") from error
