"""Everything a run needs before a model sees it: data, split, graphs."""

import time
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch

from gbench.audit import Facts, SplitCard, get_card
from gbench.batch import GraphTensors
from gbench.cards import Target
from gbench.crystals import FloatArray, IntArray
from gbench.dataset import Dataset, load
from gbench.elements import counts
from gbench.errors import DataError, SplitError
from gbench.frozen import get_split
from gbench.graphs import Graphs, without_edges
from gbench.held import Held
from gbench.model import Model
from gbench.observer import Observer
from gbench.registry import dataset_card
from gbench.spec import RunSpec
from gbench.splitting import Split
from gbench.task import Task


@dataclass(frozen=True)
class Prepared:
    """All a run needs, loaded."""

    dataset: Dataset
    target: str
    split: Split
    card: SplitCard | None
    """The split, measured; None where nothing may look at test rows."""
    graphs: Graphs | None
    beside: "tuple[Prepared, ...]" = ()
    """The same for each target that is learned together with this one; their splits lack other rows without label."""

    @property
    def together(self) -> "tuple[Prepared, ...]":
        """This one and those beside it, in the order of the network's outputs."""
        return tuple(sorted((self, *self.beside), key=lambda one: one.target))

    @property
    def labels(self) -> FloatArray:
        """(n,), (atoms,) or (pairs,)"""
        return self.dataset.labels(self.target)

    @property
    def about(self) -> Target:
        """What the card says of the target."""
        return self.dataset.card.targets[self.target]

    def items(self, rows: IntArray) -> IntArray:
        """Positions in ``labels`` of the items of these rows, which ascend."""
        return np.flatnonzero(np.isin(self.dataset.row_of_item(self.target), rows))


def prepare(spec: RunSpec, observer: Observer, *, allow_leak: bool = False, held: Held | None = None) -> Prepared:
    """Load the data, make and measure the split, build the graphs; what is ``held`` is not loaded again.

    Raises:
        DataError: the spec names a version that is not the one at hand, or a part has no label.
        SplitError: the split leaks and ``allow_leak`` is false.
    """
    held = held or Held()
    facts = held.get("facts", dataset_card(spec.dataset), lambda: Facts(load(spec.dataset)))
    dataset = facts.dataset
    if spec.version != dataset.card.version:
        raise DataError(
            f"the spec names {spec.dataset}@{spec.version}, this gbench holds version {dataset.card.version}; "
            f"install the gbench that made the spec, or run without --spec"
        )
    observer.data(dataset, spec.target)
    whole = get_split(dataset, spec.split)
    own, *beside = (
        _measured(spec, facts, whole, target, observer, allow_leak=allow_leak) for target in (spec.target, *spec.beside)
    )
    if spec.graph is None:
        return replace(own, beside=tuple(beside))
    started = time.perf_counter()
    with observer.building(len(dataset.crystals)) as built:
        graphs = held.get("graphs", (dataset.sha256, spec.graph), lambda: dataset.graphs(spec.graph, progress=built))
    observer.graphs(graphs, time.perf_counter() - started)
    return replace(own, graphs=graphs, beside=tuple(replace(one, graphs=graphs) for one in beside))


def _measured(
    spec: RunSpec, facts: Facts, whole: Split, target: str, observer: Observer, *, allow_leak: bool
) -> Prepared:
    """What a target's labels leave of the split, measured; without graphs."""
    dataset = facts.dataset
    split = labelled(whole, dataset.labelled_rows(target), target)
    with observer.measuring() as progress:
        card = get_card(facts, split, spec.split, target, progress=progress)
    observer.split(split, card)
    if card.verdict == "leak":
        check_leak(spec, card.why, allow_leak=allow_leak)
    return Prepared(dataset, target, split, card, None)


def check_leak(spec: RunSpec, why: str, *, allow_leak: bool) -> None:
    """Raise SplitError unless leaks are allowed."""
    if allow_leak:
        return
    raise SplitError(
        f"the {spec.split.scheme} split of {spec.dataset} leaks: {why}; choose another (`gbench splits compare "
        f"--dataset {spec.dataset}`), or --allow-leak, and the result carries the mark"
    )


def labelled(split: Split, rows: IntArray, target: str) -> Split:
    """The split without rows that carry no label of the target.

    Raises:
        DataError: a part has no labelled row left.
    """
    parts = [part[np.isin(part, rows)] for part in (split.train, split.val, split.test)]
    for part, name in zip(parts, ("train", "val", "test"), strict=True):
        if not len(part):
            raise DataError(f"no row of the {name} part has a label for {target!r}; choose another target or split")
    train, val, test = parts
    return Split(train, val, test, frozen=split.frozen)


def make_task(
    prepared: Prepared, kind: type[Model], dtype: torch.dtype = torch.float32, held: Held | None = None
) -> Task:
    """The learning task of a kind of network; labels outside train and validation are withheld."""
    graphs = without_edges(prepared.dataset.crystals) if prepared.graphs is None else prepared.graphs
    about, together = prepared.about, prepared.together
    table = torch.as_tensor(counts(prepared.dataset.crystals)) if any(one.about.extensive for one in together) else None
    key = (prepared.dataset.sha256, graphs.spec, kind.sees, dtype)
    return Task(
        tensors=(held or Held()).get("tensors", key, lambda: GraphTensors(graphs, dtype, merge=kind.sees)),
        labels=torch.as_tensor(np.stack([_without_test(one) for one in together], axis=1)),
        level=about.level,
        split=reduce(_union, (one.split for one in together)),
        counts=tuple(table if one.about.extensive else None for one in together),
        classify=about.task == "classification",
    )


def _without_test(prepared: Prepared) -> FloatArray:
    labels = prepared.labels.copy()
    labels[prepared.items(prepared.split.test)] = np.nan
    return labels


def _union(one: Split, other: Split) -> Split:
    """Of one split, what the labels of either of two targets leave."""
    parts = zip((one.train, one.val, one.test), (other.train, other.val, other.test), strict=True)
    train, val, test = (np.union1d(ours, theirs) for ours, theirs in parts)
    return Split(train, val, test, frozen=one.frozen)
