"""Several networks of one kind that learn side by side and predict together."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.model import Model


class Members(Model):
    """A deep ensemble: networks that differ in their first weights, and whose predictions are averaged.

    In training each member answers for itself, so that none leans on the others; in evaluation the answer is the mean
    of theirs, of logits for classification.

    Source: Lakshminarayanan et al. 2017, https://arxiv.org/abs/1612.01474, without adversarial examples and variances.
    """

    def __init__(self, members: Iterable[Model]) -> None:
        nn.Module.__init__(self)
        self.members = nn.ModuleList(members)

    def forward(self, batch: Batch) -> Tensor:
        """(members, items, outputs) in training, (items, outputs) in evaluation."""
        answers = torch.stack([member(batch) for member in self.members])
        return answers if self.training else answers.mean(dim=0)

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Those of the first member."""
        states: list[Tensor] = self.members[0].embeddings(batch)  # type: ignore[operator]
        return states

    @property
    def hops(self) -> int:
        """Those of each member."""
        hops: int = self.members[0].hops  # type: ignore[assignment]
        return hops


def together(build: Callable[[], Model], members: int) -> Model:
    """What ``build`` makes, or so many of them."""
    return build() if members == 1 else Members(build() for _ in range(members))
