"""A dataset: its card and its crystals, verified against each other."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from gbench.cards import DatasetCard
from gbench.content import cache_dir, content
from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.errors import DataError
from gbench.fetch import fetch
from gbench.graphs import Graphs, cached_graphs
from gbench.registry import dataset_card, loader
from gbench.spec import GraphSpec


@dataclass(frozen=True)
class Dataset:
    """A version of a dataset, loaded."""

    card: DatasetCard
    crystals: Crystals

    @property
    def sha256(self) -> str:
        """Hash of the content, equal to the card's."""
        return self.card.content_sha256

    def graphs(self, spec: GraphSpec | None = None) -> Graphs:
        """The graphs of all crystals, cached on disk."""
        return cached_graphs(self.crystals, spec or GraphSpec())

    def labels(self, target: str | None = None) -> FloatArray:
        """Values of a target: (n,) per crystal, or (atoms,) for a node target; NaN where missing."""
        return self.crystals.labels(target or self.card.default_target)

    @cached_property
    def row_of_id(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.crystals.ids)}

    def labelled_rows(self, target: str) -> IntArray:
        """Rows that carry at least one label of ``target``."""
        import numpy as np

        known = ~np.isnan(self.labels(target))
        if self.card.targets[target].level == "node":
            return np.unique(self.crystals.crystal_of_atom[known])
        return np.flatnonzero(known)


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
    folder = content("datasets") / name
    cached = cache_dir() / "datasets" / f"{name}@{card.version}-{card.content_sha256[:16]}.parquet"
    crystals = _from_cache(cached, card)
    if crystals is None:
        files = [fetch(source, folder, download=download) for source in card.sources]
        crystals = loader(name)(files)
        _check(crystals, card)
        if files[0].parent != folder:
            crystals.write(cached)
    return Dataset(card, crystals)


def _from_cache(path: Path, card: DatasetCard) -> Crystals | None:
    """The crystals in the cache, or None if they are not there or not whole."""
    if not path.is_file():
        return None
    try:
        crystals = Crystals.read(path)
    except (pa.ArrowInvalid, OSError, KeyError, ValueError):
        return None
    return crystals if crystals.sha256() == card.content_sha256 else None


def _check(crystals: Crystals, card: DatasetCard) -> None:
    crystals.check()
    names = set(crystals.graph_targets) | set(crystals.node_targets)
    if names != set(card.targets):
        raise DataError(f"{card.name}: the files hold targets {sorted(names)}, the card says {sorted(card.targets)}")
    if len(crystals) != card.crystals:
        raise DataError(f"{card.name}: the files hold {len(crystals)} crystals, the card says {card.crystals}")
    found = crystals.sha256()
    if found != card.content_sha256:
        raise DataError(
            f"{card.name}@{card.version}: content hash is {found[:12]}..., the card says "
            f"{card.content_sha256[:12]}...; a version never changes: give changed data a new version"
        )
