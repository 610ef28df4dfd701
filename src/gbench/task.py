"""What is learned: graphs, labels, their parts, and how labels are scaled for the network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gbench.batch import Batch, GraphTensors
from gbench.cards import Level
from gbench.devices import CPU, free_bytes, send_all
from gbench.splitting import Split

RESIDENT_SHARE = 0.5
"""Of the free memory of a GPU that graphs may take; training needs the rest."""


@dataclass(frozen=True)
class Task:
    """What is learned: graphs, labels and their parts. Labels are on the host."""

    tensors: GraphTensors
    labels: Tensor
    """(crystals, targets), (atoms, targets) or (pairs, targets); NaN where missing."""
    level: Level
    split: Split
    """Of the rows that carry a label of any target."""
    counts: tuple[Tensor | None, ...] = ()
    """For each target (crystals, elements) atoms of each element if it is extensive, else None. Empty: none is."""
    classify: bool = False
    """Whether labels are classes 0 and 1, and the network's outputs logits."""
    device: torch.device = CPU
    """Where batches are."""

    def on(self, device: torch.device) -> "Task":
        """The same with batches on a device.

        All graphs go there at once, and batches are cut there, if they take at most half of its free memory. Else
        batches are cut on the host and sent.
        """
        if device == self.device:
            return self
        fits = self.tensors.n_bytes < RESIDENT_SHARE * free_bytes(device)
        return replace(self, tensors=self.tensors.to(device if fits else CPU), device=device)

    def batch(self, rows: Tensor) -> Batch:
        """The graphs of these rows, (graphs,) int64 on the host, on the device."""
        return send_all(self.tensors.batch(rows), self.device)

    @property
    def outputs(self) -> int:
        """Targets, which are the network's numbers per item."""
        return self.labels.shape[1]

    def counts_of(self, output: int) -> Tensor | None:
        """(crystals, elements) of an extensive target, else None."""
        return self.counts[output] if self.counts else None

    def items(self, rows: Tensor) -> Tensor:
        """Positions in ``labels`` of the items of these rows, on the host."""
        if self.level == "graph":
            return rows
        return self.tensors.atoms(rows) if self.level == "node" else self.tensors.pairs(rows)

    def scales(self) -> "tuple[Scale, ...]":
        """That of each target, fitted to its labels of the training part."""
        if self.classify:
            return (Scale(0.0, 1.0),) * self.outputs
        items = self.items(torch.as_tensor(self.split.train))
        fitted = []
        for output, labels in enumerate(self.labels[items].split(1, dim=1)):
            counts = self.counts_of(output)
            fitted.append(Scale.of(labels, None if counts is None else counts[items]))
        return tuple(fitted)

    def scaled(self, scales: "Sequence[Scale]") -> Tensor:
        """(items, targets) what the network is to give: labels less their offsets, divided by their factors."""
        columns = []
        for output, (labels, scale) in enumerate(zip(self.labels.split(1, dim=1), scales, strict=True)):
            counts = self.counts_of(output)
            columns.append((labels - scale.offset(counts)) / scale.factor(counts))
        return torch.cat(columns, dim=1)


@dataclass(frozen=True)
class Scale:
    """What the network does not have to learn: it sees labels less an offset, divided by a factor.

    Offset and factor are mean and deviation of the training labels. For an extensive target they grow with the cell:
    the offset is a sum of per-element references, fitted by least squares, and the factor is the number of atoms times
    the deviation of what the references leave per atom.
    """

    mean: float
    deviation: float
    references: tuple[float, ...] = ()
    """By atomic number, in the unit of the target; 0 for an element that training lacks. Empty if not extensive."""

    @classmethod
    def of(cls, labels: Tensor, counts: Tensor | None = None) -> "Scale":
        """Fit to labels (items, 1), NaN ignored, of crystals with these element ``counts`` (items, elements)."""
        known = ~torch.isnan(labels[:, 0])
        values = labels[known].double()
        references: tuple[float, ...] = ()
        if counts is not None and len(values):
            table = counts[known].double()
            # the driver that copes with elements that are missing or always go together
            fitted = torch.linalg.lstsq(table, values, driver="gelsd").solution
            references = tuple(fitted[:, 0].tolist())
            values = (values - table @ fitted) / table.sum(dim=1, keepdim=True)
        deviation = float(values.std(correction=0)) if len(values) else 0.0
        return cls(float(values.mean()) if len(values) else 0.0, deviation if deviation > 0 else 1.0, references)

    def offset(self, counts: Tensor | None) -> Tensor | float:
        """(items, 1), or one number for all."""
        if counts is None:
            return self.mean
        return counts.double() @ torch.tensor(self.references)[:, None].double() + self.mean * _atoms(counts)

    def factor(self, counts: Tensor | None) -> Tensor | float:
        """(items, 1), or one number for all."""
        return self.deviation if counts is None else self.deviation * _atoms(counts)


def _atoms(counts: Tensor) -> Tensor:
    return counts.double().sum(dim=1, keepdim=True)
