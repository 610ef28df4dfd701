"""The folder as a whole: what it is made from, and how it is put in place."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbench.errors import DataError, StorageError
from gbench.result import RESULT_FILE, write_result
from gbench.site.build import build

if TYPE_CHECKING:
    from site_world import Bench

pytest_plugins = ["site_world"]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def payload(bench: "Bench") -> dict[str, object]:
    found: dict[str, object] = json.loads(bench.page("leaderboard.json"))
    return found


def test_the_same_results_give_the_same_bytes(bench: "Bench") -> None:
    bench.fill()
    bench.build()
    first = tree(bench.out)
    bench.build()
    assert tree(bench.out) == first
    moved = bench.root / "moved"
    bench.local.rename(moved)
    build([moved, bench.verified], bench.root / "other")
    assert tree(bench.root / "other") == first


def test_every_link_within_the_site_leads_somewhere(bench: "Bench") -> None:
    bench.fill()
    bench.build()
    for page in bench.out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r'href="([^"]+)"', text):
            if link.startswith(("http", "data:")):
                continue
            name, _, fragment = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.is_file(), f"{page.name}: {link}"
            assert not fragment or f'id="{fragment}"' in target.read_text(encoding="utf-8"), f"{page.name}: {link}"


def test_no_page_asks_the_network_or_another_file_for_anything(bench: "Bench") -> None:
    bench.fill()
    bench.build()
    for page in bench.out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"\b(src|srcset|action)=|url\(|@import|fetch\(|import\(", text)
        assert "Content-Security-Policy" in text
        assert not re.search(r"""\s(style|on\w+)=["']""", text), "the policy forbids inline styles and handlers"


def test_an_empty_leaderboard_says_how_to_fill_it(bench: "Bench") -> None:
    assert bench.build() == bench.out / "index.html"
    assert "No results yet" in bench.page("index.html")
    found = payload(bench)
    assert (found["schema_version"], found["tables"], found["failed"]) == (1, [], [])
    assert isinstance(found["models"], dict) and "megnet" in found["models"]
    assert (bench.out / "models" / "megnet.html").is_file(), "models are shown before they have results"


def test_a_single_result_is_a_leaderboard(bench: "Bench") -> None:
    bench.add("megnet", 0.083)
    bench.build()
    home = bench.page("index.html")
    assert "0.0830" in home
    assert "one run: bootstrap over its test items" in home
    assert "the order alone" in home


def test_a_folder_that_does_not_exist_holds_no_results(bench: "Bench") -> None:
    build([bench.root / "nowhere"], bench.out)
    assert "No results yet" in bench.page("index.html")


def test_a_run_in_both_folders_counts_once_and_the_verified_copy_wins(bench: "Bench") -> None:
    verified = bench.result(bench.spec("megnet"), 0.083)
    bench.save(verified, bench.verified)
    local = bench.save(bench.result(bench.spec("megnet"), 0.001))
    assert local.run_id == verified.run_id
    for folders in ([bench.verified, bench.local], [bench.local, bench.verified]):
        build(folders, bench.out)
        home = bench.page("index.html")
        assert "0.0830" in home
        assert "0.00100" not in home
        assert "1 scored run ·" in home


@pytest.mark.parametrize("text", ['{"schema_version": 1, "stat', "[]", '{"schema_version": 99}'])
def test_a_corrupt_result_stops_the_build_and_leaves_the_old_site(bench: "Bench", text: str) -> None:
    bench.add("megnet", 0.083)
    bench.build()
    before = tree(bench.out)
    broken = bench.local / "broken" / RESULT_FILE
    broken.parent.mkdir()
    broken.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="broken"):
        bench.build()
    assert tree(bench.out) == before
    assert sorted(path.name for path in bench.root.iterdir() if path.name.startswith(".")) == []


def test_bytes_that_are_not_text_are_a_corrupt_result(bench: "Bench") -> None:
    broken = bench.local / "broken" / RESULT_FILE
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        bench.build()
    assert not bench.out.exists()


def test_a_score_that_is_not_a_number_stops_the_build(bench: "Bench") -> None:
    saved = bench.add("megnet", 0.083)
    path = bench.local / saved.run_id / RESULT_FILE
    path.write_text(re.sub(r'"value": 0\.083', '"value": NaN', path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError, match="metrics.mae.value: Input should be a finite number"):
        bench.build()


def test_a_run_id_cannot_name_a_file_elsewhere(bench: "Bench") -> None:
    result = bench.result(bench.spec("megnet"), 0.083)
    write_result(bench.local / "x", result.model_copy(update={"run_id": "../../escape"}))
    with pytest.raises(DataError, match="12 hexadecimal digits"):
        bench.build()


def test_damaged_predictions_and_history_are_named(bench: "Bench") -> None:
    saved = bench.add("megnet", 0.083)
    history = bench.local / saved.run_id / "history.json"
    history.write_text("[{", encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.json: not valid JSON"):
        bench.build()
    (bench.local / saved.run_id / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"predictions\.parquet: cannot be read"):
        bench.build()


def test_other_files_are_never_replaced(bench: "Bench") -> None:
    bench.out.mkdir()
    (bench.out / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(StorageError, match=r"thesis\.tex"):
        bench.build()
    assert (bench.out / "thesis.tex").read_text(encoding="utf-8") == "years of work"


def test_a_place_that_cannot_be_written_is_a_storage_error(bench: "Bench") -> None:
    (bench.root / "file").write_text("", encoding="utf-8")
    for out in (bench.root / "file", bench.root / "file" / "site", Path("/proc/site")):
        with pytest.raises(StorageError, match="choose"):
            build([], out)


def test_the_payload_holds_every_row(bench: "Bench") -> None:
    bench.fill()
    bench.build()
    found = json.loads(bench.page("leaderboard.json"))
    phonons = next(table for table in found["tables"] if table["dataset"] == "matbench_phonons")
    assert phonons["unit"] == "1/cm"
    assert [(row["model"], row["rank"], row["standing"]) for row in phonons["rows"]] == [
        ("megnet", 1, "ranked"),
        ("cgcnn", 2, "ranked"),
        ("trees", 3, "ranked"),
        ("dummy", None, "reference"),
        ("knn", None, "partial"),
    ]
    assert phonons["rows"][0]["mae"]["value"] == pytest.approx(28.4)
    assert phonons["rows"][0]["skill"] == pytest.approx(1 - 28.4 / 324.0)
    assert len(found["failed"]) == 1
    assert found["models"]["megnet"]["page"] == "models/megnet.html"
    assert found["models"]["megnet"]["card"]["paper"]["title"] == "On megnet"
    for row in phonons["rows"]:
        assert all((bench.out / page).is_file() for page in row["pages"])
