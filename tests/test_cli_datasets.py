"""``gbench datasets``: what a person and a program see."""

import json
import re
import shlex
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import ase.io
import pytest
from ase import Atoms
from ase.build import bulk
from rich.console import Console

from gbench import registry
from gbench.archives import tree_sha256
from gbench.cli import main
from gbench.cli.dataset_info import histogram, print_info
from gbench.content import cache_dir, content_root
from gbench.dataset import load
from gbench.errors import FetchError
from gbench.mirror import whereabouts
from gbench.overview import overview
from gbench.periodic_table import SHADES, brief, cells, shade, svg, text
from gbench.registry import dataset_card


class Printed(NamedTuple):
    code: int
    out: str
    err: str


Gbench = Callable[..., Printed]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GBENCH_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    dataset_card.cache_clear()
    yield
    dataset_card.cache_clear()


@pytest.fixture
def gbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gbench:
    """The command, in this process."""

    def call(*arguments: str) -> Printed:
        monkeypatch.setattr(sys, "argv", ["gbench", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return Printed(int(end.value.code or 0), printed.out, printed.err)

    return call


def crystals() -> list[Atoms]:
    """24 rocksalt crystals, each with a label and a method."""
    made = []
    for row, (a, b) in enumerate((a, b) for a in ("Li", "Na", "K", "Mg", "Ca", "Sr") for b in ("F", "Cl", "O", "S")):
        atoms = bulk(a + b, "rocksalt", a=4 + row / 10)
        atoms.info |= {"id": a + b, "e_form": -row / 10, "functional": "PBE" if row else "SCAN"}
        made.append(atoms)
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The files that the guide speaks of."""
    made = crystals()
    ase.io.write(tmp_path / "set.xyz", made, format="extxyz")
    folder = tmp_path / "crystals"
    folder.mkdir()
    for atoms in made:
        ase.io.write(folder / f"{atoms.info['id']}.cif", atoms)
    ids = [atoms.info["id"] for atoms in made]
    (folder / "id_prop.csv").write_text("".join(f"{name},{row / 10}\n" for row, name in enumerate(ids)))
    (folder / "charges.csv").write_text("".join(f"{name},0,{row / 30}\n" for row, name in enumerate(ids)))
    (folder / "hops.csv").write_text(
        "id,i,j,value\n" + "".join(f"{name},0,1,{row / 9}\n" for row, name in enumerate(ids))
    )
    return tmp_path


ADD = (
    "datasets",
    "add",
    "set.xyz",
    "--name",
    "mine",
    "--target",
    "e_form",
    "--unit",
    "eV",
    "--where",
    "functional=PBE",
)


class TestAdd:
    def test_it_says_what_it_read_and_what_comes_next(self, gbench: Gbench, data: Path) -> None:
        done = gbench(*ADD)
        assert done.code == 0
        for fact in ("mine@1   23 crystals, 10 elements, 2 to 2 atoms", "e_form (eV)", "graph, regression"):
            assert fact in done.out
        assert "licence, citation not stated" in done.out
        assert "gbench run --model cgcnn --dataset mine" in done.out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("set.xyz", "--name", "x"), "error: the unit of the target is missing; give --unit"),
            (("nowhere", "--name", "x", "--unit", "1"), "error: nowhere: no such file or folder"),
            (
                ("set.xyz", "--name", "x", "--unit", "1", "--where", "functional"),
                "error: --where functional: write key=",
            ),
            (("set.xyz", "--name", "x", "--unit", "1", "--method", "=PBE"), "error: --method =PBE: write key=value"),
            (
                ("set.xyz", "--name", "x", "--unit", "eV"),
                "error: target 'e_form' mixes calculation methods (functional",
            ),
            (("set.xyz", "--name", "qm9", "--unit", "eV"), "error: --name qm9: gbench has a dataset of that name"),
        ],
    )
    def test_mistakes_end_in_one_sentence_and_code_2(
        self, gbench: Gbench, data: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        done = gbench("datasets", "add", *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(message)
        assert done.err.count("\n") == 1
        assert not (data / "datasets").exists()

    @pytest.mark.parametrize("labels", ["id_prop.csv", "charges.csv", "hops.csv"])
    def test_what_was_added_works_everywhere(self, gbench: Gbench, data: Path, labels: str) -> None:
        level = ("--level", "node") if labels == "charges.csv" else ()
        assert (
            gbench("datasets", "add", "crystals", "-n", "mine", "-t", "y", "-u", "eV", "--labels", labels, *level).code
            == 0
        )
        assert "mine@1" in gbench("datasets", "list").out
        folds = json.loads(gbench("splits", "show", "formula", "--dataset", "mine", "--json").out)
        assert len(folds) == 5
        for model in ("dummy", "cgcnn"):
            run = ["run", "--model", model, "--dataset", "mine", "--no-floors", "--no-tracking", "--json"]
            if model == "cgcnn":
                run += ["--set", "training.epochs=1", "--set", "model.hidden=8"]
            done = gbench(*run)
            assert json.loads(done.out)["status"] == "ok", done.err
        assert gbench("leaderboard", "build").code == 0
        page = (data / "site" / "datasets" / "mine.html").read_text()
        assert "mine@1" in page
        assert gbench("datasets", "verify", "mine").code == 0
        assert gbench("datasets", "remove", "mine").code == 0
        assert "mine@1" not in gbench("datasets", "list").out


def test_the_guides_commands_work(gbench: Gbench, data: Path) -> None:
    guide = content_root() / "docs" / "datasets.md"
    if not guide.is_file():
        pytest.skip("the guide is in the repository")
    blocks = re.findall(r"^```sh\n(.*?)^```", guide.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert len(commands) >= 10
    for words in commands:
        if words[1] == "run":
            words += ["--set", "training.epochs=1", "--set", "model.hidden=8", "--no-floors", "--no-tracking"]
        done = gbench(*words[1:])
        assert done.code == 0, (words, done.err)


class TestList:
    def test_it_says_where_each_would_come_from(self, gbench: Gbench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GBENCH_MIRROR", raising=False)
        listed = {entry["name"]: entry for entry in json.loads(gbench("datasets", "list", "--json").out)}
        assert listed["pbe_prototypes"]["where"] == "here"
        assert listed["matbench_phonons"]["where"] == "download"
        assert "to download" in gbench("datasets", "list").out

    @pytest.mark.parametrize(("width", "licences"), [(80, False), (140, True)])
    def test_no_name_is_cut_on_a_narrow_terminal(
        self, gbench: Gbench, width: int, licences: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = Console(width=width, file=StringIO(), highlight=False, markup=False)
        monkeypatch.setattr("gbench.cli.datasets.console", shown)
        gbench("datasets", "list")
        assert isinstance(shown.file, StringIO)
        out = shown.file.getvalue()
        assert "…" not in out
        assert max(map(len, out.splitlines())) <= width
        assert ("licence" in out) == licences
        for name in registry.dataset_names():
            assert name in out
            assert all(target in out for target in dataset_card(name).targets)

    def test_a_mirror_is_seen(self, mirror: Path) -> None:
        assert whereabouts(dataset_card("matbench_phonons")) == "mirror"


class TestInfo:
    def test_it_shows_sizes_elements_labels_errata_and_origin(self, gbench: Gbench) -> None:
        out = gbench("datasets", "info", "pbe_prototypes").out
        for fact in (
            "828 crystals",
            "2 to 5 each, median 2; 2,118 in all",
            "Å³ per atom",
            "Fe",
            "105",
            "█",
            "Hirshfeld",
        ):
            assert fact in out
        for fact in ("plane waves", "flagged", "33", "CC0-1.0", "Mortensen", "54802d9f7688"):
            assert fact in out

    def test_without_the_data_it_shows_the_card_and_says_so(
        self, gbench: Gbench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GBENCH_MIRROR", raising=False)
        done = gbench("datasets", "info", "matbench_phonons")
        assert done.code == 0
        assert "1,265" in done.out
        assert "not at hand; `gbench datasets pull matbench_phonons` fetches it" in done.out
        assert json.loads(gbench("datasets", "info", "matbench_phonons", "--json").out)["overview"] is None
        refused = gbench("datasets", "info", "matbench_phonons", "--svg", "x.svg")
        assert refused.code == 2
        assert "not at hand" in refused.err

    def test_json_holds_the_counts(self, gbench: Gbench) -> None:
        seen = json.loads(gbench("datasets", "info", "pbe_prototypes", "--json").out)["overview"]
        assert (seen["crystals"], seen["atoms"], len(seen["elements"])) == (828, 2118, 44)
        assert sum(seen["targets"]["hirshfeld"]["histogram"]) == seen["targets"]["hirshfeld"]["labels"] == 2118

    @pytest.mark.parametrize("width", [80, 100, 120, 160])
    def test_lines_are_not_wider_than_the_terminal_and_bars_are_whole(
        self, width: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = Console(width=width, file=StringIO(), highlight=False, markup=False)
        monkeypatch.setattr("gbench.cli.dataset_info.console", shown)
        dataset = load("pbe_prototypes")
        print_info(dataset.card, overview(dataset), "")
        assert isinstance(shown.file, StringIO)
        lines = shown.file.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        for name in dataset.card.targets:
            (line,) = [line for line in lines if line.startswith(name) and "▕" in line]
            assert line.index("▏") - line.index("▕") - 1 in (16, 32)

    def test_bibtex_alone(self, gbench: Gbench) -> None:
        assert gbench("datasets", "info", "pbe_prototypes", "--bibtex").out.startswith("@misc{pbe_prototypes_1,\n")

    def test_the_drawing_is_svg_with_every_element(self, gbench: Gbench, tmp_path: Path) -> None:
        done = gbench("datasets", "info", "pbe_prototypes", "--svg", "elements.svg")
        assert "wrote elements.svg" in done.err
        root = ET.fromstring((tmp_path / "elements.svg").read_text())
        titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
        assert len(titles) == 103
        assert "O: 105" in titles
        assert "Fe: 0" in titles

    def test_labels_that_are_all_alike_are_shown(self, gbench: Gbench, data: Path) -> None:
        (data / "crystals" / "id_prop.csv").write_text("".join(f"{atoms.info['id']},1e300\n" for atoms in crystals()))
        added = gbench("datasets", "add", "crystals", "-n", "flat", "-t", "y", "-u", "eV")
        assert "there is nothing to learn" in added.out
        assert gbench("datasets", "info", "flat").code == 0


class TestPeriodicTable:
    def test_every_element_has_a_place_of_its_own(self) -> None:
        places = {(cell.row, cell.column) for cell in cells()}
        assert len(places) == 103
        assert {(cell.symbol, cell.row, cell.column) for cell in cells()} >= {
            ("H", 0, 0), ("He", 0, 17), ("Fe", 3, 7), ("La", 7, 2), ("Lu", 7, 16), ("Hf", 5, 3), ("Lr", 8, 16),
        }  # fmt: skip

    def test_counts_stand_beside_colours(self) -> None:
        for width, widest in ((80, 72), (120, 108)):
            plain = text({"Fe": 1234, "O": 99_600}, width).plain
            assert max(len(line.rstrip()) for line in plain.splitlines()) <= widest
            assert ("1234" if width > 100 else "1k") in plain

    def test_shades_grow_with_the_count(self) -> None:
        shades = [shade(count, 10_000) for count in (0, 1, 10, 100, 1000, 10_000)]
        assert shades == sorted(shades)
        assert (shades[0], shades[-1]) == (0, SHADES)
        assert shade(1, 1) == SHADES

    @pytest.mark.parametrize(
        ("count", "shown"), [(7, "7"), (999, "999"), (1000, "1k"), (99_499, "99k"), (130_000, ".1M"), (2_000_000, "2M")]
    )
    def test_counts_fit_into_three_characters(self, count: int, shown: str) -> None:
        assert brief(count) == shown

    def test_titles_are_escaped(self) -> None:
        ET.fromstring(svg({}, 'a < b & "c"'))

    def test_a_histogram_shows_every_bin_that_holds_anything(self) -> None:
        assert histogram((0, 1, 1000)) == " ▁█"


class TestPull:
    def test_a_mirror_made_here_serves_a_machine_without_internet(
        self, gbench: Gbench, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = ("pbe_prototypes", "matbench_phonons", "vacancy_migration")
        done = gbench("datasets", "pull", *names, "--to", "copy")
        assert done.code == 0, done.err
        assert "GBENCH_MIRROR=copy" in done.out
        lines = (line.split("  ") for line in (tmp_path / "copy" / "SHA256SUMS").read_text().splitlines())
        sums = {name: digest for digest, name in lines}
        assert sums.keys() == {"matbench_phonons.json.gz", "sandialabs-d2gnn-4ccc2fa.tar.xz"}
        assert sums["matbench_phonons.json.gz"] == dataset_card("matbench_phonons").sources[0].sha256
        monkeypatch.setenv("GBENCH_CACHE", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path / "copy"))
        for name in names:
            assert len(load(name).crystals) == dataset_card(name).crystals

    def test_one_failure_does_not_stop_the_others(
        self, gbench: Gbench, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mirror").mkdir()
        name = "matbench_phonons.json.gz"
        (tmp_path / "mirror" / name).symlink_to(mirror / name)
        (tmp_path / "mirror" / "sandialabs-d2gnn-4ccc2fa.tar.xz").write_bytes(b"rot")
        monkeypatch.setenv("GBENCH_MIRROR", str(tmp_path / "mirror"))
        done = gbench("datasets", "pull", "vacancy_migration", "matbench_phonons", "--to", "copy")
        assert done.code == 2
        assert (tmp_path / "copy" / name).is_file()
        assert done.err.startswith("error: vacancy_migration: ")
        assert done.err.count("\n") == 1
        again = gbench("datasets", "pull", "matbench_phonons", "--to", "copy")
        assert again.code == 0
        assert (tmp_path / "copy" / "SHA256SUMS").read_text().endswith(f"  {name}\n")

    def test_names_or_all(self, gbench: Gbench) -> None:
        for arguments in ((), ("--all", "pbe_prototypes")):
            done = gbench("datasets", "pull", *arguments)
            assert done.code == 2
            assert "or give --all" in done.err
        assert gbench("datasets", "pull", "qm10").err.startswith("error: no dataset 'qm10'; did you mean")


def test_a_broken_card_does_not_hide_the_others(gbench: Gbench, data: Path) -> None:
    gbench(*ADD)
    (data / "datasets" / "mine" / "card.yaml").write_text("name: mine")
    dataset_card.cache_clear()
    done = gbench("datasets", "list")
    assert done.code == 2
    assert "pbe_prototypes@1" in done.out
    assert "mine/card.yaml: key 'version' is missing" in done.err
    assert "DAMAGED" in gbench("datasets", "verify", "mine", "pbe_prototypes").out


class TestVerify:
    def test_what_is_whole_is_ok(self, gbench: Gbench, mirror: Path) -> None:
        done = gbench("datasets", "verify", "pbe_prototypes", "matbench_phonons", "--json")
        assert done.code == 0
        assert {entry["status"] for entry in json.loads(done.out)} == {"ok"}

    def test_a_changed_file_is_damaged(self, gbench: Gbench, data: Path) -> None:
        gbench(*ADD)
        path = data / "datasets" / "mine" / "crystals-1.parquet"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        done = gbench("datasets", "verify", "mine")
        assert done.code == 2
        assert "DAMAGED" in done.out
        assert "crystals-1.parquet: sha256 is" in done.err

    def test_a_changed_card_is_damaged(self, gbench: Gbench, data: Path) -> None:
        gbench(*ADD)
        path = data / "datasets" / "mine" / "card.yaml"
        path.write_text(path.read_text().replace("crystals: 23", "crystals: 24"))
        dataset_card.cache_clear()
        assert "the files hold 23 crystals, the card says 24" in gbench("datasets", "verify", "mine").err

    def test_what_cannot_be_reached_counts_only_when_it_was_named(
        self, gbench: Gbench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise FetchError("nobody is online")

        monkeypatch.delenv("GBENCH_MIRROR", raising=False)
        monkeypatch.setattr("gbench.mirror.fetch_file", unreachable)
        monkeypatch.setattr(registry, "dataset_names", lambda: ["matbench_phonons"])
        everything = gbench("datasets", "verify", "--all")
        assert everything.code == 0
        assert "unreachable here" in everything.out
        named = gbench("datasets", "verify", "matbench_phonons")
        assert named.code == 2
        assert named.err == "error: matbench_phonons: nobody is online\n"


def test_cards_are_yaml_or_croissant_on_stdout_or_in_a_file(gbench: Gbench, tmp_path: Path) -> None:
    plain = gbench("datasets", "card", "pbe_prototypes").out
    assert plain == (content_root() / "datasets" / "pbe_prototypes" / "card.yaml").read_text()
    made = json.loads(gbench("datasets", "card", "pbe_prototypes", "--croissant").out)
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    done = gbench("datasets", "card", "pbe_prototypes", "--croissant", "--out", "card.json")
    assert (done.out, done.err) == ("", "wrote card.json\n")
    assert json.loads((tmp_path / "card.json").read_text()) == made


def test_the_cache_is_left_alone_by_info_and_list(gbench: Gbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GBENCH_MIRROR", raising=False)
    gbench("datasets", "list")
    gbench("datasets", "info", "matbench_phonons")
    assert not cache_dir().exists() or tree_sha256(cache_dir()) == tree_sha256(cache_dir() / "nothing")
