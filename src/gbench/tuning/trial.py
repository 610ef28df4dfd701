"""One trial: a training for each fold, judged by the lowest validation error of each."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gbench.building import build_network, dtype_of, network_class, training_of
from gbench.cards import Target
from gbench.checkpoint import restore_checkpoint
from gbench.errors import GraphError, SpecError, TrainingError
from gbench.prepare import make_task
from gbench.spec import RunSpec
from gbench.task import Task
from gbench.train import Epoch, fit
from gbench.tuning.development import development
from gbench.tuning.study import MOST_STARTS, Claimed, Study

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

TASKS_HELD = 8
"""So many folds, times kinds of graph, stay in memory between trials."""


class Step(NamedTuple):
    """How far a trial is."""

    trial: int
    fold: int
    epoch: Epoch
    epochs: int


class Watch(NamedTuple):
    """Who hears of a search, and may end it."""

    ended: Callable[["FrozenTrial"], object] = lambda _: None
    """Told of each trial that ended."""
    step: Callable[[Step], object] = lambda _: None
    """Told of each epoch."""
    stop: Callable[[], bool] = lambda: False
    """Asked after each batch."""
    begun: Callable[[], object] = lambda: None
    """Told before the first training."""


def search(study: Study, trials: int, watch: Watch | None = None) -> None:
    """Work on trials until ``trials`` of the study were begun and no process has left one behind.

    A search that is stopped, or whose process is killed, leaves the trial under way to whoever works on the study next,
    who goes on from its checkpoint.

    Raises:
        Interrupted: ``watch.stop`` was true while a trial was under way.
    """
    watch, tasks = watch or Watch(), _Tasks()
    watch.begun()
    while not watch.stop() and (claimed := study.claim(trials)) is not None:
        with claimed.lock:
            watch.ended(_Run(study, claimed, tasks, watch).result())


class _Learned(NamedTuple):
    task: Task
    about: Target


class _Tasks:
    """What is learned under each split and graph, kept for the next trial."""

    def __init__(self) -> None:
        self._held: dict[str, _Learned] = {}

    def of(self, spec: RunSpec) -> _Learned:
        """From memory, or loaded."""
        dtype = dtype_of(training_of(spec))
        key = f"{spec.split.model_dump_json()} {spec.graph and spec.graph.model_dump_json()} {dtype}"
        if key not in self._held:
            while len(self._held) >= TASKS_HELD:
                del self._held[next(iter(self._held))]
            prepared = development(spec)
            self._held[key] = _Learned(make_task(prepared, network_class(spec), dtype), prepared.about)
        return self._held[key]


class _Run:
    """A trial under way."""

    def __init__(self, study: Study, claimed: Claimed, tasks: _Tasks, watch: Watch) -> None:
        self.study, self.trial, self.tasks, self.watch = study, claimed.trial, tasks, watch
        self.settings = study.tuning.settings(self.trial.params)

    def result(self) -> "FrozenTrial":
        """The trial, ended and stored."""
        import optuna
        from optuna.trial import TrialState

        number = self.trial.number
        try:
            if self.trial.user_attrs["starts"] > MOST_STARTS:
                raise TrainingError(f"its process was killed {MOST_STARTS} times, as one that needs too much memory is")
            for fold in self.study.tuning.folds[len(self._scores) :]:
                self._learn(fold)
        except optuna.TrialPruned:
            told = self.study.stored.tell(number, state=TrialState.PRUNED)
        except (TrainingError, SpecError, GraphError) as error:
            # to the sampler it is a bad place, to be left alone
            self.trial.set_user_attr("why", str(error))
            told = self.study.stored.tell(number, state=TrialState.PRUNED)
        else:
            told = self.study.stored.tell(number, sum(self._scores) / len(self._scores))
        for path in self.study.folder.glob(f"trial-{number}-fold-*.pt"):
            path.unlink()
        return told

    @property
    def _scores(self) -> list[float]:
        """Lowest validation errors of the folds that are done."""
        return list(self.trial.user_attrs.get("scores", ()))

    def _learn(self, fold: int) -> None:
        spec = self.study.tuning.spec(fold, self.settings)
        learned, training = self.tasks.of(spec), spec.training
        if training is None:
            raise TypeError(f"{spec.model} is not trained by the loop")
        done, epochs = self._scores, list[Epoch]()
        first = len(done) * training.epochs - 1

        def observe(epoch: Epoch) -> None:
            epochs.append(epoch)
            self.watch.step(Step(self.trial.number, fold, epoch, training.epochs))
            best = min(one.criterion for one in epochs)
            self._report((sum(done) + best) / (len(done) + 1), first + epoch.epoch)

        restore_checkpoint(self._checkpoint(fold))
        fit(
            lambda: build_network(spec, learned.about), learned.task, training, spec.seed,
            self._checkpoint(fold), observe, self.watch.stop,
        )  # fmt: skip
        best = min(epochs, key=lambda epoch: epoch.criterion)
        seconds = self.trial.user_attrs.get("seconds", 0.0) + sum(epoch.seconds for epoch in epochs)
        self.trial.set_user_attr("epochs", [*self.trial.user_attrs.get("epochs", ()), best.epoch])
        self.trial.set_user_attr("seconds", seconds)
        # last: whoever takes the trial up counts the folds that are done by their scores
        self.trial.set_user_attr("scores", [*done, best.criterion])

    def _report(self, value: float, step: int) -> None:
        import optuna

        if step not in self.study.stored.get_trials(deepcopy=False)[self.trial.number].intermediate_values:
            self.trial.report(value, step)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def _checkpoint(self, fold: int) -> Path:
        return self.study.folder / f"trial-{self.trial.number}-fold-{fold}.pt"
