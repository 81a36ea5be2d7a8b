"""The page in a real browser: silent, offline, usable with mouse, keyboard and screen reader."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.app.report.compare import compare_page
from mien.app.report.gather import gather
from mien.app.report.render import report, write_pdf
from report_runs import make_run

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(whole_run: Path, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The English page on a wide screen; whatever it says or asks for is kept."""
    out = tmp_path_factory.mktemp("page") / "en.html"
    report(gather(whole_run), out)
    opened, _ = watched(browser, out)
    yield opened
    opened.close()


def watched(browser: Any, file: Path, **options: Any) -> tuple[Any, list[str]]:
    """A page, and what it said on the console or asked of the network."""
    opened = browser.new_page(**options)
    heard: list[str] = []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else heard.append(request.url)
        ),
    )
    opened.goto(file.as_uri())
    opened.heard = heard
    return opened, heard


def violations(opened: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(opened).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found if one["impact"] in ("serious", "critical") for node in one["nodes"][:3]
    ]  # fmt: skip


def test_a_cell_lists_its_images(page: Any) -> None:
    cell = page.locator('button.cell[data-i="0"][data-j="1"]')
    count = int(cell.locator("span").inner_text())
    cell.click()
    panel = page.locator("#panel")
    assert panel.locator("h3").inner_text() == cell.get_attribute("aria-label")
    assert panel.locator("tbody tr").count() == min(20, count)
    assert panel.locator("tbody tr img").count() > 0
    assert panel.locator("tbody th").first.inner_text().startswith("face ")
    shares = panel.locator("tbody tr").first.locator("td.p").all_inner_texts()
    assert sum(float(s.rstrip(" %").replace("<", "")) for s in shares) == pytest.approx(100, abs=1)
    assert cell.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert panel.locator("tbody tr").count() == 0
    assert page.evaluate("document.activeElement.dataset.j") == "1"
    # By keyboard alone: to the next cell, and Enter.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "panel"
    label = page.locator('button.cell[data-i="0"][data-j="2"]').get_attribute("aria-label")
    assert panel.locator("h3").inner_text() == label


def test_it_is_silent_and_offline(page: Any) -> None:
    assert page.heard == []


def test_axe_finds_nothing_serious(page: Any) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
    page.emulate_media(color_scheme="light")


def test_chinese_in_the_dark_on_a_phone(whole_run: Path, browser: Any, tmp_path: Path) -> None:
    out, _ = report(gather(whole_run), tmp_path / "zh.html", language="zh-Hant")
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    opened, heard = watched(browser, out, **options)
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    wide = """() => [...document.querySelectorAll('main *')].filter(node =>
        node.getBoundingClientRect().right > 391 && !node.closest('.scroll, .card, pre, .sr')
    ).map(node => node.outerHTML.slice(0, 80))"""
    assert opened.evaluate(wide) == []
    opened.locator("button.cell").first.click()
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(opened) == []
    assert heard == []
    opened.close()


def test_comparison_and_pdf(browser: Any, tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, seed=0, right=right) for name, right in (("a", 0.9), ("b", 0.3))
    ]
    # The same images: only the answers differ.
    out, _ = compare_page(runs, tmp_path / "both.html")
    opened, heard = watched(browser, out)
    assert opened.locator("section.part").count() == 4
    assert "a is right more often than b" in opened.locator("#compare-accuracy").inner_text()
    assert violations(opened) == []
    assert heard == []
    opened.close()
    write_pdf(out, tmp_path / "both.pdf")
    assert (tmp_path / "both.pdf").read_bytes().startswith(b"%PDF")
