"""The page in a real browser: pictures, paste, camera, saliency, languages, phone; silent."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = os.environ.get("MIEN_CHROMIUM") or next(
        (path for name in _NAMES if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium is installed")
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream",
             "--use-fake-ui-for-media-stream"]  # fmt: skip
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=flags)
        yield started
        started.close()


@pytest.fixture
def page(house: Any, browser: Any) -> Iterator[Any]:
    """The page on a wide screen; it may say nothing and ask nobody else."""
    opened, heard = watched(house, browser)
    yield opened
    assert heard == []
    opened.close()


def watched(house: Any, browser: Any, **options: Any) -> tuple[Any, list[str]]:
    opened = browser.new_page(**{"locale": "en-GB", **options})
    opened.set_default_timeout(60_000)
    heard: list[str] = []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    own = (house.address, f"blob:{house.address}", "data:")
    opened.on(
        "request",
        lambda request: None if request.url.startswith(own) else heard.append(request.url),
    )
    opened.goto(house.address)
    opened.wait_for_selector("#card-parts li", state="attached")
    return opened, heard


def violations(opened: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # A card that is still fading in has the contrast of no state that stays.
    opened.evaluate("""() => Promise.all(document.getAnimations()
        .filter(a => a.effect.getComputedTiming().iterations !== Infinity).map(a => a.finished))""")
    # Run outside of the page's policy, which would rightly refuse a foreign script.
    found = axe.run(opened).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found for node in one["nodes"][:3]
    ]  # fmt: skip


def choose(opened: Any, picture: bytes, count: int = 1) -> None:
    files = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": picture} for n in range(count)]
    opened.set_input_files("#file", files)
    opened.wait_for_selector(".face")


def test_upload_saliency_and_language(page: Any, picture: bytes) -> None:
    choose(page, picture, 2)
    assert page.locator("#status").inner_text().startswith("One face: ")
    assert page.locator(".bar").count() == 7
    shares = [t.strip() for t in page.locator(".bar span:last-child").all_inner_texts()]
    assert all(text.endswith("%") for text in shares)
    widths = page.eval_on_selector_all(".bar i", "all => all.map(i => parseFloat(i.style.width))")
    assert sum(widths) == pytest.approx(100, abs=0.1)
    # The box lies over the face: 50, 30 of 160×120, 60 pixels wide.
    place = page.locator(".box").evaluate(
        "box => { const a = box.getBoundingClientRect(), b = box.parentNode"
        ".getBoundingClientRect(); return [(a.left - b.left) / b.width, a.width / b.width,"
        "(a.top - b.top) / b.height]; }"
    )
    assert place == pytest.approx([50 / 160, 60 / 160, 30 / 120], abs=0.02)
    assert page.locator("#strip button").count() == 2
    # The overlay comes and goes with the switch, by keyboard too.
    assert page.locator(".overlay").count() == 0
    page.focus("#saliency")
    page.keyboard.press("Space")
    page.wait_for_selector(".box .overlay", state="attached")
    assert page.locator(".overlay").count() == 2
    assert page.locator(".look .overlay").get_attribute("alt").startswith("What speaks for")
    page.keyboard.press("Space")
    page.wait_for_function("!document.querySelector('.overlay')")
    page.click("#language")
    assert page.evaluate("document.documentElement.lang") == "zh-Hant"
    assert page.locator("#status").inner_text().startswith("1 張臉：")
    assert "生氣" in page.locator(".bars").inner_text()
    assert "第 5 條" in page.locator("aside").inner_text()
    left = page.evaluate(
        "[...document.querySelectorAll('[data-say]')].filter(n => !n.hidden && "
        "/[A-Za-z]{9,}/.test(n.textContent)).map(n => n.textContent)"
    )
    assert [text for text in left if "localhost" not in text] == []


def test_paste_and_clear(page: Any, picture: bytes) -> None:
    page.evaluate(
        """text => {
          const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }""",
        base64.b64encode(picture).decode(),
    )
    page.wait_for_selector(".face")
    page.click("#clear")
    assert page.locator(".face").count() == 0
    assert page.locator("#invite").is_visible()


def test_camera_frames_go_to_this_server_only(page: Any) -> None:
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
    assert "this server only" in page.locator("#stage").inner_text()
    page.click("#camera")
    page.wait_for_selector(".face")
    page.wait_for_function("document.querySelector('#camera').getAttribute('aria-pressed')=='true'")
    seen = len(sent)
    page.wait_for_timeout(500)
    assert len(sent) > seen
    page.click("#camera")
    assert page.locator("#camera").get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.querySelector('#video').srcObject") is None
    page.wait_for_timeout(300)
    seen = len(sent)
    page.wait_for_timeout(400)
    assert len(sent) == seen
    assert all(url.endswith("/v1/predict") for url in sent)


def test_axe_finds_nothing(page: Any, picture: bytes) -> None:
    choose(page, picture)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == []


def test_chinese_in_the_dark_on_a_phone(house: Any, browser: Any, picture: bytes) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "locale": "zh-TW", "has_touch": True}
    opened, heard = watched(house, browser, color_scheme="dark", **options)
    choose(opened, picture)
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.locator("#status").inner_text().startswith("1 張臉")
    small = """() => [...document.querySelectorAll('.tools button, .tools .button')].filter(
        n => n.offsetParent && n.getBoundingClientRect().height < 44).map(n => n.id)"""
    assert opened.evaluate(small) == []
    assert violations(opened) == []
    assert heard == []
    opened.close()


def test_docs_work_offline(page: Any, house: Any) -> None:
    page.goto(house.address + "docs")
    page.wait_for_selector("article")
    assert "/v1/predict" in page.locator("#routes").inner_text()
    assert violations(page) == []


def test_what_is_no_picture_is_told(house: Any, browser: Any, tmp_path: Path) -> None:
    opened, heard = watched(house, browser)
    opened.set_input_files(
        "#file", [{"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}]
    )
    opened.wait_for_selector("#wrong:not(:empty)")
    assert "JPEG" in opened.locator("#wrong").inner_text()
    # Chromium itself notes a 4xx on the console; the page adds nothing.
    assert [text for text in heard if "422" not in text] == []
    opened.close()
