"""What every model is: a network trained by our loop, or an estimator that fits itself."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.cards import Frozen, Level
from gbench.crystals import Crystals, IntArray, ranges
from gbench.errors import SpecError
from gbench.graphs import Graphs
from gbench.quotient import Sight

FloatArray = NDArray[np.float64]


MOST_ITEMS = 10_000
"""Labelled sites or pairs that an estimator learns from; with more, floors would take long and hardly gain."""


class Head(NamedTuple):
    """What a model is to deliver."""

    level: Level = "graph"
    """One prediction per graph, per atom or per pair of ``Batch.pairs``."""
    outputs: int = 1
    """Numbers per item, one for each target that a network learns; an estimator learns one."""
    directed: bool = False
    """Of an edge head: whether (i, j) and (j, i) may differ."""


class NoConfig(Frozen):
    """A model without settings."""


class Predictor:
    """Common ground of :class:`Model` and :class:`Estimator`."""

    Config: ClassVar[type[Frozen]] = NoConfig
    """Typed, frozen settings; unknown keys are refused."""
    uses_graph: ClassVar[bool] = True
    """Whether it looks at edges; without, a spec has no graph section and batches hold no edge."""


class Model(Predictor, nn.Module, ABC):
    """A network. It is given batches, never targets, split names or test structures."""

    sees: ClassVar[Sight | None] = None
    """``distances``, or distances and ``angles``, if besides elements it sees no more and heeds ``Batch.copies``.
    Training then holds atoms that it cannot tell apart once (:mod:`gbench.quotient`), with the same predictions in a
    fraction of the time."""

    @abstractmethod
    def __init__(self, config: Frozen, head: Head) -> None:
        """Build for one head."""
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """(graphs, outputs), (atoms, outputs) or (pairs, outputs), as the head's level says.

        A graph prediction is intensive, the same for a crystal and its supercell; the training loop makes extensive
        targets of it. For classification it is the logit.
        """

    @abstractmethod
    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Node states (atoms, width), first the input, then after each layer."""

    @property
    def n_parameters(self) -> int:
        """Trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    @abstractmethod
    def hops(self) -> int:
        """Message-passing steps: the nominal receptive field is ``hops`` x cut-off, where there is a graph."""


@dataclass(frozen=True)
class Inputs:
    """What an estimator may look at: structures, and never a label."""

    crystals: Crystals
    graphs: Graphs | None = None

    @classmethod
    def of(cls, crystals: Crystals, graphs: Graphs | None = None) -> "Inputs":
        """Inputs without the labels that ``crystals`` carry."""
        bare = crystals.without_labels()
        return cls(bare, graphs and dataclasses.replace(graphs, crystals=bare))

    def require_graphs(self) -> Graphs:
        """The graphs, for an estimator with ``uses_graph``."""
        if self.graphs is None:
            raise SpecError("this model needs graphs; give its spec a graph section")
        return self.graphs


class Estimator(Predictor, ABC):
    """A model that is fitted in one call: the floors that every network must beat."""

    uses_graph: ClassVar[bool] = False

    def __init__(self, config: Frozen, head: Head, seed: int) -> None:
        self.config, self.head, self.seed = config, head, seed

    @property
    def level(self) -> Level:
        """What labels are about: graphs, atoms or pairs of atoms."""
        return self.head.level

    @abstractmethod
    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Learn from the crystals of ``rows`` and their ``labels``, NaN where missing.

        (rows,), (their atoms,) or (their pairs,), as the level says.
        """

    @abstractmethod
    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(rows,), (their atoms,) or (their pairs,) predictions in the unit of the labels: for classes, of 1."""

    def items(self, crystals: Crystals, rows: IntArray) -> IntArray:
        """What labels of ``rows`` are about, in their order: the rows, their atoms or their pairs."""
        if self.level == "graph":
            return rows
        ptr = crystals.ptr if self.level == "node" else crystals.pair_ptr
        return ranges(ptr[rows], ptr[rows + 1])

    def learned_from(self, labels: FloatArray) -> IntArray:
        """Positions of the labels that are there; of sites or pairs at most ``MOST_ITEMS``, drawn with the seed."""
        known = np.flatnonzero(~np.isnan(labels))
        if self.level == "graph" or len(known) <= MOST_ITEMS:
            return known
        return np.sort(np.random.default_rng(self.seed).choice(known, MOST_ITEMS, replace=False))
