"""File names and links for names that anyone may have chosen."""

import hashlib
import re
from typing import Any

from gbench.site.rows import Table

SAFE = re.compile(r"[a-z0-9][a-z0-9_-]*")


def slug(name: str) -> str:
    """A file name for ``name``: itself where that is safe, else its safe letters and a hash.

    Two names never share one, on file systems that ignore case neither.
    """
    if SAFE.fullmatch(name):
        return name
    letters = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:40]
    return f"{letters or 'name'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def model_page(name: str) -> str:
    """Path of a model's page in the site."""
    return f"models/{slug(name)}.html"


def dataset_page(name: str) -> str:
    """Path of a dataset's page in the site."""
    return f"datasets/{slug(name)}.html"


def run_page(run_id: str) -> str:
    """Path of a run's page in the site."""
    return f"runs/{run_id}.html"


def anchor(table: Table) -> str:
    """Identifier of a table on the home page."""
    return ".".join(slug(part) for part in (table.dataset, table.target, table.split_label))


def settings_text(settings: tuple[tuple[str, Any], ...]) -> str:
    """``graph.cutoff 6.0, model.hidden 64``."""
    return ", ".join(f"{key} {'none' if value is None else value}" for key, value in settings)
