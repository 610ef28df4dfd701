"""Long work shows a bar where somebody sees it, and is silent elsewhere."""

import gzip
import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

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
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}) as shown:
        os.close(theirs)
        seen = b""
        while b"counting [sheep]" not in seen:
            seen += os.read(ours, 1024)
        output, _ = shown.communicate()
    os.close(ours)
    assert output == b""


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


def test_a_download_is_heard_of_byte_by_byte(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GBENCH_MIRROR", raising=False)
    content = bytes(100_000)
    (tmp_path / "data.bin").write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/data.bin"
        source = Source(file="data.bin", urls=(url,), sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        fetch(source, tmp_path / "card")
        server.shutdown()
        thread.join()
    # pooch tells of whole blocks
    assert list(told) == ["downloading data.bin"]
    assert told["downloading data.bin"] >= 1
