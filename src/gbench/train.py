"""The training loop: one file, plain torch, resumable at any step."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gbench.errors import TrainingError
from gbench.memory import enough_memory
from gbench.model import Model
from gbench.spec import Training
from gbench.task import Scale, Task

CHECKPOINT_SECONDS = 15.0
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "l2": F.mse_loss, "huber": F.smooth_l1_loss}
FINAL_RATE = 1e-3
"""The schedules end at this share of the peak rate."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch left behind."""

    epoch: int
    """Counted from 1."""
    train_loss: float
    """In scaled units."""
    val_mae: float
    """In the unit of the target; of the probabilities for classification."""
    learning_rate: float
    seconds: float
    val_log_loss: float | None = None
    """For classification."""

    @property
    def criterion(self) -> float:
        """What is minimised over epochs: the log loss for classification, else the MAE."""
        return self.val_mae if self.val_log_loss is None else self.val_log_loss

    def record(self) -> dict[str, float]:
        """What there is, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C reached the loop; a checkpoint has been written."""


@dataclass
class Fit:
    """A trained model."""

    model: Model
    """With the weights of the best validation epoch."""
    scale: Scale
    best_epoch: int
    history: list[Epoch] = field(default_factory=list)


def fit(
    build: Callable[[], Model],
    task: Task,
    settings: Training,
    seed: int,
    checkpoint: Path,
    observe: Callable[[Epoch], None],
    stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Train a model and return it with the weights that were best on validation.

    Continues from ``checkpoint`` if that file exists, and ends in the very weights an uninterrupted run ends in.
    ``observe`` hears of every epoch; when ``stop`` says so, the loop finishes its batch, writes the checkpoint and
    raises. Test rows are never touched.

    Raises:
        TrainingError: the loss is NaN or infinite, or memory ran out; the last checkpoint stays.
        Interrupted: ``stop`` was true.
    """
    # the generator state of the process is put back: nothing here is global
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Loop(build(), task, settings, seed, checkpoint).run(observe, stop)


def predict(fitted: Fit, task: Task, rows: NDArray[np.int64], batch_size: int) -> NDArray[np.float64]:
    """(items,) predictions in the unit of the target, for the items of ``rows`` in order; probabilities of class 1.

    Raises:
        TrainingError: memory ran out.
    """
    fitted.model.eval()
    chosen = torch.as_tensor(rows)
    with torch.no_grad(), enough_memory("predicting", min(batch_size, len(rows))):
        outputs = torch.cat([fitted.model(task.tensors.batch(chunk)).double() for chunk in chosen.split(batch_size)])
    if task.classify:
        return np.asarray(torch.sigmoid(outputs)[:, 0].cpu().numpy())
    counts = None if task.counts is None else task.counts[chosen]
    return np.asarray((outputs * fitted.scale.factor(counts) + fitted.scale.offset(counts))[:, 0].cpu().numpy())


class Loop:
    """State of a training under way."""

    def __init__(self, model: Model, task: Task, settings: Training, seed: int, checkpoint: Path) -> None:
        self.model, self.task, self.settings, self.seed, self.path = model, task, settings, seed, checkpoint
        self.rows = torch.as_tensor(task.split.train)
        self.scale = task.scale()
        self.factor = self.scale.factor(task.counts)
        scaled = (task.labels - self.scale.offset(task.counts)) / self.factor
        self.scaled_labels = scaled.to(task.tensors.positions.dtype)
        self.loss = F.binary_cross_entropy_with_logits if task.classify else LOSSES[settings.loss]
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.averages = [p.detach().clone() for p in self.parameters] if settings.ema else []
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.batches = math.ceil(len(self.rows) / settings.batch_size)
        self.steps = self.batches * settings.epochs
        self.largest_batch = max(
            math.ceil(len(self.rows) / self.batches), min(settings.batch_size, len(task.split.val))
        )
        self.validation = list(self._validation_batches())
        self.step = 0
        self.loss_sum, self.loss_items = 0.0, 0
        self.elapsed = 0.0
        self.history: list[Epoch] = []
        self.best_epoch, self.best_criterion = 0, math.inf
        self.best_weights = self._copy_weights()

    def run(self, observe: Callable[[Epoch], None], stop: Callable[[], bool]) -> Fit:
        """Train to the end, from the checkpoint if there is one."""
        self._resume()
        for past in self.history:
            observe(past)
        saved = time.perf_counter()
        while self.step < self.steps and not self._out_of_patience():
            started = time.perf_counter()
            with enough_memory("training", self.largest_batch):
                self._train_step()
                ended = self.step % self.batches == 0
                validation = self._validate() if ended else None
            self.elapsed += time.perf_counter() - started
            if validation is not None:
                observe(self._end_epoch(validation))
            if stop():
                self._save()
                raise Interrupted
            if time.perf_counter() - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = time.perf_counter()
        self.model.load_state_dict(self.best_weights)
        return Fit(self.model, self.scale, self.best_epoch, self.history)

    def _train_step(self) -> None:
        rate = rate_at(self.step, self.steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rows = self._rows_of_step()
        prediction = self._forward(self.task.tensors.batch(rows))
        label = self.scaled_labels[self.task.items(rows)]
        known = ~torch.isnan(label)
        if not known.any():
            # a batch may hold no labelled site; a step of zero gradient would still decay the weights
            self.step += 1
            return
        loss = self.loss(prediction[known], label[known])
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at step {self.step} (epoch {self.step // self.batches + 1}); "
                f"lower the rate, e.g. --set training.learning_rate={self.settings.learning_rate / 4:g}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.optimizer.step()
        self.step += 1
        if self.averages:
            # early on the average must not remember the random start
            decay = min(self.settings.ema, self.step / (self.step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                    self.averages, self.parameters, 1 - decay
                )
        items = int(known.sum())
        self.loss_sum, self.loss_items = self.loss_sum + value * items, self.loss_items + items

    def _forward(self, batch: Batch) -> Tensor:
        self.model.train()
        out: Tensor = self.model(batch)
        return out

    def _rows_of_step(self) -> Tensor:
        """Rows of the current step; the order depends on seed and epoch alone, so a resumed run sees the same."""
        epoch, position = divmod(self.step, self.batches)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.rows), generator=generator)
        # batches of equal size: a last batch of one crystal would have no batch statistics
        first, last = (len(order) * end // self.batches for end in (position, position + 1))
        return self.rows[order[first:last]]

    def _end_epoch(self, validation: "_Validation") -> Epoch:
        epoch = Epoch(
            epoch=self.step // self.batches,
            train_loss=self.loss_sum / max(self.loss_items, 1),
            val_mae=validation.mae,
            val_log_loss=validation.log_loss,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            seconds=self.elapsed,
        )
        self.loss_sum, self.loss_items, self.elapsed = 0.0, 0, 0.0
        self.history.append(epoch)
        if epoch.criterion < self.best_criterion:
            self.best_epoch, self.best_criterion = epoch.epoch, epoch.criterion
            with self._averaged():
                self.best_weights = self._copy_weights()
        return epoch

    def _validate(self) -> "_Validation":
        self.model.eval()
        error, log_loss, items = 0.0, 0.0, 0
        with torch.no_grad(), self._averaged():
            for batch, label, factor in self.validation:
                known = ~torch.isnan(label)
                output, label = self.model(batch)[known], label[known]
                if self.task.classify:
                    log_loss += float(F.binary_cross_entropy_with_logits(output, label, reduction="sum"))
                    output = torch.sigmoid(output)
                distance = (output - label).abs()
                error += float((distance * factor[known] if isinstance(factor, Tensor) else distance).sum())
                items += len(label)
        # one number for all is multiplied once
        unit = 1.0 if isinstance(self.factor, Tensor) else self.factor
        return _Validation(error / max(items, 1) * unit, log_loss / max(items, 1) if self.task.classify else None)

    def _validation_batches(self) -> Iterator[tuple[Batch, Tensor, Tensor | float]]:
        for rows in torch.as_tensor(self.task.split.val).split(self.settings.batch_size):
            items = self.task.items(rows)
            factor = self.factor[items] if isinstance(self.factor, Tensor) else self.factor
            yield self.task.tensors.batch(rows), self.scaled_labels[items], factor

    def _averaged(self) -> "_Swapped":
        return _Swapped(self.parameters, self.averages)

    def _copy_weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        done = self.step // self.batches
        return patience is not None and self.step % self.batches == 0 and done - self.best_epoch >= patience

    def _save(self) -> None:
        write_checkpoint(
            self.path,
            Checkpoint(
                step=self.step,
                weights=self.model.state_dict(),
                optimizer=self.optimizer.state_dict(),
                averages=self.averages,
                best_weights=self.best_weights,
                best_epoch=self.best_epoch,
                best_criterion=self.best_criterion,
                loss_sum=self.loss_sum,
                loss_items=self.loss_items,
                elapsed=self.elapsed,
                history=[epoch.record() for epoch in self.history],
                random_state=torch.get_rng_state(),
            ),
        )

    def _resume(self) -> None:
        saved = read_checkpoint(self.path)
        if saved is None:
            return
        self.model.load_state_dict(saved.weights)
        self.optimizer.load_state_dict(saved.optimizer)
        for average, value in zip(self.averages, saved.averages, strict=True):
            average.copy_(value)
        self.best_weights, self.best_epoch = saved.best_weights, saved.best_epoch
        self.best_criterion = saved.best_criterion
        self.step, self.elapsed = saved.step, saved.elapsed
        self.loss_sum, self.loss_items = saved.loss_sum, saved.loss_items
        self.history = [Epoch(**epoch) for epoch in saved.history]
        torch.set_rng_state(saved.random_state)


class _Validation(NamedTuple):
    mae: float
    log_loss: float | None


class _Swapped:
    """Context in which parameters hold their averages, if there are any."""

    def __init__(self, parameters: list[Any], averages: list[Tensor]) -> None:
        self.parameters, self.averages = parameters, averages

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self.parameters, self.averages, strict=False):
            held = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(held)


def rate_at(step: int, steps: int, settings: Training) -> float:
    """Learning rate of a step: linear (``cosine``) or cosine (``one-cycle``) rise, then cosine fall."""
    rise = settings.warmup * steps
    peak, low = settings.learning_rate, settings.learning_rate * FINAL_RATE
    if step < rise:
        done = (step + 1) / (rise + 1)
        if settings.schedule == "one-cycle":
            start = peak / 25
            return start + (peak - start) * (1 - math.cos(math.pi * done)) / 2
        return peak * done
    done = (step - rise) / max(steps - 1 - rise, 1)
    return low + (peak - low) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
