"""The Quantise tab's wizard on the real page, with a real worker and demo-chat."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.browser.actions import open_page, ready
from tests.browser.conftest import Server
from tests.browser.test_look import contrast

MINE = FilePayload(
    name="mine.txt",
    mimeType="text/plain",
    buffer="\n\n".join(f"Row {n} of a text of mine." for n in range(400)).encode(),
)
LONG = {"evaluation_tokens": "200000", "length": "16"}
"""Scoring that is still going on whenever a test interferes."""


def open_wizard(context: BrowserContext) -> Page:
    page = open_page(context)
    return show_wizard(page)


def show_wizard(page: Page) -> Page:
    page.locator("#tab-quantize-button").click()
    expect(page.locator("#quantize[data-ready]")).to_be_attached()
    return page


def go(page: Page, step: str) -> None:
    page.locator(f"#quantize-steps [data-name={step}]").click()
    at(page, step)


def at(page: Page, step: str) -> None:
    expect(page.locator(f"#quantize-form [data-key=step-{step}]")).to_be_visible()


def on(page: Page, step: str) -> None:
    page.locator("#quantize-on").click()
    at(page, step)


def whole_size(page: Page) -> float:
    """MiB of the chosen recipe's checkpoint."""
    row = page.locator(".q-recipe:has(input:checked) .s-num").inner_text()
    return float(row.split()[0])


def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"#quantize-{name}", value)


def test_from_a_model_to_a_checkpoint(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    asked: list[str] = []
    context = new_context()
    context.on("request", lambda request: asked.append(request.url))
    page = open_wizard(context)
    expect(page.locator(".q-choices strong").first).to_have_text(re.compile("DeepSeek-R1"))
    expect(page.locator("#quantize-facts")).to_contain_text("LlamaForCausalLM")
    expect(page.locator("#quantize-facts")).to_contain_text("apache-2.0")
    on(page, "recipe")
    page.locator("input[value=fp8]").check()
    expect(page.locator(".q-title").first).to_have_text("FP8")
    plain = whole_size(page)
    fill(page, leave_out="model.layers.0.* *nothing")
    expect(page.locator(".q-note.warn")).to_contain_text("*nothing matches no layer")
    expect(page.locator("[data-key=left-out] summary")).to_have_text("Left out: 7 of 56 layers")
    assert whole_size(page) > plain
    on(page, "calibration")
    page.set_input_files("#quantize-calibration-file", MINE)
    expect(page.locator(".q-choice:has(input:checked)")).to_contain_text("mine.txt")
    expect(page.locator(".q-note.warn").first).to_contain_text("It is short")
    expect(page.locator(".q-preview li").first).to_have_text("Row 0 of a text of mine.")
    fill(page, samples="8", length="64", evaluation_tokens="256")
    page.reload()
    show_wizard(ready(page))
    at(page, "calibration")
    expect(page.locator("#quantize-samples")).to_have_value("8")
    expect(page.locator(".q-choice:has(input:checked)")).to_contain_text("mine.txt")
    on(page, "preflight")
    expect(page.locator("[data-check]")).to_have_count(9)
    expect(page.locator("[data-check=time]")).to_contain_text("Not known yet")
    fill(page, out="/proc/nothing/here")
    refused = page.locator("[data-check=out][data-status=fail]")
    expect(refused).to_contain_text("FOLDER_NOT_WRITABLE")
    expect(page.locator("#quantize-start")).to_be_disabled()
    fill(page, out="")
    expect(refused).to_have_count(0)
    page.locator("#quantize-start").click()
    job = page.locator("#quantize-run > .q-job")
    expect(job.locator(".v-curve")).to_be_visible()
    page.reload()
    show_wizard(ready(page))
    expect(job).to_have_attribute("data-state", "succeeded")
    expect(job).to_have_attribute("data-result", re.compile("^job:"))
    expect(page.locator("#quantize-steps [data-key=result] button")).to_be_enabled()
    assert (server.settings.home / "checkpoints" / "demo-chat-fp8" / "manifest.json").is_file()
    page.locator("#quantize-see").click()
    expect(page.locator("#quantize-go-results")).to_have_attribute("aria-selected", "true")
    page.locator("#quantize-go-wizard").click()
    go(page, "preflight")
    expect(page.locator("[data-check=out]")).to_contain_text("CHECKPOINT_EXISTS")
    expect(page.locator("[data-check=time]")).to_contain_text("An earlier job")
    page.locator("#quantize-replace").check()
    expect(page.locator("#quantize-start")).to_be_enabled()
    assert all(url.startswith((server.address, "data:", "blob:")) for url in asked)


def test_a_job_is_stopped_found_again_and_shown_with_its_settings(
    new_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    page = open_wizard(new_context(locale="ko-KR", color_scheme="dark"))
    go(page, "calibration")
    fill(page, **LONG)
    on(page, "preflight")
    fill(page, out=str(tmp_path / "out"))
    expect(page.locator("[data-check=out]")).to_contain_text(str(tmp_path / "out"))
    page.locator("#quantize-start").click()
    job = page.locator("#quantize-run > .q-job")
    expect(job.locator('.s-steps [aria-current="step"]')).not_to_have_text("대기")
    job.locator("[data-action=cancel]").click()
    expect(job).to_have_attribute("data-state", "cancelled")
    assert contrast(page, "#quantize-run .s-job strong") > 4.5
    assert contrast(page, ".q-steps small") > 4.5
    page.locator("[data-action=quantize-new]").click()
    at(page, "model")
    go(page, "calibration")
    fill(page, length="32")
    go(page, "run")
    page.locator(".q-others [data-action=quantize-look]").first.click()
    expect(job).to_have_attribute("data-state", "cancelled")
    go(page, "calibration")
    expect(page.locator("#quantize-length")).to_have_value("16")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_is_explained_where_it_is_chosen(
    new_context: Callable[..., BrowserContext],
) -> None:
    page = open_wizard(new_context(viewport={"width": 390, "height": 844}))
    fill(page, other="/nowhere/at/all")
    page.keyboard.press("Tab")
    expect(page.locator("#quantize-facts [data-code=CHAT_MODEL_NOT_FOUND]")).to_be_visible()
    expect(page.locator("#quantize-on")).to_be_disabled()
    page.locator("input[value='pictures:demo-flux']").check()
    expect(page.locator("#quantize-facts .q-chips")).to_contain_text("INT8")
    expect(page.locator("#quantize-on")).to_be_enabled()
    page.locator(f"input[value='{DEEPSEEK}']").check()
    expect(page.locator("#quantize-facts")).to_contain_text("not on this machine")
    page.locator("[data-action=quantize-ask]").click()
    expect(page.locator("#quantize-notice [data-code=HUB_OFFLINE_INCOMPLETE]")).to_be_visible()
    on(page, "recipe")
    expect(page.locator(".q-aside")).to_contain_text("once the hub was asked")
    on(page, "calibration")
    wrong = FilePayload(name="mine.pdf", mimeType="text/plain", buffer=b"x")
    page.set_input_files("#quantize-calibration-file", wrong)
    expect(page.locator("#quantize-notice")).to_contain_text("neither in .txt nor in .jsonl")
    fill(page, samples="0")
    on(page, "preflight")
    expect(page.locator("#quantize-form [data-code=INVALID_REQUEST]")).to_contain_text("≥ 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


DEEPSEEK = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
