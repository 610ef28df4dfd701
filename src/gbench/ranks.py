"""Several processes that train one model together, started by ``torchrun``."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist

from gbench.devices import CPU, choose_device, device_name
from gbench.errors import TrainingError
from gbench.nn.norms import BatchNorm

PATIENCE = timedelta(hours=12)
"""How long a process waits for the others: for those behind the first, until it has built its graphs."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them; alone unless said otherwise.

    Each takes its share of every batch. Sums over all of them then give every process the loss and the gradients of the
    whole batch, the same to the last bit, so that their weights never part.
    """

    rank: int = 0
    """Of this process; 0 is the first, which alone writes and speaks."""
    size: int = 1
    device: torch.device = CPU
    """Where sums over the processes are made."""

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of the rows of a batch."""
        first, last = (len(rows) * end // self.size for end in (self.rank, self.rank + 1))
        return rows[first:last]

    def check(self, model: nn.Module, smallest_batch: int) -> None:
        """Raise TrainingError if this many processes cannot train a model as one would."""
        if self.alone:
            return
        if smallest_batch < self.size:
            raise TrainingError(
                f"{self.size} processes cannot share a batch of {smallest_batch}; start fewer, or choose a larger "
                "training.batch_size"
            )
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, BatchNorm):
                raise TrainingError(
                    f"{type(module).__name__} would see the share of one process alone; use gbench.nn.norms.BatchNorm, "
                    "or train without torchrun"
                )

    def join_norms(self, model: nn.Module) -> None:
        """From now on batch normalisation takes the statistics of the whole batch."""
        for module in model.modules():
            if isinstance(module, BatchNorm) and not self.alone:
                module.add_up = self.sum_with_gradient

    def sum_with_gradient(self, values: Tensor) -> Tensor:
        """The sum over all processes; gradients of their losses flow back to every one."""
        out: Tensor = _Sum.apply(values, self)  # type: ignore[no-untyped-call]
        return out

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if not self.alone:
            _told(lambda: dist.all_reduce(values))
        return values

    def add_up_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Gradients become their sums over all processes; returns the sum of the losses. One message for all."""
        if self.alone:
            return loss
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.add_up(torch.cat([loss.view(1), *(gradient.flatten() for gradient in gradients)]))
        parts = flat[1:].split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return flat[0]

    def any(self, mine: bool) -> bool:
        """Whether it is so in any process."""
        return mine if self.alone else bool(self.add_up(torch.tensor(float(mine), device=self.device)))

    def call(self, spec: str, checkpoint: str) -> None:
        """From the first process: train this spec with me."""
        self._tell([spec, checkpoint])

    def dismiss(self) -> None:
        """From the first process: there is nothing more to train."""
        self._tell([None, None])

    def listen(self) -> tuple[str, str] | None:
        """In every other process: the spec and the checkpoint to train from, or None when all is done."""
        heard: list[str | None] = [None, None]
        self._tell(heard)
        spec, checkpoint = heard
        return None if spec is None or checkpoint is None else (spec, checkpoint)

    def _tell(self, words: list[str | None]) -> None:
        if not self.alone:
            _told(lambda: dist.broadcast_object_list(words, src=0, device=self.device))


ALONE = Ranks()


@dataclass(frozen=True)
class Place:
    """Where a training is worked out."""

    device: torch.device = CPU
    ranks: Ranks = field(default=ALONE)

    @property
    def name(self) -> str:
        """``cpu``, ``NVIDIA H100 80GB HBM3`` or ``2 x cpu``."""
        name = device_name(self.device)
        return name if self.ranks.alone else f"{self.ranks.size} x {name}"


HERE = Place()


@contextmanager
def joined(device: str) -> Iterator[Place]:
    """The place of this process: alone on a device, or one of those that ``torchrun`` started.

    Raises:
        UnknownNameError: no such device.
        SpecError: no such device here.
    """
    size = int(os.environ.get("WORLD_SIZE", "1")) if dist.is_torchelastic_launched() else 1
    if size == 1:
        yield Place(choose_device(device))
        return
    here = choose_device(device, local_rank=int(os.environ["LOCAL_RANK"]))
    if here.type == "cuda":
        torch.cuda.set_device(here)
    dist.init_process_group("nccl" if here.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        ranks = Ranks(dist.get_rank(), size, here)
        yield Place(here, ranks)
        if ranks.first:
            ranks.dismiss()
    finally:
        dist.destroy_process_group()


def _told(send: Callable[[], object]) -> None:
    try:
        send()
    except RuntimeError as error:
        raise TrainingError("another process of this training has ended; what it said tells why") from error


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks  # type: ignore[attr-defined]
        return ranks.add_up(values.clone())

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        return ctx.ranks.add_up(gradient.clone()), None  # type: ignore[attr-defined]
