"""What the pages say, and what they must not."""

import itertools
import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from gbench.choices import parse_overrides
from gbench.commands import full_command
from gbench.content import content
from gbench.result import Result, write_predictions
from gbench.site.names import slug

if TYPE_CHECKING:
    from site_world import Bench

pytest_plugins = ["site_world"]

HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("dropped", "flagged", "words"),
    [(9, 10, "9 dropped, 10 flagged of 49 rows"), (0, 1200, "1,200 flagged of 40 rows"), (0, 0, "")],
)
def test_errata_of_the_dataset_stand_on_the_page_of_a_run(
    bench: "Bench", dropped: int, flagged: int, words: str
) -> None:
    result = bench.result(bench.spec("megnet"), 0.083)
    assert result.dataset is not None
    data = result.dataset.model_copy(update={"dropped": dropped, "flagged": flagged})
    saved = bench.save(result.model_copy(update={"dataset": data}))
    bench.build()
    page = bench.page(f"runs/{saved.run_id}.html")
    assert (f"<dt>errata</dt><dd>{words};" in page) if words else ("errata" not in page)


def test_cost_stands_on_the_page_of_a_run_and_beside_the_seconds_of_a_row(bench: "Bench") -> None:
    saved = bench.add("megnet", 0.083)
    bench.build()
    page = bench.page(f"runs/{saved.run_id}.html")
    for fact in ("25.4 s, 48.2 s of processor time", "590 crystals/s", "4,321 crystals/s", "7,650 GFLOP", "512 MB"):
        assert f"<dd>{fact}" in page
    assert 'title="48.2 s of processor time">25.4<' in bench.page("index.html")
    assert json.loads(bench.page("leaderboard.json"))["tables"][0]["rows"][0]["train_cpu_seconds"] == 48.2


def test_a_result_of_before_has_less_of_a_cost(bench: "Bench") -> None:
    result = bench.result(bench.spec("megnet"), 0.083)
    assert result.cost is not None
    later = ("train_cpu_seconds", "train_crystals_per_second", "predict_crystals_per_second", "train_flops")
    saved = bench.save(result.model_copy(update={"cost": result.cost.model_copy(update=dict.fromkeys(later))}))
    bench.build()
    page = bench.page(f"runs/{saved.run_id}.html")
    assert "<dd>25.4 s</dd>" in page
    assert "processor" not in page + bench.page("index.html")
    assert "crystals/s" not in page and "GFLOP" not in page


def test_a_script_in_a_name_is_inert(bench: "Bench") -> None:
    bench.add(HOSTILE, 0.1, config={'"><img src=x onerror=alert(1)>': HOSTILE}, target="e_form")
    bench.fail(HOSTILE, f"{HOSTILE} broke")
    bench.build()
    pages = list(bench.out.rglob("*.html"))
    assert any("&lt;script&gt;alert(1)" in page.read_text(encoding="utf-8") for page in pages)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.count("<script>") == 1, "the only script is our own"
        assert "<img" not in text


def test_a_card_cannot_smuggle_a_script_into_a_link(bench: "Bench") -> None:
    paper = {"title": "T", "authors": "A", "year": 2020, "url": "javascript:alert(1)"}
    bench.add_model("sly", paper=paper)
    bench.build()
    assert "javascript:" not in bench.page("models/sly.html")


