"""Where content and caches lie: the five content folders, and the user's cache."""

import os
from functools import cache
from pathlib import Path

import platformdirs


@cache
def content_root() -> Path:
    """The folder that holds ``datasets/ splits/ baselines/ benchmarks/ leaderboard/``.

    Inside a wheel it is ``gbench/content``; in a checkout, the root of the repository.
    """
    package = Path(__file__).parent
    packed = package / "content"
    return packed if packed.is_dir() else package.parents[1]


def content(folder: str) -> Path:
    """One content folder, e.g. ``content("baselines")``."""
    return content_root() / folder


def entries(folder: str) -> list[str]:
    """Sorted names of the entries of a content folder: the folders that hold a ``card.yaml``."""
    return sorted(path.parent.name for path in content(folder).glob("*/card.yaml"))


def user_datasets() -> Path:
    """Where datasets that a user adds lie: ``$GBENCH_DATASETS``, or the platform's folder for a user's data."""
    chosen = os.environ.get("GBENCH_DATASETS")
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("gbench", appauthor=False)) / "datasets"


def cache_dir() -> Path:
    """The user's cache folder: ``$GBENCH_CACHE``, or the platform's own."""
    chosen = os.environ.get("GBENCH_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("gbench", appauthor=False))
