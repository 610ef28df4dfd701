"""Archives are unpacked whole or not at all, and never outside of their folder."""

import errno
import io
import resource
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbench.archives import tree_sha256, unpack
from gbench.cards import GitHubTree, Source
from gbench.content import cache_dir
from gbench.errors import FetchError, GbenchError, StorageError
from gbench.fetch import fetch

FILES = {"data/a.cif": b"one", "data/b.cif": b"two", "data/labels.csv": b"a,1\nb,2\n", "README": b"not data"}
WANTED = ("*.cif", "labels.csv")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path))


def tar(path: Path, files: Mapping[str, bytes] = FILES, *others: tarfile.TarInfo, mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in others:
            archive.addfile(entry)
    return path


def zipped(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return entry


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refused(archive: Path, match: str, kind: type[GbenchError] = FetchError) -> None:
    """The archive is refused in one sentence, and no trace of it is left."""
    out = archive.parent / "out"
    with pytest.raises(kind, match=match) as caught:
        unpack(archive, out / "members", WANTED, ("data",))
    assert "\n" not in str(caught.value)
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz", "zip"])
def test_wanted_members_are_unpacked_and_others_are_not(tmp_path: Path, mode: str) -> None:
    archive = zipped(tmp_path / "x") if mode == "zip" else tar(tmp_path / "x", mode=mode)
    unpack(archive, tmp_path / "out", WANTED, ("data",))
    assert left(tmp_path / "out") == ["a.cif", "b.cif", "labels.csv"]
    assert (tmp_path / "out" / "b.cif").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) & stat.S_IRUSR


def test_the_tree_hash_is_that_of_the_shell(tmp_path: Path) -> None:
    unpack(tar(tmp_path / "x"), tmp_path / "out", WANTED, ("data",))
    done = subprocess.run(
        "sha256sum *.cif | sha256sum", shell=True, cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert tree_sha256(tmp_path / "out", "*.cif") == done.stdout.split()[0]


@pytest.mark.parametrize(
    "name", ["../evil.cif", "data/../../evil.cif", "/tmp/evil.cif", "data\\..\\..\\evil.cif", "C:/a.cif"]
)
@pytest.mark.parametrize("pack", [tar, zipped])
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str, pack: Callable[..., Path]) -> None:
    refused(pack(tmp_path / "x", FILES | {name: b"evil"}), "leads out of the archive; refused")
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    "entry",
    [
        link("data/c.cif", "/etc/hostname"),
        link("data/c.cif", "data/a.cif", tarfile.LNKTYPE),
        link("data/c.cif", "", tarfile.FIFOTYPE),
        link("data/c.cif", "", tarfile.CHRTYPE),
    ],
    ids=["symbolic", "hard", "pipe", "device"],
)
def test_links_and_devices_are_refused(tmp_path: Path, entry: tarfile.TarInfo) -> None:
    refused(tar(tmp_path / "x", FILES, entry), "'data/c.cif' is a link or device, which data never needs; refused")


def test_links_in_zips_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x")
    entry = zipfile.ZipInfo("data/c.cif")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "/etc/hostname")
    refused(path, "'data/c.cif' is a link or device")


def test_links_elsewhere_in_an_archive_are_passed_over(tmp_path: Path) -> None:
    unpack(tar(tmp_path / "x", FILES, link("docs", "data")), tmp_path / "out", WANTED, ("data",))
    assert left(tmp_path / "out") == ["a.cif", "b.cif", "labels.csv"]


