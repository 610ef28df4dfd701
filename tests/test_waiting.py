"""Long work shows a bar where somebody sees it, and is silent elsewhere."""

import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from terminal import waits_for

from gbench.cards import Source
from gbench.fetch import fetch
from gbench.reading.pymatgen_json import read_table

SCRIPT = """
from gbench.waiting import bar
for total in (2, None):
    with bar("counting [sheep]", total) as advance:
        advance(1)
        advance(1)
"""


def test_a_terminal_gets_a_bar_and_a_pipe_nothing() -> None:
    command = [sys.executable, "-c", SCRIPT]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stdout == piped.stderr == b""
    assert waits_for(command, b"counting [sheep]") == b""


Told = dict[str, float]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What each bar was told, as a share of its total."""
    shares: Told = {}

    @contextmanager
    def bar(what: str, total: float | None) -> Iterator[Callable[[float], object]]:
        shares[what] = 0.0

        def advance(more: float) -> None:
            shares[what] += more / (total or 1)

        yield advance

    for module in ("fetch", "reading.pymatgen_json"):
        monkeypatch.setattr(f"gbench.{module}.bar", bar)
    return shares


def test_a_packed_table_is_read_to_its_end(told: Told, tmp_path: Path) -> None:
    site = {"species": [{"element": "Fe", "occu": 1}], "abc": [0, 0, 0], "label": "Fe"}
    structure = {"lattice": {"matrix": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}, "sites": [site]}
    rows = [[structure, row] for row in range(50)]
    path = tmp_path / "table.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"columns": ["structure", "y"], "data": rows}).encode()))
    assert len(read_table(path, "row-{}", "y", "y")) == 50
    assert told == {"reading table.json.gz": 1.0}


def test_a_download_is_heard_of_byte_by_byte(
    told: Told, server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GBENCH_MIRROR", raising=False)
    content = bytes(100_000)
    url, folder = server
    (folder / "data.bin").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    fetch(Source(file="data.bin", urls=(f"{url}/data.bin",), sha256=sha256, size=len(content)), tmp_path / "card")
    # pooch tells of whole blocks
    assert list(told) == ["downloading data.bin"]
    assert told["downloading data.bin"] >= 1
