"""What is learned: graphs, labels, their parts, and how labels are scaled for the network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gbench.batch import GraphTensors
from gbench.cards import Level
from gbench.splitting import Split


@dataclass(frozen=True)
class Task:
    """What is learned: graphs, labels and their parts."""

    tensors: GraphTensors
    labels: Tensor
    """(crystals, 1), (atoms, 1) or (pairs, 1); NaN where missing."""
    level: Level
    split: Split
    counts: Tensor | None = None
    """(crystals, elements) atoms of each element, for an extensive target."""
    classify: bool = False
    """Whether labels are classes 0 and 1, and the network's outputs logits."""

    def items(self, rows: Tensor) -> Tensor:
        """Positions in ``labels`` of the items of these rows."""
        if self.level == "graph":
            return rows
        return self.tensors.atoms(rows) if self.level == "node" else self.tensors.pairs(rows)

    def scale(self) -> "Scale":
        """Fitted to the labels of the training part."""
        if self.classify:
            return Scale(0.0, 1.0)
        items = self.items(torch.as_tensor(self.split.train))
        return Scale.of(self.labels[items], None if self.counts is None else self.counts[items])


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
