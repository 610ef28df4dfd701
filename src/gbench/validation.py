"""The error on the validation part, which chooses the epoch."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.devices import send_all
from gbench.ranks import ALONE, Ranks
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
    """The validation part, cut into batches once, and the errors of a network on it.

    Of several processes each takes some of the batches.
    """

    def __init__(
        self, task: Task, scales: Sequence[Scale], scaled_labels: Tensor, batch_size: int, ranks: Ranks = ALONE
    ) -> None:
        self.task, self.ranks = task, ranks
        factors = [scale.factor(task.counts_of(output)) for output, scale in enumerate(scales)]
        # one number for all items is multiplied once
        self.units = [1.0 if isinstance(factor, Tensor) else factor for factor in factors]
        rows = torch.as_tensor(task.split.val)
        self.counts = [max(int(count), 1) for count in (~torch.isnan(scaled_labels[task.items(rows)])).sum(dim=0)]
        self.parts = []
        for chunk in rows.split(batch_size)[ranks.rank :: ranks.size]:
            items = task.items(chunk)
            labelled = [_Labelled.of(scaled_labels[items, k], _at(factor, items)) for k, factor in enumerate(factors)]
            self.parts.append(_Part(task.tensors.batch(chunk), send_all(tuple(labelled), task.device)))

    def __call__(self, predict: Callable[[Batch], Tensor]) -> Validation:
        """The errors of what ``predict`` gives, (items, targets) in scaled units; logits for classification."""
        # added up where they are worked out: every number that is read makes the host wait
        sums = torch.zeros((len(self.counts), 3), dtype=torch.float64, device=self.task.device)
        for part in self.parts:
            outputs = predict(send_all(part.batch, self.task.device))
            for target, labelled in enumerate(part.labelled):
                sums[target] += self._errors(outputs[:, target], labelled)
        return self._validation(self.ranks.add_up(sums).cpu().tolist())

    def _errors(self, output: Tensor, labelled: "_Labelled") -> Tensor:
        """(3,) sums over the labels: of errors times factors, of errors, of log losses."""
        output, label = output.index_select(0, labelled.items).to(labelled.label.dtype), labelled.label
        log_loss = label.new_zeros(())
        if self.task.classify:
            log_loss = F.binary_cross_entropy_with_logits(output, label, reduction="sum")
            output = torch.sigmoid(output)
        distance = (output - label).abs()
        error = distance if labelled.factor is None else distance * labelled.factor
        return torch.stack([error.sum().double(), distance.sum().double(), log_loss.double()])

    def _validation(self, sums: list[list[float]]) -> Validation:
        means = [[value / count for value in row] for row, count in zip(sums, self.counts, strict=True)]
        maes = tuple(row[0] * unit for row, unit in zip(means, self.units, strict=True))
        return Validation(
            mae=maes[0] if len(maes) == 1 else _mean([row[1] for row in means]),
            log_loss=_mean([row[2] for row in means]) if self.task.classify else None,
            maes=maes if len(maes) > 1 else (),
        )


class _Labelled(NamedTuple):
    """The items of a batch that have a label of a target."""

    items: Tensor
    label: Tensor
    factor: Tensor | None
    """Of each, where it differs."""

    @classmethod
    def of(cls, label: Tensor, factor: Tensor | None) -> "_Labelled":
        items = torch.nonzero(~torch.isnan(label))[:, 0]
        return cls(items, label[items], None if factor is None else factor[items])


class _Part(NamedTuple):
    batch: Batch
    """Where the graphs are."""
    labelled: tuple[_Labelled, ...]
    """Of each target."""


def _at(factor: Tensor | float, items: Tensor) -> Tensor | None:
    return factor[items, 0] if isinstance(factor, Tensor) else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
