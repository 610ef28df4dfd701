"""What tests share: real data, a cache of their own, no tracking server by accident."""

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from available import loaded
from layers import LayerInput, layer_input

from gbench.dataset import Dataset, load
from gbench.registry import dataset_card

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("GBENCH_DATASETS", str(tmp_path_factory.mktemp("datasets")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Added datasets and the cache in folders of the test's own."""
    monkeypatch.setenv("GBENCH_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    dataset_card.cache_clear()
    yield
    dataset_card.cache_clear()


@pytest.fixture(scope="session")
def prototypes() -> Dataset:
    """The embedded dataset."""
    return load("pbe_prototypes")


@pytest.fixture(scope="session")
def given(prototypes: Dataset) -> LayerInput:
    """What a layer is given."""
    return layer_input(prototypes)


@pytest.fixture(scope="session")
def phonons() -> Dataset:
    """matbench_phonons, where a mirror or the network has it."""
    return loaded("matbench_phonons")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of GBENCH_MIRROR."""
    folder = os.environ.get("GBENCH_MIRROR", "")
    if not Path(folder).is_dir() or not folder:
        pytest.skip("needs GBENCH_MIRROR to be a folder")
    return Path(folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real HTTP server on loopback and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", folder
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def browser(tmp_path: Path) -> "Iterator[Chrome]":
    """A headless Chromium with an empty profile."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install -e '.[dev]')")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no chromium with chromedriver on this machine (Debian: apt install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    profile = tmp_path / "profile"
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield opened
    opened.quit()
