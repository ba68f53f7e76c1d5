"""A picture model through the Quantise tab's wizard, and what came of it, on the real page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.browser.actions import open_page, ready
from tests.browser.conftest import NewContext, Server, people
from tests.browser.test_look import contrast
from tests.browser.test_quantize import at, fill, go, on, show_wizard
from tests.tiny_flux import NAME, copy_engines

PROMPTS = FilePayload(
    name="mine.txt",
    mimeType="text/plain",
    buffer="".join(f"a star of {n} corners\n" for n in range(3, 9)).encode(),
)
TINY = {
    "watched": "4",
    "watched_steps": "4",
    "count": "2",
    "picture_steps": "2",
    "width": "64",
    "height": "64",
}
VARIANT = f"{NAME}/int8/onnxruntime"


@pytest.fixture(scope="module")
def make(
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_models: Path,
    tiny_engines: Path,
) -> Iterator[NewContext]:
    """People of a studio whose tiny FLUX has engines already."""
    server = Server(tmp_path_factory.mktemp("wizard") / "home", tiny_models)
    copy_engines(tiny_engines, server.settings.home)
    try:
        server.start()
        with people(browser, base_url=server.address) as new_context:
            yield new_context
    finally:
        server.stop()


def part(page: Page, name: str) -> str:
    return page.locator(f'[data-part="{name}"]').inner_text()


def test_from_a_picture_model_to_compared_pictures(make: NewContext) -> None:
    context = make()
    page = show_wizard(open_page(context))
    page.locator(f"input[value='pictures:{NAME}']").check()
    expect(page.locator("#quantize-facts .q-chips")).to_contain_text("INT8")
    on(page, "recipe")
    for precision, level in (("fp8", "4"), ("int8", "3")):  # each comes with its usual level
        page.locator(f"input[name=precision][value={precision}]").check()
        expect(page.locator(f"input[name=level][value='{level}']")).to_be_checked()
    expect(page.locator(".q-recipe:has([value=int8])")).to_contain_text("Runs here")
    smaller = page.locator("[data-key=int8] .s-num small")
    expect(smaller).to_contain_text("smaller")
    usual = smaller.inner_text()
    page.locator("input[name=level][value='2']").check()
    expect(smaller).not_to_have_text(usual)
    page.locator("input[name=level][value='3']").check()
    expect(smaller).to_have_text(usual)
    on(page, "calibration")
    page.set_input_files("#quantize-compared-file", PROMPTS)
    expect(page.locator("[data-key=preview-compared]")).to_contain_text("a star of 3 corners")
    fill(page, **TINY)
    expect(page.locator("[data-key=preview-watched] h3")).to_have_text("Calibrated on: 4")
    page.reload()
    show_wizard(ready(page))
    at(page, "calibration")
    expect(page.locator("[data-key=compared-own]")).to_contain_text("mine.txt")
    fill(page, count="0")
    on(page, "preflight")
    expect(page.locator("[data-check=pictures]")).to_contain_text("COUNT_OUT_OF_RANGE")
    expect(page.locator("#quantize-start")).to_be_disabled()
    go(page, "calibration")
    fill(page, count="2")
    on(page, "preflight")
    expect(page.locator(".q-aside")).to_contain_text("There already")
    page.locator("#quantize-start").click()
    job = page.locator("#quantize-run > .q-job")
    expect(job).to_have_attribute("data-state", "succeeded")
    expect(job).to_contain_text("PSNR")
    page.locator("#quantize-see").click()
    pictures = page.locator(".r-pictures img")
    expect(pictures).to_have_count(4)
    for index in range(4):
        pictures.nth(index).scroll_into_view_if_needed()
        expect(pictures.nth(index)).to_have_js_property("naturalWidth", 64)
    assert "a star of 3 corners" in part(page, "pictures")
    assert "simulated" not in part(page, "likeness") and "SSIM" in part(page, "likeness")
    assert "transformer_blocks.0" in part(page, "sensitivity")
    assert "Paint" in part(page, "phases") and "torch" in part(page, "versions")
    page.locator("[data-part=command] summary").click()
    expect(page.locator("[data-part=command] pre")).to_contain_text("--samples 4")
    _korean_dark_and_narrow(make, context.storage_state())
    page.locator("[data-action=result-engines]").click()
    expect(page.locator("#engine-search")).to_have_value(NAME)
    page.locator("#tab-quantize-button").click()
    page.locator("[data-action=result-try]").click()
    expect(page.locator(f"#picker-list input[value='{VARIANT}']")).to_be_checked()
    page.locator("#tab-quantize-button").click()
    delete = page.locator("[data-action=result-delete]:visible")
    delete.click()
    expect(delete).to_contain_text("for good?")
    delete.click()
    expect(page.locator("#result-notice")).to_contain_text("is deleted")
    expect(page.locator("#result-list")).to_contain_text("Nothing has been quantised yet")


def _korean_dark_and_narrow(make: NewContext, state: object) -> None:
    """The same reader on a telephone."""
    context = make(
        storage_state=state,
        locale="ko-KR",
        color_scheme="dark",
        viewport={"width": 390, "height": 844},
    )
    page = show_wizard(open_page(context))
    for step in ("model", "recipe", "calibration", "preflight"):
        go(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, step
    page.locator("#quantize-go-results").click()
    page.locator("#result-list button[data-action=result-show]").click()
    expect(page.locator(".r-pictures img")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for one in (".r-pictures small", ".r-two figcaption", ".r-note"):
        assert contrast(page, one) > 4.5, one
