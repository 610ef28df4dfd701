"""Files are verified before anyone sees them, wherever they come from."""

import hashlib
from pathlib import Path

import pytest

from gbench.cards import Source
from gbench.content import cache_dir
from gbench.errors import FetchError
from gbench.fetch import fetch

CONTENT = b"structures and labels"
NOWHERE = "http://127.0.0.1:9/gone.bin"


def source(*urls: str, content: bytes = CONTENT) -> Source:
    return Source(file="data.bin", urls=urls, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GBENCH_MIRROR", raising=False)


def cached_files() -> list[str]:
    return [path.name for path in cache_dir().rglob("*") if path.is_file()]


def test_a_file_beside_the_card_is_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    assert fetch(source(), tmp_path) == tmp_path / "data.bin"


def test_a_damaged_file_beside_the_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(FetchError, match=r"data.bin: sha256 is .* \(20 bytes\), expected .* \(21 bytes\); restore it"):
        fetch(source(), tmp_path)


def test_downloads_are_verified_and_cached(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "data.bin").write_bytes(CONTENT)
    path = fetch(source(NOWHERE, f"{url}/data.bin"), tmp_path)
    assert path.read_bytes() == CONTENT
    (folder / "data.bin").unlink()
    assert fetch(source(f"{url}/data.bin"), tmp_path) == path


def test_a_wrong_download_is_deleted(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "data.bin").write_bytes(b"something else")
    with pytest.raises(FetchError, match=r"data.bin: sha256 is .*expected .*the download was deleted.*GBENCH_MIRROR"):
        fetch(source(f"{url}/data.bin"), tmp_path)
    assert cached_files() == []


def test_a_host_that_delivers_something_else_is_passed_over(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "page.html").write_bytes(b"<html>please log in</html>")
    (folder / "data.bin").write_bytes(CONTENT)
    assert fetch(source(f"{url}/page.html", f"{url}/data.bin"), tmp_path / "card").read_bytes() == CONTENT


def test_without_downloading_no_address_is_asked(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "data.bin").write_bytes(CONTENT)
    with pytest.raises(FetchError, match="there is no address to ask"):
        fetch(source(f"{url}/data.bin"), tmp_path, download=False)
    path = fetch(source(f"{url}/data.bin"), tmp_path)
    assert fetch(source(), tmp_path, download=False) == path


def test_a_mirror_that_is_no_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(FetchError, match="nowhere is not a folder; correct it"):
        fetch(source(NOWHERE), tmp_path)


def test_a_mirror_comes_before_the_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "data.bin").write_bytes(CONTENT)
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path / "mirror"))
    assert fetch(source(NOWHERE), tmp_path).read_bytes() == CONTENT


def test_a_mirror_may_be_an_address(server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, folder = server
    (folder / "data.bin").write_bytes(CONTENT)
    monkeypatch.setenv("GBENCH_MIRROR", url)
    assert fetch(source(), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [CONTENT[:5], b"altered" + CONTENT, b""])
def test_a_damaged_mirror_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "data.bin").write_bytes(damaged)
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(FetchError, match=r"mirror/data.bin: sha256 is .*expected .*replace .* in the mirror"):
        fetch(source(NOWHERE), tmp_path)
    assert cached_files() == []


def test_a_file_that_is_nowhere_says_where_it_was_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path))
    with pytest.raises(
        FetchError,
        match=r"data.bin: the mirror .* lacks it, and it could not be downloaded: .*gone.bin \(ConnectionError\)",
    ):
        fetch(source(NOWHERE), tmp_path / "card")


def test_an_address_that_answers_with_an_error_says_which(server: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"data.bin \(HTTP 404\)"):
        fetch(source(f"{server[0]}/data.bin"), tmp_path / "card")
    assert cached_files() == []


def test_a_damaged_cached_file_is_fetched_anew(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "data.bin").write_bytes(CONTENT)
    path = fetch(source(f"{url}/data.bin"), tmp_path)
    path.write_bytes(b"rot")
    assert fetch(source(f"{url}/data.bin"), tmp_path).read_bytes() == CONTENT
