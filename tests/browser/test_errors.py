"""Bad input is answered in the card, with its code, and disturbs nothing else."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import QUICK, fill, finished, generate

HOSTILE = (
    "<img src=x onerror='window.hacked = 1'>",
    "`${window.hacked = 2}` {{this}} @children",
    "../../etc/passwd %00 ..\\..\\ '\" OR 1=1 --",
    "\u202e\ufeff 가나다 👩‍👩‍👧‍👦 a\u0301\u0301",
)


NUMBERS: tuple[tuple[dict[str, float | str], str], ...] = (
    ({"width": 100}, "SIZE_NOT_MULTIPLE"),
    ({"height": 4096}, "SIZE_OUT_OF_RANGE"),
    ({"width": -16}, "SIZE_OUT_OF_RANGE"),
    ({"width": ""}, "INVALID_REQUEST"),
    ({"seed": 2**32}, "SEED_OUT_OF_RANGE"),
    ({"seed": -1}, "SEED_OUT_OF_RANGE"),
    ({"seed": 1.5}, "INVALID_REQUEST"),
)
PROMPTS = (
    ("", "PROMPT_EMPTY"),
    (" \n ", "PROMPT_EMPTY"),
    ("long " * 20_000, "PROMPT_TOO_LONG"),
    ("a red circle " * 150, "PROMPT_TOO_MANY_TOKENS"),
)


def test_numbers_that_do_not_fit(page: Page) -> None:
    """Steps, guidance and count are sliders, whose range the browser keeps; see `test_api`."""
    page.get_by_label("Keep").check()
    card = page.locator("#notice .s-error")
    for numbers, code in NUMBERS:
        fill(page, "a red circle", **{"width": 64, "height": 64, "seed": 1} | numbers)
        page.get_by_role("button", name="Generate").click()
        expect(card).to_have_attribute("data-code", code)
        expect(card).to_contain_text(code)
        expect(page.get_by_role("button", name="Generate")).to_be_visible()
    generate(page, "a red circle", **QUICK, seed=1)
    finished(page)
    expect(page.locator("#notice")).to_be_empty()


def test_prompts_that_do_not_fit(page: Page) -> None:
    for prompt, code in PROMPTS:
        generate(page, prompt, **QUICK)
        expect(page.locator("#notice .s-error")).to_have_attribute("data-code", code)
    generate(page, "a red circle")
    finished(page)
    expect(page.locator("#notice")).to_be_empty()


def test_the_details_unfold_and_are_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generate(page, "")
    card = page.locator("#notice .s-error")
    card.get_by_text("Details", exact=True).click()
    card.get_by_role("button", name="Copy details").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("PROMPT_EMPTY\n")


def test_what_cannot_run_here_is_shown_with_its_reason_and_cannot_be_chosen(page: Page) -> None:
    page.locator("#picker-current").click()
    large = page.locator("#picker-list label", has=page.locator("input:disabled")).first
    expect(large).to_be_visible()
    expect(large.locator(".s-reason")).not_to_be_empty()
    assert large.locator("input").is_disabled()


def test_hostile_text_is_shown_as_text(page: Page) -> None:
    for text in HOSTILE:
        generate(page, text, **QUICK)
        expect(page.locator("#stage .s-prompt")).to_have_text(text.strip())
        finished(page)
        page.fill("#history-search", text)
        expect(page.locator("#history li")).to_have_count(1)
        page.get_by_role("button", name="Reuse settings").click()
        expect(page.get_by_label("Keep")).to_be_checked()
        page.get_by_label("Keep").uncheck()
    page.reload()
    expect(page.locator("#stage .s-prompt")).to_have_text(HOSTILE[-1].strip())
    expect(page.locator("#history li")).to_have_count(len(HOSTILE))
    assert page.evaluate("window.hacked") is None
    assert page.locator("#stage :is(script, p img), #history script, #queue script").count() == 0


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_hostile_settings_from_the_address_and_cookies(page: Page, text: str) -> None:
    for name in ("pinned", "last", "seen"):
        assert page.request.get("/studio/live", params={name: text}).status == 200
    strange = {"prompt": text, "variant": text, "width": text, "seed": {}, "keep_seed": text}
    stored = json.dumps({"studio.last": text, "studio.form": json.dumps(strange)})
    page.add_init_script(
        f"for (const [key, value] of Object.entries({stored}))"
        "for (const store of [localStorage, sessionStorage]) store.setItem(key, value)"
    )
    for name in ("studio_language", "studio_theme"):
        page.context.add_cookies(
            [{"name": name, "value": "%3Cb%3E", "url": page.url, "sameSite": "Lax"}]
        )
    page.reload()
    expect(page.locator("body[data-ready]")).to_be_attached()
    expect(page.locator("#prompt textarea")).to_have_value(text)
    expect(page.locator("#width input")).to_have_value("256")
    assert page.evaluate("window.hacked") is None