@pytest.mark.parametrize("name", ["../../etc/passwd", "CON", "MEGNet", "a/b", "<b>", "ünïcode", "", "."])
def test_any_name_is_a_safe_file_name_of_its_own(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", slug(name))
    assert slug(name) != slug(name + " ")
    assert slug("MEGNet") != slug("megnet")


def test_a_failed_run_is_listed_and_never_scored(bench: "Bench") -> None:
    bench.add("megnet", 0.083)
    failed = bench.fail("cgcnn", "the loss became NaN")
    bench.build()
    home = bench.page("index.html")
    assert "the loss became NaN" in home
    assert "cgcnn" not in home[: home.index('id="models"')]
    assert "Traceback" in bench.page(f"runs/{failed.run_id}.html")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("version", "0", "version 0, current is 1"), ("sha256", "0" * 64, "content 00000000"), ("unit", "meV", "in meV")],
)
def test_a_result_on_other_data_is_stale_and_not_ranked(bench: "Bench", field: str, value: str, words: str) -> None:
    bench.add("cgcnn", 0.091)
    spec = bench.spec("megnet", version=value if field == "version" else "1")
    result = bench.result(spec, 0.001)
    assert result.dataset is not None
    changed = result.dataset.model_copy(update={field: value})
    stale = bench.save(result.model_copy(update={"dataset": changed}))
    bench.build()
    home = bench.page("index.html")
    assert home.index("cgcnn") < home.index("not comparable, not ranked") < home.index("stale: ")
    assert f"stale: {words}" in home
    page = bench.page(f"runs/{stale.run_id}.html")
    assert "Not ranked." in page
    assert "not the current version" in page


def test_a_score_its_predictions_contradict_is_not_ranked(bench: "Bench") -> None:
    bench.add("cgcnn", 0.091)
    saved = bench.add("megnet", 0.083)
    honest = bench.predictions(saved)
    honest["prediction"] += 1.0
    write_predictions(bench.local / saved.run_id, honest)
    bench.build()
    assert "recorded MAE 0.083, but its predictions give" in bench.page("index.html")
    assert "Not ranked." in bench.page(f"runs/{saved.run_id}.html")


def test_predictions_for_unknown_crystals_are_a_contradiction(bench: "Bench") -> None:
    saved = bench.add("megnet", 0.083)
    strangers = bench.predictions(saved).assign(id="nobody")
    write_predictions(bench.local / saved.run_id, strangers)
    bench.build()
    assert "ids or sites that the dataset does not have" in bench.page("index.html")


def test_a_result_without_predictions_is_only_reported(bench: "Bench") -> None:
    saved = bench.save(bench.result(bench.spec("megnet"), 0.083), predictions=False)
    bench.build()
    assert ">recomputed</span>" not in bench.page("index.html")
    assert ">reported</span>" in bench.page("index.html")
    assert "no predictions lie beside the result" in bench.page(f"runs/{saved.run_id}.html")


def test_targets_per_site_are_drawn_too(bench: "Bench") -> None:
    saved = bench.add("cgcnn", 0.02, target="hirshfeld")
    bench.build()
    page = bench.page(f"runs/{saved.run_id}.html")
    assert "All 6 test items" in page
    assert "Not ranked." not in page


def test_labels_that_cannot_be_had_cost_the_parity_plot_only(bench: "Bench") -> None:
    saved = bench.add("megnet", 28.4, "official")
    bench.build()
    page = bench.page(f"runs/{saved.run_id}.html")
    assert "No parity plot: the labels of matbench_phonons could not be loaded" in page
    assert "Validation MAE, 1/cm" in page


def test_a_model_without_a_card_is_shown_by_name(bench: "Bench") -> None:
    bench.add("their_model", 0.1)
    bench.build()
    assert "their_model" in bench.page("index.html")
    assert "no card for their_model" in bench.page("models/their_model.html")


def test_some_folds_only_is_said_in_words(bench: "Bench") -> None:
    bench.fill()
    bench.build()
    assert "2 of 5 folds" in bench.page("index.html")
    assert "not ranked: 2 of 5 folds" in bench.page("models/knn.html")


def test_a_run_page_holds_its_evidence(bench: "Bench") -> None:
    saved = bench.add("megnet", 0.083)
    bench.build()
    page = bench.page(f"runs/{saved.run_id}.html")
    assert saved.dataset is not None
    assert saved.split is not None
    assert saved.graph is not None
    for fact in (saved.dataset.sha256, saved.split.sha256, saved.graph.sha256, "0.0706 to 0.0954", "2.13.0", "512 MB"):
        assert fact in page
    assert f"gbench run --spec {saved.run_id}" in page
    assert "All 6 test items" in page


