"""Published datasets, where this machine can have them."""

import pytest

from gbench.dataset import Dataset, load
from gbench.errors import FetchError
from gbench.mirror import whereabouts
from gbench.registry import dataset_card


def loaded(name: str) -> Dataset:
    """The dataset; the test is skipped where its files cannot be had, and fails where those at hand are refused."""
    try:
        return load(name)
    except FetchError as error:
        if whereabouts(dataset_card(name)) in ("here", "mirror"):
            raise
        pytest.skip(f"needs {name}: {error}")
