"""The error on the validation part, which chooses the epoch."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.task import Scale, Task


class Validation(NamedTuple):
    """Errors on the validation part."""

    mae: float
    """In the unit of the target, of probabilities for classification; of several targets the mean of their scaled MAEs:
    those of numbers in units of each target's scale."""
    log_loss: float | None
    """For classification; of several targets the mean."""
    maes: tuple[float, ...]
    """Of several targets, each in its unit; empty for one."""


class Validator:
    """The validation part, cut into batches once, and the errors of a network on it."""

    def __init__(self, task: Task, scales: Sequence[Scale], scaled_labels: Tensor, batch_size: int) -> None:
        self.task = task
        self.factors = [scale.factor(task.counts_of(output)) for output, scale in enumerate(scales)]
        rows_of_batches = torch.as_tensor(task.split.val).split(batch_size)
        self.batches = [_Part(task.tensors.batch(rows), task.items(rows)) for rows in rows_of_batches]
        self.labels = [scaled_labels[part.items] for part in self.batches]

    def __call__(self, predict: Callable[[Batch], Tensor]) -> Validation:
        """The errors of what ``predict`` gives, (items, targets) in scaled units; logits for classification."""
        sums = [_Sums() for _ in self.factors]
        for part, labels in zip(self.batches, self.labels, strict=True):
            outputs = predict(part.batch)
            for output, factor in enumerate(self.factors):
                column = factor[part.items, 0] if isinstance(factor, Tensor) else None
                self._add(sums[output], outputs[:, output], labels[:, output], column)
        # one number for all items is multiplied once
        units = [1.0 if isinstance(factor, Tensor) else factor for factor in self.factors]
        maes = tuple(found.error / found.count * unit for found, unit in zip(sums, units, strict=True))
        log_losses = [found.log_loss / found.count for found in sums]
        return Validation(
            mae=maes[0] if len(maes) == 1 else _mean([found.scaled_error / found.count for found in sums]),
            log_loss=_mean(log_losses) if self.task.classify else None,
            maes=maes if len(maes) > 1 else (),
        )

    def _add(self, sums: "_Sums", output: Tensor, label: Tensor, factor: Tensor | None) -> None:
        known = ~torch.isnan(label)
        output, label = output[known], label[known]
        if self.task.classify:
            sums.log_loss += float(F.binary_cross_entropy_with_logits(output, label, reduction="sum"))
            output = torch.sigmoid(output)
        distance = (output - label).abs()
        sums.error += float((distance if factor is None else distance * factor[known]).sum())
        sums.scaled_error += float(distance.sum())
        sums.items += len(label)


class _Part(NamedTuple):
    batch: Batch
    items: Tensor
    """(items,) positions in the label array."""


class _Sums:
    """What adds up over batches, for one target."""

    def __init__(self) -> None:
        self.error, self.scaled_error, self.log_loss, self.items = 0.0, 0.0, 0.0, 0

    @property
    def count(self) -> int:
        return max(self.items, 1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
