"""The loss of each step, kept where it is worked out until somebody asks."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gbench.errors import TrainingError
from gbench.spec import Training

READ_STEPS = 100
"""Steps after which losses on a GPU are read: whoever reads one waits until the GPU is done."""

EachLoss = Callable[..., Tensor]
LOSSES: dict[str, EachLoss] = {"l1": F.l1_loss, "l2": F.mse_loss, "huber": F.smooth_l1_loss}


def loss_of(settings: Training, *, classify: bool) -> EachLoss:
    """The loss that is minimised, a function of outputs, labels and ``reduction``."""
    return F.binary_cross_entropy_with_logits if classify else LOSSES[settings.loss]


class Losses:
    """The sum of the losses of an epoch so far, those of the last steps unread."""

    def __init__(self, settings: Training, batches: int) -> None:
        self.settings, self.batches = settings, batches
        self.sum, self.items = 0.0, 0
        self.unread: list[tuple[int, int, Tensor]] = []

    def add(self, step: int, items: int, loss: Tensor) -> None:
        """The mean loss of a step over so many items."""
        self.unread.append((step, items, loss.detach()))

    def due(self, step: int, device: torch.device) -> bool:
        """Whether it is time to read, after so many steps: at once on a processor, and where an epoch ends."""
        return device.type == "cpu" or step % READ_STEPS == 0 or step % self.batches == 0

    def read(self) -> None:
        """Add up what is unread.

        Raises:
            TrainingError: a loss is NaN or infinite; the first is named.
        """
        if not self.unread:
            return
        values = torch.stack([loss for _, _, loss in self.unread]).cpu().tolist()
        for (step, items, _), value in zip(self.unread, values, strict=True):
            if not math.isfinite(value):
                raise diverged("loss", value, step, self.batches, self.settings)
            self.sum, self.items = self.sum + value * items, self.items + items
        self.unread.clear()

    def take_mean(self) -> float:
        """The mean over the epoch; the next begins."""
        mean = self.sum / max(self.items, 1)
        self.sum, self.items = 0.0, 0
        return mean


def diverged(what: str, value: float, step: int, batches: int, settings: Training) -> TrainingError:
    """The error of a training whose loss or validation error is no number, at a step of epochs of ``batches``."""
    return TrainingError(
        f"the {what} is {value} at step {step} (epoch {step // batches + 1}); "
        f"lower the rate, e.g. --set training.learning_rate={settings.learning_rate / 4:g}",
        step,
    )
