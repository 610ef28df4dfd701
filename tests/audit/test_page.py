"""The page of a card, as text and in a real browser."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hand_made import dataset, rocksalt, split

from gbench.audit import Facts, SplitCard, get_card
from gbench.audit.card import Histogram, Points
from gbench.audit.drawing import bars, scatter
from gbench.audit.measure import audit
from gbench.audit.page import render, write_card
from gbench.dataset import Dataset
from gbench.frozen import get_split
from gbench.splitting import make_spec

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="module")
def card(prototypes: Dataset) -> SplitCard:
    spec = make_spec("random")
    return get_card(prototypes, get_split(prototypes, spec), spec, "e_form", "full")


def test_the_page_opens_from_disk(card: SplitCard, browser: "Chrome", tmp_path: Path) -> None:
    page = write_card(card, tmp_path / "audits")
    assert SplitCard.model_validate_json(page.with_suffix(".json").read_text(encoding="utf-8")) == card
    browser.get(page.as_uri())
    assert browser.title.startswith("random split of pbe_prototypes: leak")
    assert (
        "97 % of test crystals have a near-duplicate in train" in browser.find_element("css selector", ".verdict").text
    )
    assert len(browser.find_elements("css selector", "svg.plot")) == 4
    body = browser.find_element("css selector", "body")
    assert body.value_of_css_property("max-width") != "none", "styled"
    fill = browser.find_element("css selector", "svg.plot .bars").value_of_css_property("fill")
    assert fill != "rgb(0, 0, 0)", "the page's own style is allowed by its policy"
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_the_page_needs_no_network_and_runs_no_script(card: SplitCard) -> None:
    text = render(card)
    assert "default-src &#39;none&#39;" in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)


def test_names_are_escaped() -> None:
    records = [rocksalt(f"<script>{row}</script>", 5.0 + row % 2) for row in range(6)]
    card = audit(Facts(dataset(records)), split(range(4), [4, 5]), make_spec("random"), "y", "quick")
    text = render(card)
    assert "<script" not in text
    assert "&lt;script&gt;4" in text
    assert "this is a quick card" in text


def test_drawings_stay_inside_their_frame() -> None:
    flat = Points(train=((0.0, 0.0), (1.0, 0.0)), test=((0.5, 0.0),), explained=(1.0, 0.0))
    drawn = [bars(Histogram(edges=(0.0, 1.0, 2.0), test=(1.0, 0.0), other=(0.5, 0.5))), scatter(flat)]
    for drawing in drawn:
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", drawing.test + drawing.other):
            assert drawing.left - 4 <= float(x) <= drawing.right + 4
            assert drawing.top - 4 <= float(y) <= drawing.bottom + 4
