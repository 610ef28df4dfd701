"""Checkpoints: everything a training needs to go on as if it had never stopped."""

import dataclasses
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from xxhash import xxh3_128

from gbench.errors import DataError
from gbench.storage import atomic_path

CHECKSUM_BYTES = 16


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
    device_random_state: Tensor | None = None
    """Of a GPU."""
    cpu_seconds: float = 0.0
    """Of all processors, since training began."""


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest lies, ``path`` being that of the newest."""
    return path.with_stem(f"{path.stem}.previous")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write whole or not at all, and keep the checkpoint before it.

    Raises:
        StorageError: it cannot be written; what was there before still is.
    """
    values = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)}
    buffer = io.BytesIO()
    torch.save(values, buffer)
    # torch.load does not notice a bit that has flipped
    buffer.write(xxh3_128(buffer.getbuffer()).digest())
    # through bytes: torch reports a full disk as a RuntimeError
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
        # a process that is killed here leaves the previous one alone, which does as well
        if path.is_file():
            path.replace(previous(path))


def restore_checkpoint(path: Path) -> str | None:
    """Put the previous checkpoint in place of a newest one that is damaged or missing; what there is to say of that.

    Where there is no previous one, or that is damaged too, all stays as it is.
    """
    before = previous(path)
    there = path.is_file()
    if _content(path) is not None or _content(before) is None:
        return None
    before.replace(path)
    return f"{path}: the newest checkpoint is damaged; going on from the one before" if there else None


def remove_checkpoint(path: Path) -> None:
    """Delete the newest checkpoint and the one before it, if they are there."""
    # the newest last: while it is there, a run that is asked for again cleans up
    for one in (previous(path), path):
        one.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint, or None if there is none. Loaded with ``weights_only``: it cannot run code.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        return None
    content = _content(path)
    try:
        if content is not None:
            return Checkpoint(**torch.load(io.BytesIO(content), weights_only=True))
    except (RuntimeError, TypeError, ValueError, pickle.UnpicklingError):
        # whole, and yet not one of ours
        pass
    both = ", as is the one before" if previous(path).is_file() else ""
    raise DataError(f"{path}: the checkpoint is damaged{both}; delete it to train from the start")


def _content(path: Path) -> bytes | None:
    """What was saved, without its checksum; None if there is no file or it is not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    saved, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    return saved if xxh3_128(saved).digest() == checksum else None
