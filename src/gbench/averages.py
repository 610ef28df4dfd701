"""Averaged weights, which are evaluated in place of those of the last step."""

import torch
from torch import Tensor


class Averages:
    """Exponential moving averages of parameters, which hold them within its context; none where ``decay`` is 0."""

    def __init__(self, parameters: list[Tensor], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.values = [parameter.detach().clone() for parameter in parameters] if decay else []

    def update(self, steps: int) -> None:
        """After so many steps."""
        if not self.values:
            return
        # early on the average must not remember the random start
        decay = min(self.decay, steps / (steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                self.values, self.parameters, 1 - decay
            )

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self.parameters, self.values, strict=False):
            held = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(held)
