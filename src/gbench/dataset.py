"""A dataset: its card and its crystals, verified against each other."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gbench.cards import DatasetCard
from gbench.content import cache_dir
from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.elements import reduced_formulas
from gbench.errors import DataError
from gbench.fetch import fetch
from gbench.graphs import Graphs, cached_graphs
from gbench.neighbors import Progress
from gbench.registry import dataset_card, dataset_folder, loader
from gbench.spec import GraphSpec


@dataclass(frozen=True)
class Dataset:
    """A version of a dataset, loaded."""

    card: DatasetCard
    crystals: Crystals

    @cached_property
    def sha256(self) -> str:
        """Hash of the content, equal to the card's where that names one."""
        return self.card.content_sha256 or self.crystals.sha256()

    @cached_property
    def formulas(self) -> NDArray[np.str_]:
        """(n,) reduced formula of each row."""
        return np.array(reduced_formulas(self.crystals))

    def graphs(self, spec: GraphSpec | None = None, *, progress: Progress | None = None) -> Graphs:
        """The graphs of all crystals, cached on disk; ``progress`` hears how many more are built."""
        return cached_graphs(self.crystals, spec or GraphSpec(), progress=progress)

    def labels(self, target: str | None = None) -> FloatArray:
        """Values of a target: (n,) per crystal, (atoms,) or (pairs,); NaN where missing."""
        return self.crystals.labels(target or self.card.default_target)

    @cached_property
    def row_of_id(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.crystals.ids)}

    def labelled_rows(self, target: str) -> IntArray:
        """Rows that carry at least one label of ``target``."""
        known = ~np.isnan(self.labels(target))
        return np.unique(self.row_of_item(target)[known])

    def row_of_item(self, target: str) -> IntArray:
        """Row of each label of a target: (n,), (atoms,) or (pairs,)."""
        level = self.card.targets[target].level
        if level == "graph":
            return np.arange(len(self.crystals))
        return self.crystals.crystal_of_atom if level == "node" else self.crystals.crystal_of_pair


def load(name: str = "pbe_prototypes", *, download: bool = True) -> Dataset:
    """A dataset by name: fetched and verified on first use, then read from the cache.

    Without ``download`` the network is left alone.

    Raises:
        UnknownNameError: no such dataset.
        CardError: its card breaks the schema.
        FetchError: a source file cannot be had, or is damaged.
        DataError: the content is not what the card says, or holds unusable numbers.
    """
    card = dataset_card(name)
    folder = dataset_folder(name)
    cached = cached_crystals(card)
    crystals = _from_cache(cached, card)
    if crystals is None:
        files = [fetch(source, folder, download=download) for source in card.sources]
        crystals = _without_dropped(loader(name)(files), card)
        _check(crystals, card)
        if files[0].parent != folder:
            crystals.write(cached)
    return Dataset(card, crystals)


def cached_crystals(card: DatasetCard) -> Path:
    """Where the crystals of a dataset lie in the cache, once its source files were read."""
    identity = card.content_sha256 or card.sources[0].identity
    return cache_dir() / "datasets" / f"{card.name}@{card.version}-{identity[:16]}.parquet"


def _from_cache(path: Path, card: DatasetCard) -> Crystals | None:
    """The crystals in the cache, or None if they are not there or not whole."""
    if not path.is_file():
        return None
    try:
        crystals = Crystals.read(path)
    except (pa.ArrowInvalid, OSError, KeyError, ValueError):
        return None
    return crystals if card.content_sha256 in (None, crystals.sha256()) else None


def _without_dropped(crystals: Crystals, card: DatasetCard) -> Crystals:
    """The crystals that the card's errata leave. A loader may have left out what no reader takes."""
    flagged = {name for erratum in card.errata if erratum.action == "flagged" for name in erratum.ids}
    absent = sorted(flagged - set(crystals.ids))
    if absent:
        raise DataError(f"{card.name}: errata name id {absent[0]!r}, which the files do not hold; correct the card")
    if not card.dropped:
        return crystals
    return crystals.take([row for row, name in enumerate(crystals.ids) if name not in card.dropped])


def _check(crystals: Crystals, card: DatasetCard) -> None:
    crystals.check()
    by_level = {"graph": crystals.graph_targets, "node": crystals.node_targets, "edge": crystals.edge_targets}
    held = {f"{name} ({level})" for level, targets in by_level.items() for name in targets}
    said = {f"{name} ({target.level})" for name, target in card.targets.items()}
    if held != said:
        raise DataError(f"{card.name}: the files hold targets {sorted(held)}, the card says {sorted(said)}")
    if len(crystals) != card.crystals:
        raise DataError(f"{card.name}: the files hold {len(crystals)} crystals, the card says {card.crystals}")
    for name in (name for name, target in card.targets.items() if target.task == "classification"):
        labels = crystals.labels(name)
        other = labels[~np.isnan(labels) & ~np.isin(labels, (0, 1))]
        if len(other):
            raise DataError(f"{card.name}: {name} is a class, 0 or 1, but the files hold {other[0]:g}; mend the labels")
    found = crystals.sha256()
    if card.content_sha256 is not None and found != card.content_sha256:
        raise DataError(
            f"{card.name}@{card.version}: content hash is {found[:12]}..., the card says "
            f"{card.content_sha256[:12]}...; a version never changes: give changed data a new version"
        )
