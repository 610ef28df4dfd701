"""What is worked out about a model instead of written on its card: its size, its reach, and what training it took."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

import torch
from pydantic import ValidationError

from gbench.cards import Frozen
from gbench.choices import Choices, resolve
from gbench.content import content
from gbench.errors import GbenchError
from gbench.members import together
from gbench.model import Head, Model
from gbench.registry import dataset_card, model_card, model_class
from gbench.result import RESULT_FILE, Result, read_result
from gbench.spec import RunSpec


class ReceptiveField(Frozen):
    """How far an atom hears of elements, nominally."""

    hops: int
    """Message-passing steps."""
    cutoff_angstrom: float
    """Of the graph; for ``knn`` and ``voronoi`` the radius within which neighbours are sought."""

    @property
    def angstrom(self) -> float:
        """Their product."""
        return self.hops * self.cutoff_angstrom

    def __str__(self) -> str:
        """``3 x 5.0 Å``"""
        return f"{self.hops} x {self.cutoff_angstrom} Å"


class TrainingTime(Frozen):
    """What it took to train a model with the settings of its card: one fold and one seed."""

    dataset: str
    target: str
    split: str
    seconds: float
    """Median over the runs."""
    runs: int
    device: str
    threads: int

    def __str__(self) -> str:
        """``matbench_phonons / last_phdos_peak, official split: 208 s (median of 5 runs, cpu, 1 thread)``"""
        runs = "one run" if self.runs == 1 else f"median of {self.runs} runs"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        where = f"{self.dataset} / {self.target}, {self.split} split"
        return f"{where}: {self.seconds:.3g} s ({runs}, {self.device}, {threads})"


class ModelFacts(Frozen):
    """What is known of a model with the settings of its card for a dataset."""

    model: str
    dataset: str
    target: str
    parameters: int | None
    """Trained numbers; None for an estimator."""
    receptive_field: ReceptiveField | None
    """None for a model without a graph, or that is no network."""
    graph: str | None
    """What it is a field of: ``radius 5.0 Å``."""
    training: tuple[TrainingTime, ...] = ()
    """By dataset, target and split."""


def facts_of(model: str, dataset: str | None = None, results: Iterable[Result] | None = None) -> ModelFacts:
    """The facts of a model, given by name or folder, with the settings of its card for a dataset.

    ``dataset`` is the embedded one unless chosen, and then all datasets are in ``training``; ``results`` are the
    published ones unless given. Nothing is trained.

    Raises:
        UnknownNameError: no such model or dataset.
        SpecError: the model predicts none of the dataset's targets.
        CardError: the card or the code cannot be read.
    """
    spec = _spec(model, dataset or Choices.model_fields["dataset"].default)
    kind = model_class(model)
    parameters, reach = None, None
    if issubclass(kind, Model):
        target = dataset_card(spec.dataset).targets[spec.target]
        config, head = kind.Config.model_validate(spec.config), Head(target.level, directed=target.directed)
        with torch.random.fork_rng(devices=[]):
            made = together(lambda: kind(config, head), spec.training.members if spec.training else 1)
        parameters = made.n_parameters
        reach = receptive_field(made, spec)
    found = training_times(model, published(spec.model) if results is None else results)
    return ModelFacts(
        model=spec.model,
        dataset=spec.dataset,
        target=spec.target,
        parameters=parameters,
        receptive_field=reach,
        graph=spec.graph and spec.graph.describe(),
        training=tuple(time for time in found if dataset in (None, time.dataset)),
    )


def receptive_field(model: Model, spec: RunSpec) -> ReceptiveField | None:
    """Of a network built for a spec: hops times cut-off."""
    if spec.graph is None:
        return None
    return ReceptiveField(hops=model.hops, cutoff_angstrom=spec.graph.cutoff)


def published(model: str) -> Iterator[Result]:
    """The results of a model that ship with gbench."""
    for path in sorted(content("leaderboard").glob(f"results/*/{model}/*/{RESULT_FILE}")):
        yield read_result(path.parent)


def training_times(model: str, results: Iterable[Result]) -> list[TrainingTime]:
    """Median seconds of training, by task and split, of a model's runs with the settings that its card has now."""
    seconds = defaultdict[tuple[str, str, str, str, int], list[float]](list)
    usual: dict[tuple[str, str, str], RunSpec | None] = {}
    name = model_card(model).name
    for result in results:
        spec, cost = result.spec, result.cost
        if spec.model != name or cost is None or result.status != "ok":
            continue
        task = (spec.dataset, spec.target, spec.split.scheme)
        if task not in usual:
            usual[task] = _usual(model, *task)
        if _same_settings(model, spec, usual[task]):
            seconds[(*task, cost.device, cost.threads)].append(cost.train_seconds)
    return [
        TrainingTime(
            dataset=dataset, target=target, split=split, device=device, threads=threads,
            seconds=median(found), runs=len(found),
        )
        for (dataset, target, split, device, threads), found in sorted(seconds.items())
    ]  # fmt: skip


def _spec(model: str, dataset: str) -> RunSpec:
    """Of the dataset's default target, or the first that the model has a head for."""
    data, levels = dataset_card(dataset), model_card(model).levels
    targets = [data.default_target, *data.targets]
    fitting = next((target for target in targets if data.targets[target].level in levels), None)
    return resolve(Choices(model=model, dataset=dataset, target=fitting))


def _usual(model: str, dataset: str, target: str, split: str) -> RunSpec | None:
    """What the card would run now; None where that is no longer possible."""
    try:
        return resolve(Choices(model=model, dataset=dataset, target=target, split=split))
    except GbenchError:
        return None


def _same_settings(model: str, spec: RunSpec, usual: RunSpec | None) -> bool:
    if usual is None:
        return False
    config = model_class(model).Config.model_validate
    try:
        # a setting that a spec lacks, because there was none when it was made, has its default
        same = config(spec.config) == config(usual.config)
    except ValidationError:
        return False
    split = spec.split.model_copy(update={"fold": usual.split.fold})
    return same and (spec.graph, spec.training, split) == (usual.graph, usual.training, usual.split)