def test_card_facts_are_shown(bench: "Bench") -> None:
    bench.build()
    dataset, model = bench.page("datasets/pbe_prototypes.html"), bench.page("models/megnet.html")
    for fact in ("CC0-1.0", "doi:10.1000/182", "Three volumes", "did not converge", "pbe-900", "GPAW", "per site"):
        assert fact in dataset
    for fact in ("On megnet", "MIT", "permutation, rotation", "graph and node level"):
        assert fact in model


def test_the_price_of_a_harder_split_is_shown(bench: "Bench") -> None:
    bench.add("trees", 0.1, "random")
    bench.add("trees", 0.45, "cluster")
    bench.build()
    home = bench.page("index.html")
    assert "cluster ÷ random" in home
    assert ">4.5</td>" in home


def test_a_graph_warning_stands_beside_the_model(bench: "Bench") -> None:
    result = bench.result(bench.spec("megnet"), 0.083)
    assert result.graph is not None
    graph = result.graph.model_copy(update={"warnings": ("12 shells were cut",)})
    bench.save(result.model_copy(update={"graph": graph}))
    bench.build()
    assert "⚠ 12 shells were cut" in bench.page("index.html")


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "paper"),
        ("soft", "paper"),
        ("accent", "paper"),
        ("soft", "wash"),
        ("accent", "accent-wash"),
        ("warn", "warn-wash"),
    ],
)
def test_text_stands_out_from_its_ground(scheme: int, text: str, ground: str) -> None:
    """WCAG AA: 4.5 to 1."""
    style = (content("leaderboard") / "templates" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style.split(":root")[scheme + 1]))
    light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def sections(spec: Result) -> dict[str, object]:
    run = spec.spec
    parts = {"split": run.split.model_dump(mode="json", exclude={"scheme", "fold"}), "model": run.config}
    parts |= {"graph": run.graph.model_dump(mode="json") if run.graph else {}}
    parts |= {"training": run.training.model_dump(mode="json") if run.training else {}}
    return {f"{section}.{key}": value for section, part in parts.items() for key, value in part.items()}


def test_the_full_command_spells_out_every_setting(bench: "Bench") -> None:
    config = {"hidden": 64, "rate": 1e-5, "act": "soft plus", "sizes": [1, 2], "off": None, "yes": "true"}
    result = bench.result(bench.spec("megnet", fold=3, seed=2, config=config), 0.1)
    words = shlex.split(full_command(result.spec))
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    assert (flags["--model"], flags["--split"], flags["--fold"], flags["--seed"]) == ("megnet", "cluster", "3", "2")
    given = [word for flag, word in itertools.pairwise(words) if flag == "--set"]
    assert parse_overrides(given) == sections(result)


def test_a_split_that_leaks_is_marked_on_every_page_that_shows_it(bench: "Bench") -> None:
    why = "97 % of test crystals have a near-duplicate in train"
    result = bench.result(bench.spec("trees", "random"), 0.1)
    assert result.split is not None
    marked = result.split.model_copy(update={"verdict": "leak", "why": why})
    saved = bench.save(result.model_copy(update={"split": marked}))
    bench.build()
    home = bench.page("index.html")
    assert f"<b>Marked.</b> Measured: leak in 1 of 1 folds; fold 0: {why}." in home
    assert home.count("Marked.") == 1
    payload = json.loads(bench.page("leaderboard.json"))
    table = next(table for table in payload["tables"] if table["split"]["scheme"] == "random")
    assert table["leaks"] is True
    assert f"<b>Marked.</b> The split was measured: leak, {why}." in bench.page(f"runs/{saved.run_id}.html")
