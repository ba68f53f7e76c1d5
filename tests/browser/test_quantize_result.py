"""Results of quantising on the page: looked at, taken, chatted with, refused, deleted."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import open_page
from tests.browser.conftest import NewContext, Server
from tests.browser.test_look import contrast
from tests.checkpoints import make_checkpoint, sensitive

KEY = "checkpoint:a-mixture"


@pytest.fixture
def made(server: Server) -> Iterator[Path]:
    """A checkpoint with a search for sensitive layers in its manifest, and one that is broken."""
    home = server.settings.home / "checkpoints"
    folder = make_checkpoint(home / "a-mixture", **sensitive())
    torn = make_checkpoint(home / "a-torn-one")
    (torn / "manifest.json").write_text("{")
    yield folder
    for each in (folder, torn):
        shutil.rmtree(each, ignore_errors=True)


def results(page: Page) -> Page:
    page.locator("#tab-quantize-button").click()
    page.locator("#quantize-go-results").click()
    expect(page.locator(f'#result-list [data-key="{KEY}"]').first).to_be_visible()
    return page


def open_result(page: Page) -> Page:
    results(page).locator(f'#result-list button[data-key="{KEY}"]').click()
    expect(page.locator(f'.r-one[data-key="{KEY}"]')).to_be_visible()
    return page


def part(page: Page, name: str) -> str:
    return page.locator(f'[data-part="{name}"]').inner_text()


def test_a_result_is_listed_and_shown_whole(page: Page, made: Path) -> None:
    results(page)
    row = page.locator(f'#result-list li[data-key="{KEY}"]').inner_text()
    for said in ("a-mixture", "NVFP4", "390.6 KiB → 156.2 KiB", "4.169 → 4.196", "weights only"):
        assert said in row, said
    broken = page.locator('#result-list [data-state="broken"]')
    expect(broken.locator("[data-code]")).to_have_attribute(
        "data-code", "CHECKPOINT_MANIFEST_BROKEN"
    )
    page.locator(f'#result-list button[data-key="{KEY}"]').click()
    assert re.search("Whole file\\s+2.50×[^×]+Quantised layers\\s+3.40×", part(page, "sizes"))
    assert "4.1690\t4.1960" in part(page, "quality") and "weights only" in part(page, "quality")
    marks = page.locator('[data-part="samples"] mark')
    assert marks.all_inner_texts() == ["84", "48"]
    assert "48 <b>eggs</b>." in part(page, "samples"), "shown as text"
    errors = page.locator('[data-name="error"] rect title')
    assert errors.first.inner_html().startswith("model.layers.0.mlp.down_proj: 9.20%")
    charts = part(page, "layers")
    assert "experimental" in charts and "stays in 16 bits" in charts
    assert page.locator('[data-name="sensitivity"] rect[data-mark]').count() == 1
    assert "Calibrate\t0.50 s\t560.0 MiB" in part(page, "phases")
    serve = page.locator('[data-part="serve"]')
    serve.locator("summary", has_text="vLLM · Docker container").click()
    expect(serve.locator("details[open] pre")).to_contain_text("docker run")
    expect(serve.locator("details[open]")).to_contain_text("It needs an NVIDIA GPU.")
    command = page.locator('[data-part="command"]')
    command.locator("summary", has_text="spark-studio").click()
    expect(command.locator("details[open] pre")).to_contain_text(
        "spark-studio quantize --model tiny --recipe nvfp4"
    )
    with page.expect_download() as download:
        page.locator('[data-part="files"] a', has_text="config.json").first.click()
    assert download.value.path().read_bytes() == (made / "config.json").read_bytes()
    page.get_by_role("button", name="All results").click()
    expect(page.locator("#result-list")).to_be_visible()


def test_its_buttons_do_or_say_why_not(page: Page, made: Path) -> None:
    open_result(page)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compare-form [data-key=a-mixture] input").first).to_be_checked()
    page.locator("#tab-quantize-button").click()
    notice = page.locator("#result-notice [data-code]")
    page.get_by_role("button", name="Compare answers").click()
    expect(notice).to_have_attribute("data-code", "AGREEMENT_SERVER_MISSING")
    page.locator("summary", has_text="Push to the hub").click()
    expect(page.get_by_label("Private")).to_be_checked()
    page.fill("#push-repo", "not a name")
    page.locator(".r-push button").click()
    expect(notice).to_have_attribute("data-code", "PUSH_NAME_INVALID")
    page.get_by_role("button", name="Chat with it").click()
    expect(page.locator("#server-model")).to_have_value("a-mixture")
    expect(page.locator('.v-kinds[data-key="kinds:a-mixture"]')).to_be_visible()
    page.locator("#tab-quantize-button").click()
    delete = page.locator("[data-action=result-delete]:visible")
    delete.click()
    expect(delete).to_contain_text("for good?")
    assert made.exists()
    delete.click()
    expect(page.locator("#result-notice")).to_contain_text("a-mixture is deleted")
    expect(page.locator(f'#result-list [data-key="{KEY}"]')).to_have_count(0)
    assert not made.exists()


def test_korean_dark_and_narrow(new_context: NewContext, made: Path) -> None:
    context = new_context(
        locale="ko-KR", color_scheme="dark", viewport={"width": 390, "height": 844}
    )
    page = results(open_page(context))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    open_result(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for one in (".r-note", ".r-scope", ".r-facts dt", ".r-ends small", ".r-same", ".r-table a"):
        assert contrast(page, one) > 4.5, one
    for name in ("sizes", "quality", "layers", "phases", "agreement"):
        words = set(re.findall(r"[A-Za-z]{4,}", part(page, name)))
        assert words <= {"model", "layers", "self", "attn", "proj", "down", "gate", "ModelOpt"}, (
            name
        )
