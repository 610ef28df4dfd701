"""What watches a run."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from gbench.audit.card import SplitCard
from gbench.audit.facts import Progress, silent
from gbench.dataset import Dataset
from gbench.graphs import Graphs
from gbench.model import Model
from gbench.neighbors import Progress as Built
from gbench.result import Result
from gbench.spec import Training
from gbench.splitting import Split
from gbench.train import Epoch


class Observer:
    """Hears what a run does; override what you show."""

    def finished(self, result: Result, folder: Path) -> None:
        """The run was done before; nothing else will be heard of it."""

    def data(self, dataset: Dataset, target: str) -> None:
        """The dataset is loaded."""

    def measuring(self) -> AbstractContextManager[Progress]:
        """While the split is measured: what hears how far that is."""
        return nullcontext(silent)

    def split(self, split: Split, card: SplitCard) -> None:
        """The split is made and measured; rows without a label are out of it."""

    def building(self, crystals: int) -> AbstractContextManager[Built]:  # noqa: ARG002
        """While the graphs of so many crystals are built, if they are not in the cache: what hears of each few."""
        return nullcontext(lambda _: None)

    def graphs(self, graphs: Graphs, seconds: float) -> None:
        """The graphs are built or read."""

    def note(self, sentence: str) -> None:
        """Something that stops nothing and should be known."""

    def model(self, model: Model, training: Training) -> None:
        """A network is about to be trained."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch ended."""

    def stop(self) -> bool:
        """Whether training is to stop after the current batch."""
        return False
