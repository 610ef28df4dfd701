"""The training loop: one file, plain torch, resumable at any step."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gbench.averages import Averages
from gbench.batch import Batch
from gbench.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gbench.devices import CPU, autocast, check_precision, send, send_all
from gbench.errors import DataError, TrainingError
from gbench.losses import Losses, diverged, loss_of
from gbench.memory import enough_memory
from gbench.model import Model
from gbench.ranks import HERE, Place
from gbench.schedule import rate_at
from gbench.spec import Precision, Training
from gbench.task import Scale, Task
from gbench.validation import Validation, Validator

CHECKPOINT_SECONDS = 15.0


@dataclass(frozen=True)
class Epoch:
    """What one epoch left behind."""

    epoch: int
    """Counted from 1."""
    train_loss: float
    """In scaled units."""
    val_mae: float
    """In the unit of the target; of the probabilities for classification. Of several targets the mean of their MAEs,
    each in units of its scale, so that no unit decides about the best epoch."""
    learning_rate: float
    seconds: float
    val_log_loss: float | None = None
    """For classification; of several targets the mean."""
    val_maes: tuple[float, ...] | None = None
    """Of several targets, in the order of the outputs, each in its unit."""
    val_together: float | None = None
    """Of one among several targets: the criterion, which is that of all of them."""

    @property
    def criterion(self) -> float:
        """What is minimised over epochs: the log loss for classification, else the MAE."""
        return self.val_mae if self.val_log_loss is None else self.val_log_loss

    def of(self, output: int) -> "Epoch":
        """What it left behind for one target."""
        if self.val_maes is None:
            return self
        return replace(self, val_mae=self.val_maes[output], val_maes=None, val_together=self.criterion)

    def record(self) -> dict[str, Any]:
        """What there is, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C reached the loop; a checkpoint has been written."""


@dataclass
class Fit:
    """A trained model."""

    model: Model
    """With the weights of the best validation epoch."""
    scales: tuple[Scale, ...]
    """Of each output."""
    best_epoch: int
    history: list[Epoch] = field(default_factory=list)
    output: int = 0
    """Which of the outputs, one per target, is meant."""
    cpu_seconds: float = 0.0
    """Processor time of training, of all threads and sessions; of several processes that of the first."""
    precision: Precision = "float32"
    place: str = "cpu"
    """Where it was trained: :attr:`gbench.ranks.Place.name`."""

    @property
    def scale(self) -> Scale:
        """Of the output."""
        return self.scales[self.output]

    def of(self, output: int) -> "Fit":
        """The same model, for another of its targets."""
        return replace(self, output=output, history=[epoch.of(output) for epoch in self.history])


def fit(
    build: Callable[[], Model],
    task: Task,
    settings: Training,
    seed: int,
    checkpoint: Path,
    observe: Callable[[Epoch], None],
    stop: Callable[[], bool] = lambda: False,
    place: Place = HERE,
) -> Fit:
    """Train a model and return it with the weights that were best on validation.

    Continues from ``checkpoint`` if that file exists, and ends in the very weights an uninterrupted run ends in.
    ``observe`` hears of every epoch; when ``stop`` says so, the loop finishes its batch, writes the checkpoint and
    raises. Test rows are never touched. Of several processes at a ``place`` all train, and the first writes.

    Raises:
        TrainingError: loss or validation error are NaN or infinite, or memory ran out; the last checkpoint stays. Or
            several processes cannot train this model as one would.
        DataError: the checkpoint is damaged, or of other code of the model.
        SpecError: the device lacks the precision.
        Interrupted: ``stop`` was true.
    """
    check_precision(settings.precision, place.device)
    # the generator state of the process is put back: nothing here is global
    with torch.random.fork_rng(devices=[place.device] if place.device.type == "cuda" else []):
        torch.manual_seed(seed)
        # weights are drawn on the processor, so that they are the same wherever training is
        return Loop(build(), task.on(place.device), settings, seed, checkpoint, place).run(observe, stop)


def predict(fitted: Fit, task: Task, rows: NDArray[np.int64], batch_size: int) -> NDArray[np.float64]:
    """(items,) predictions in the unit of the target, for the items of ``rows`` in order; probabilities of class 1.

    Raises:
        TrainingError: memory ran out.
    """
    fitted.model.eval()
    chosen = torch.as_tensor(rows)
    device = next(fitted.model.parameters()).device
    task = task.on(device)
    with (
        torch.no_grad(),
        autocast(fitted.precision, device),
        enough_memory("predicting", min(batch_size, len(rows))),
    ):
        parts = [fitted.model(task.batch(chunk)).double() for chunk in chosen.split(batch_size)]
        outputs = torch.cat(parts).cpu()[:, fitted.output, None]
    if task.classify:
        return np.asarray(torch.sigmoid(outputs)[:, 0].numpy())
    counts = task.counts_of(fitted.output)
    counts = None if counts is None else counts[chosen]
    return np.asarray((outputs * fitted.scale.factor(counts) + fitted.scale.offset(counts))[:, 0].numpy())


class Loop:
    """State of a training under way."""

    def __init__(self, model: Model, task: Task, settings: Training, seed: int, checkpoint: Path, place: Place) -> None:
        self.task, self.settings, self.seed, self.path, self.place = task, settings, seed, checkpoint, place
        self.device, self.ranks = place.device, place.ranks
        self.rows = torch.as_tensor(task.split.train)
        self.batches = math.ceil(len(self.rows) / settings.batch_size)
        self.steps = self.batches * settings.epochs
        self.ranks.check(model, len(self.rows) // self.batches)
        self.model = model.to(self.device)
        self.ranks.join_norms(model)
        self.scales = task.scales()
        labels = task.scaled(self.scales).to(task.tensors.positions.dtype)
        self.known = ~torch.isnan(labels)
        """(items, targets) on the host; labels themselves are on the device, 0 where there is none."""
        self.labels = send(labels.nan_to_num(), self.device)
        self.each_loss = loss_of(settings, classify=task.classify)
        self.losses = Losses(settings, self.batches)
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.averages = Averages(self.parameters, settings.ema)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.validator = Validator(task, self.scales, labels, settings.batch_size, self.ranks)
        self.largest_batch = max(
            math.ceil(len(self.rows) / self.batches), min(settings.batch_size, len(task.split.val))
        )
        self.step, self.order_of = 0, (-1, self.rows)
        self.elapsed, self.cpu_seconds = 0.0, 0.0
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
            started, cpu_started = time.perf_counter(), time.process_time()
            with enough_memory("training", self.largest_batch):
                self._train_step()
                ended, read = self.step % self.batches == 0, self.losses.due(self.step, self.device)
                if read:
                    self.losses.read()
                validation = self._validate() if ended else None
            self.elapsed += time.perf_counter() - started
            self.cpu_seconds += time.process_time() - cpu_started
            if validation is not None:
                observe(self._end_epoch(validation))
            # several processes stop after the same step, and agree on it no more often than they wait anyway
            if stop() if self.ranks.alone else read and self.ranks.any(stop()):
                self._save()
                raise Interrupted
            if time.perf_counter() - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = time.perf_counter()
        self.model.load_state_dict(self.best_weights)
        return Fit(
            self.model, self.scales, self.best_epoch, self.history, cpu_seconds=self.cpu_seconds,
            precision=self.settings.precision, place=self.place.name,
        )  # fmt: skip

    def _train_step(self) -> None:
        """One step. Nothing in it asks the device for a number, which would make the host wait."""
        rate = rate_at(self.step, self.steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rows = self._rows_of_step()
        items = int(self.known[self.task.items(rows)].sum())
        if not items:
            # a batch may hold no labelled site; a step of zero gradient would still decay the weights
            self.step += 1
            return
        loss = self._loss(self.ranks.share(rows), items)
        self.optimizer.zero_grad(set_to_none=True)
        # as if each of several members were alone
        loss.backward()
        loss = self.ranks.add_up_gradients(self.parameters, loss.detach())
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.optimizer.step()
        self.losses.add(self.step, items, loss / self.settings.members)
        self.step += 1
        self.averages.update(self.step)

    def _loss(self, rows: Tensor, items: int) -> Tensor:
        """The sum over the labels of these rows and over members, divided by the labels in the whole batch."""
        prediction = self._forward(self.task.batch(rows))
        places = self.task.items(rows)
        label = self.labels.index_select(0, send(places, self.device))
        if prediction.shape[-2:] != label.shape:
            raise TrainingError(
                f"the model gives outputs of shape {tuple(prediction.shape)}, labels have {tuple(label.shape)}; it is "
                "to give head.outputs numbers for each item of head.level"
            )
        # each of several members answers for itself
        losses = self.each_loss(prediction.to(label.dtype), label.expand_as(prediction), reduction="none")
        known = self.known[places]
        if not known.all():
            losses = torch.where(send(known, self.device), losses, 0.0)
        return losses.sum() / items

    def _forward(self, batch: Batch) -> Tensor:
        self.model.train()
        with autocast(self.settings.precision, self.device):
            out: Tensor = self.model(batch)
        return out

    def _rows_of_step(self) -> Tensor:
        """Rows of the current step; the order depends on seed and epoch alone, so a resumed run sees the same."""
        epoch, position = divmod(self.step, self.batches)
        if self.order_of[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self.order_of = (epoch, self.rows[torch.randperm(len(self.rows), generator=generator)])
        order = self.order_of[1]
        # batches of equal size: a last batch of one crystal would have no batch statistics
        first, last = (len(order) * end // self.batches for end in (position, position + 1))
        return order[first:last]

    def _end_epoch(self, validation: Validation) -> Epoch:
        epoch = Epoch(
            epoch=self.step // self.batches,
            train_loss=self.losses.take_mean(),
            val_mae=validation.mae,
            val_log_loss=validation.log_loss,
            val_maes=validation.maes or None,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            seconds=self.elapsed,
        )
        if not math.isfinite(epoch.criterion):
            # the last step of an epoch may have spoilt the weights
            raise diverged("validation error", epoch.criterion, self.step - 1, self.batches, self.settings)
        self.elapsed = 0.0
        self.history.append(epoch)
        if epoch.criterion < self.best_criterion:
            self.best_epoch, self.best_criterion = epoch.epoch, epoch.criterion
            with self.averages:
                self.best_weights = self._copy_weights()
        return epoch

    def _validate(self) -> Validation:
        self.model.eval()
        with torch.no_grad(), self.averages, autocast(self.settings.precision, self.device):
            return self.validator(self.model)

    def _copy_weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        done = self.step // self.batches
        return patience is not None and self.step % self.batches == 0 and done - self.best_epoch >= patience

    def _save(self) -> None:
        if not self.ranks.first:
            return
        self.losses.read()
        # on the host, so that it can be gone on from on a machine without this device
        write_checkpoint(
            self.path,
            Checkpoint(
                step=self.step,
                weights=send_all(self.model.state_dict(), CPU),
                optimizer=send_all(self.optimizer.state_dict(), CPU),
                averages=send_all(self.averages.values, CPU),
                best_weights=send_all(self.best_weights, CPU),
                best_epoch=self.best_epoch,
                best_criterion=self.best_criterion,
                loss_sum=self.losses.sum,
                loss_items=self.losses.items,
                elapsed=self.elapsed,
                cpu_seconds=self.cpu_seconds,
                history=[epoch.record() for epoch in self.history],
                random_state=torch.get_rng_state(),
                device_random_state=torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            ),
        )

    def _resume(self) -> None:
        saved = read_checkpoint(self.path)
        # nobody goes on, and deletes it, before all have read it
        self.ranks.any(saved is not None)
        if saved is None:
            return
        try:
            self.model.load_state_dict(saved.weights)
            self.optimizer.load_state_dict(saved.optimizer)
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{self.path}: the checkpoint is of a model with other weights; delete it to train from the start"
            ) from error
        for average, value in zip(self.averages.values, saved.averages, strict=True):
            average.copy_(value)
        self.best_weights, self.best_epoch = saved.best_weights, saved.best_epoch
        self.best_criterion = saved.best_criterion
        self.step, self.elapsed, self.cpu_seconds = saved.step, saved.elapsed, saved.cpu_seconds
        self.losses.sum, self.losses.items = saved.loss_sum, saved.loss_items
        self.history = [Epoch(**epoch) for epoch in saved.history]
        torch.set_rng_state(saved.random_state)
        if saved.device_random_state is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(saved.device_random_state, self.device)
