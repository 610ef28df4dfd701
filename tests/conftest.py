"""What tests share: real data, a cache of their own, no tracking server by accident."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gbench.dataset import Dataset, load
from gbench.errors import FetchError


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("GBENCH_DATASETS", str(tmp_path_factory.mktemp("datasets")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="session")
def prototypes() -> Dataset:
    """The embedded dataset."""
    return load("pbe_prototypes")


@pytest.fixture(scope="session")
def phonons() -> Dataset:
    """matbench_phonons, where a mirror or the network has it."""
    try:
        return load("matbench_phonons")
    except FetchError as error:
        pytest.skip(f"needs matbench_phonons: {error}")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of GBENCH_MIRROR."""
    folder = os.environ.get("GBENCH_MIRROR", "")
    if not Path(folder).is_dir() or not folder:
        pytest.skip("needs GBENCH_MIRROR to be a folder")
    return Path(folder)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
