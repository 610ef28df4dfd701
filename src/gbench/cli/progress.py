"""What a run shows while it runs: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gbench import __version__
from gbench.audit.card import SplitCard
from gbench.audit.facts import Progress as Measuring
from gbench.cli.console import console, shorten
from gbench.cli.watch import watched
from gbench.dataset import Dataset
from gbench.elements import symbols
from gbench.graphs import Graphs
from gbench.model import Model
from gbench.model_facts import receptive_field
from gbench.result import Result
from gbench.spec import RunSpec, SplitSpec, Training
from gbench.splitting import Split
from gbench.stopping import QuietObserver, StopOnInterrupt
from gbench.train import Epoch
from gbench.waiting import Advance, bar

PLAIN_SECONDS = 5.0
FEW = 4
"""Names of what is held out that fit into a line."""
FRAMEWORKS = {"pyg": "PyG", "dgl": "DGL", "torch": "torch", "scikit-learn": "scikit-learn", "numpy": "numpy"}


def _facts_of(spec: SplitSpec, split: Split) -> Iterator[str]:
    """The fold, what it holds out, the scheme's own parameters, and of the others those that were chosen."""
    yield f"fold {spec.fold}"
    if 0 < len(split.held_out) <= FEW:
        yield " ".join(split.held_out)
    common = next(base.model_fields for base in type(spec).__bases__ if issubclass(base, SplitSpec))
    for key, value in spec.model_dump(exclude={"scheme", "fold", "hold"}).items():
        if key not in common or value != common[key].default:
            yield f"{key} {value}"


class ConsoleObserver(QuietObserver):
    """Prints the facts of a run, then its epochs: as a bar on a terminal, as a line every few seconds elsewhere."""

    def __init__(self, spec: RunSpec, framework: str, interrupt: StopOnInterrupt) -> None:
        super().__init__(interrupt)
        self.spec, self.framework = spec, FRAMEWORKS[framework]
        self.epochs = 0
        self.best: Epoch | None = None
        self.last_line = 0.0
        self.progress: Progress | None = None
        self.bar: TaskID | None = None
        self.sizes = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    def finished(self, result: Result, folder: Path) -> None:
        """When and on which commit."""
        commit = (result.environment.git_commit or "no commit")[:12]
        made = f"{result.created}, gbench {result.environment.gbench} at {commit}"
        self._line(f"done before: {made}; delete {folder} to run again")

    def data(self, dataset: Dataset, target: str) -> None:
        """Dataset, version, targets, units, size."""
        learned = self.spec.learned if self.spec.beside else (target,)
        targets = ", ".join(f"{name} ({dataset.card.targets[name].unit})" for name in learned)
        elements = len(set(dataset.crystals.numbers.tolist()) & set(range(1, len(symbols()) + 1)))
        self._line(
            f"gbench {__version__}",
            f"{dataset.card.name}@{dataset.card.version} / {targets}",
            f"{len(dataset.crystals):,} crystals, {elements} elements",
        )

    def measuring(self) -> AbstractContextManager[Measuring]:
        """A bar where measuring a large split takes its time."""
        return watched("measuring the split")

    def split(self, split: Split, card: SplitCard) -> None:
        """Scheme, sizes, measured shift; of several targets that of each."""
        described = ", ".join(_facts_of(self.spec.split, split))
        sizes = f"{len(split.train)} train  {len(split.val)} val  {len(split.test)} test"
        if sizes != self.sizes:
            self.sizes = sizes
            self._line("split ", f"{self.spec.split.scheme} ({described})", sizes)
        about = f"{card.target}: " if self.spec.beside else ""
        console.print(f"         {about}{card.headline}", soft_wrap=True)

    def building(self, crystals: int) -> AbstractContextManager[Advance]:
        """A bar where building takes its time."""
        return bar("building graphs", crystals)

    def graphs(self, graphs: Graphs, seconds: float) -> None:
        """Graph spec, density, hash."""
        density = f"{graphs.edges_per_atom:.1f} edges/atom"
        self._line("graph ", graphs.spec.describe(), density, shorten(graphs.sha256), f"{seconds:.1f} s")
        for warning in graphs.warnings:
            console.print(f"         warning: {warning}", soft_wrap=True)

    def model(self, model: Model, training: Training) -> None:
        """Name, size, nominal receptive field; opens the bar."""
        super().model(model, training)
        field = receptive_field(model, self.spec)
        reach = f"receptive field {field}" if field else ""
        self._line("model ", f"{self.spec.model} ({self.framework})", f"{model.n_parameters:,} parameters", reach)
        self.epochs = training.epochs
        if console.is_terminal:
            self.progress = Progress(
                TextColumn("train   "),
                BarColumn(bar_width=24),
                TextColumn("{task.completed:.0f}/{task.total:.0f} epochs   {task.fields[facts]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("left"),
                console=console,
            )
            self.bar = self.progress.add_task("train", total=training.epochs, facts="")
            self.progress.start()

    def epoch(self, epoch: Epoch) -> None:
        """Validation error now and best, speed."""
        if self.best is None or epoch.criterion < self.best.criterion:
            self.best = epoch
        best = f"best {self.best.criterion:.4g} @ {self.best.epoch}"
        name = "MAE" if epoch.val_log_loss is None else "log loss"
        # of several targets what chooses the epoch has no unit
        name = f"mean scaled {name}" if epoch.val_maes and epoch.val_log_loss is None else name
        facts = f"val {name} {epoch.criterion:.4g}   {best}   {epoch.seconds:.2f} s/epoch"
        if self.progress is not None and self.bar is not None:
            self.progress.update(self.bar, completed=epoch.epoch, facts=facts)
            return
        now = time.monotonic()
        if now - self.last_line >= PLAIN_SECONDS or epoch.epoch == self.epochs:
            self.last_line = now
            console.print(f"train    {epoch.epoch}/{self.epochs} epochs   {facts}{self._each(epoch)}", soft_wrap=True)

    def _each(self, epoch: Epoch) -> str:
        """The MAE of each of several targets, in its unit."""
        if epoch.val_maes is None:
            return ""
        return "   MAE " + ", ".join(f"{t} {mae:.4g}" for t, mae in zip(self.spec.learned, epoch.val_maes, strict=True))

    def _line(self, *facts: Any) -> None:
        console.print("   ".join(str(fact) for fact in facts if fact), soft_wrap=True)