def test_a_member_behind_a_link_stays_inside(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w:xz") as archive:
        archive.addfile(link("data/sub", str(tmp_path)))
        entry = tarfile.TarInfo("data/sub/evil.cif")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    unpack(tmp_path / "x", tmp_path / "out", ("*.cif",), ("data",))
    assert left(tmp_path / "out") == ["sub/evil.cif"]
    assert not (tmp_path / "evil.cif").exists()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_archives_are_refused(tmp_path: Path, mode: str, share: float) -> None:
    noise = bytes(range(256)) * 400
    path = tar(
        tmp_path / "x",
        {name: bytes(i ^ len(name) for i in noise) + content for name, content in FILES.items()},
        mode=mode,
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "the archive is truncated or damaged .*; delete it and fetch it again")


def test_truncated_zips_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x")
    path.write_bytes(path.read_bytes()[:-30])
    refused(path, "truncated or damaged")


def test_archives_without_what_the_card_names_are_refused(tmp_path: Path) -> None:
    refused(tar(tmp_path / "x", {"data/a.cif": b""}), "holds no labels.csv; the archive is not the one on the card")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar(tmp_path / "x")

    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(path, r"out: cannot write \(No space left on device\); set GBENCH_CACHE", StorageError)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 64 kB: the system's own refusal, as a full disk's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_member_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tar(tmp_path / "x", {"data/a.cif": b"a" * 2**20, "data/labels.csv": b""})
    request.getfixturevalue("small_files")
    refused(path, r"out: cannot write \(File too large\)", StorageError)


def test_a_download_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    content = bytes(2**20)
    (tmp_path / "big.bin").write_bytes(content)
    request.getfixturevalue("small_files")
    source = Source(
        file="big.bin", sha256="30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58", size=2**20
    )
    with pytest.raises(StorageError, match=r"cannot write \(File too large\); set GBENCH_CACHE to another folder"):
        fetch(source, tmp_path / "card")
    assert left(cache_dir()) == []


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write \(File exists\); set GBENCH_CACHE"):
        unpack(tar(tmp_path / "x"), tmp_path / "file" / "members", WANTED, ("data",))


def tree(tmp_path: Path, tree_hash: str) -> Source:
    return Source(
        file="owner-repo.tar.xz",
        github=GitHubTree(repo="owner/repo", commit=COMMIT),
        tree_sha256=tree_hash,
        root="data",
        members=WANTED,
    )


def right_hash(tmp_path: Path) -> str:
    unpack(tar(tmp_path / "right"), tmp_path / "unpacked", WANTED, ("data",))
    return tree_sha256(tmp_path / "unpacked")


@pytest.mark.parametrize("top", ["", f"repo-{COMMIT}/"])
def test_a_tree_is_verified_by_its_members(tmp_path: Path, top: str) -> None:
    tar(tmp_path / "owner-repo.tar.xz", {top + name: content for name, content in FILES.items()})
    assert left(fetch(tree(tmp_path, right_hash(tmp_path)), tmp_path)) == ["a.cif", "b.cif", "labels.csv"]


def test_a_tree_that_was_altered_is_refused_and_forgotten(tmp_path: Path) -> None:
    source = tree(tmp_path, right_hash(tmp_path))
    tar(tmp_path / "owner-repo.tar.xz", FILES | {"data/a.cif": b"three"})
    said = (
        r"owner-repo.tar.xz: the tree hash of its members is .*, expected .*; replace .*owner-repo.tar.xz in the mirror"
    )
    with pytest.raises(FetchError, match=said):
        fetch(source, tmp_path / "card")
    assert left(cache_dir()) == []


def test_a_damaged_unpacked_tree_is_unpacked_anew(tmp_path: Path) -> None:
    source = tree(tmp_path, right_hash(tmp_path))
    tar(tmp_path / "owner-repo.tar.xz")
    folder = fetch(source, tmp_path / "card")
    (folder / "a.cif").write_bytes(b"rot")
    assert (fetch(source, tmp_path / "card") / "a.cif").read_bytes() == b"one"


def test_a_truncated_tree_in_the_mirror_is_refused_and_forgotten(tmp_path: Path) -> None:
    source = tree(tmp_path, right_hash(tmp_path))
    path = tar(tmp_path / "owner-repo.tar.xz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FetchError, match=r"truncated or damaged .*; replace .*/owner-repo.tar.xz in the mirror"):
        fetch(source, tmp_path / "card")
    assert left(cache_dir()) == []


def test_a_truncated_tree_beside_its_card_stays_and_says_what_to_do(tmp_path: Path) -> None:
    source = tree(tmp_path, right_hash(tmp_path))
    path = tar(tmp_path / "owner-repo.tar.xz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FetchError, match=r"truncated or damaged .*; restore it from version control"):
        fetch(source, tmp_path)
    assert path.is_file()


def test_a_mirror_that_lacks_the_tree_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"owner-repo.tar.xz: the mirror .* lacks it"):
        fetch(tree(tmp_path, "0" * 64), tmp_path / "card", download=False)


def test_a_zip_of_a_version_that_there_is_not_is_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99
    path.write_bytes(content)
    with pytest.raises(FetchError, match=r"truncated or damaged \(zip file version 9.9\); delete it"):
        unpack(path, tmp_path / "out", WANTED, ("data",))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(["w:", "w:gz", "w:xz", "zip"]),
    at=st.floats(0, 1, exclude_max=True),
    noise=st.binary(min_size=1, max_size=30),
    cut=st.booleans(),
)
def test_any_damage_is_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, mode: str, at: float, noise: bytes, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = zipped(folder / "x") if mode == "zip" else tar(folder / "x", mode=mode)
    whole = path.read_bytes()
    where = int(len(whole) * at)
    path.write_bytes(whole[:where] + noise + (b"" if cut else whole[where + len(noise) :]))
    try:
        unpack(path, folder / "out", WANTED, ("data",))
    except GbenchError as error:
        assert "\n" not in str(error)
        assert not (folder / "out").exists()
    assert {entry.name for entry in folder.iterdir()} <= {"x", "out"}
