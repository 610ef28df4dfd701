"""The wheel carries the content folders, and the pins cover what the package asks for."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gbench

ROOT = Path(__file__).parents[1]
CONTENT = ("datasets", "splits", "baselines", "benchmarks", "leaderboard")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

USE_THE_WHEEL = """
import json, pickle
import gbench, gbench.registry as registry
from gbench.baselines.dummy import model as dummy

kind = registry.model_class("dummy")
print(json.dumps({
    "file": gbench.__file__,
    "datasets": registry.dataset_names(),
    "models": registry.model_names(),
    "licences": [registry.dataset_card(name).licence for name in registry.dataset_names()],
    "module": dummy.__file__,
    "pickles": pickle.loads(pickle.dumps(kind)) is kind and kind.__module__ == dummy.__name__,
}))
"""


def python(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path, *formats: str) -> Path:
    """The wheel that `python -m build` makes without touching the network."""
    python("-m", "build", "--no-isolation", *formats, "--outdir", str(out), str(source), cwd=out.parent)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as for publication: checkout -> sdist -> wheel."""
    return build(ROOT, tmp_path_factory.mktemp("wheel") / "dist")


def members(wheel: Path) -> dict[str, int]:
    """CRC of each file in a wheel; RECORD lists the others, in an order of its own."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist() if not info.filename.endswith("/RECORD")}


@pytest.mark.xdist_group("wheel")  # one worker, so that it is built once
class TestWheel:
    def test_only_gbench_is_at_the_top(self, wheel: Path) -> None:
        """A top-level ``datasets`` would shadow Hugging Face's."""
        assert {name.split("/")[0] for name in members(wheel)} == {"gbench", f"gbench-{gbench.__version__}.dist-info"}

    @pytest.mark.parametrize("folder", CONTENT)
    def test_every_content_folder_is_inside(self, wheel: Path, folder: str) -> None:
        inside = [name for name in members(wheel) if name.startswith(f"gbench/content/{folder}/")]
        assert inside
        assert not [name for name in inside if "__pycache__" in name]

    def test_content_is_no_package(self, wheel: Path) -> None:
        assert not [n for n in members(wheel) if n.startswith("gbench/content/") and n.endswith("/__init__.py")]

    def test_the_sdist_loses_nothing(self, wheel: Path, tmp_path: Path) -> None:
        assert members(build(ROOT, tmp_path / "direct", "--wheel")) == members(wheel)

    def test_it_works_without_the_checkout(self, wheel: Path, tmp_path: Path) -> None:
        site = tmp_path / "site"
        install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(site), str(wheel))
        python(*install, cwd=tmp_path)
        found = json.loads(python("-c", USE_THE_WHEEL, cwd=tmp_path, PYTHONPATH=str(site)))
        assert Path(found["file"]).is_relative_to(site)
        assert Path(found["module"]).is_relative_to(site / "gbench" / "content")
        assert "pbe_prototypes" in found["datasets"]
        assert "megnet" in found["models"]
        assert found["pickles"]


@pytest.fixture(scope="module")
def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in found}


class TestPins:
    def test_each_pin_is_one_public_release(self, pins: dict[str, Requirement]) -> None:
        for pin in pins.values():
            assert pin.url is None
            assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), pin

    def test_direct_dependencies_are_pinned_within_their_range(self, pins: dict[str, Requirement]) -> None:
        extras = PROJECT["optional-dependencies"]
        for text in PROJECT["dependencies"] + extras["dgl"] + extras["dev"]:
            wanted = Requirement(text)
            (pin,) = pins[canonicalize_name(wanted.name)].specifier
            assert pin.version in wanted.specifier, f"pinned: {wanted.name} {pin.version}"


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == citation["version"] == gbench.__version__
    assert f"## [{gbench.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
