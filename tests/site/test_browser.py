"""The site as a person opens it: from disk, in a real browser."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from site_world import Bench

pytest_plugins = ["site_world"]


def shown_models(browser: "Chrome") -> list[str]:
    cells = browser.find_elements("css selector", "section.task:not([hidden]) tbody:first-of-type th.model a")
    return [cell.text for cell in cells]


def head(browser: "Chrome", name: str) -> "object":
    return browser.find_element(
        "xpath", f"//section[not(@hidden)]//th/button[starts-with(normalize-space(), '{name}')]"
    )


def click(browser: "Chrome", element: object) -> None:
    browser.execute_script("arguments[0].click()", element)


def test_the_site_works_from_disk(bench: "Bench", browser: "Chrome") -> None:
    bench.fill()
    bench.add("<script>document.title = 'owned'</script>", 0.2)
    home = bench.build().as_uri()
    browser.get(home)

    assert len(browser.find_elements("css selector", "section.task:not([hidden])")) == 1
    assert shown_models(browser)[:2] == ["megnet", "cgcnn"]

    click(browser, head(browser, "parameters"))
    hostile, *others = shown_models(browser)
    assert hostile.startswith("<script>")
    assert others == ["trees", "cgcnn", "megnet", "knn", "dummy"], "ascending; those without a number last"
    click(browser, head(browser, "parameters"))
    assert shown_models(browser) == ["megnet", "cgcnn", "trees", hostile, "knn", "dummy"]
    assert browser.find_element("css selector", "th[aria-sort='descending']").text.startswith("parameters")
    click(browser, head(browser, "model"))
    assert shown_models(browser)[1] == "cgcnn"

    task = browser.find_element("id", "task")
    task.send_keys("last_phdos_peak")
    assert browser.current_url.endswith("#matbench_phonons.last_phdos_peak.official")
    assert shown_models(browser)[0] == "megnet"
    assert "1/cm" in browser.find_element("css selector", "section.task:not([hidden]) thead").text

    for page in bench.out.rglob("*.html"):
        browser.get(page.as_uri())
        assert browser.title != "owned"
        assert browser.find_element("css selector", "body").value_of_css_property("max-width") != "none", "styled"
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_no_page_scrolls_sideways_on_a_phone(bench: "Bench", browser: "Chrome") -> None:
    bench.fill()
    bench.add("a_model_with_quite_a_long_name_that_cannot_be_broken_anywhere", 0.2)
    bench.build()
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for page in bench.out.rglob("*.html"):
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, page.name


def test_without_scripts_every_table_is_there(bench: "Bench", browser: "Chrome") -> None:
    bench.fill()
    home = bench.build().as_uri()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(home)
    assert all(section.is_displayed() for section in browser.find_elements("css selector", "section.task"))
    assert not browser.find_element("id", "chooser").is_displayed()
    assert len(browser.find_elements("css selector", "#contents a")) == 3
