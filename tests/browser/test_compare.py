"""The Compare tab on the real page, with a real worker and the demo models."""

import json
import re

from playwright.sync_api import FilePayload, Page, Route, expect

from tests.browser.actions import open_page, ready
from tests.browser.conftest import NewContext, Server
from tests.browser.test_look import contrast

SMALL = {"steps": "2", "width": "64", "height": "64"}
MANY = FilePayload(
    name="many.txt",
    mimeType="text/plain",
    buffer="\n".join(f"a picture of {n} stars" for n in range(10_000)).encode(),
)
BROKEN = FilePayload(
    name="theirs.json", mimeType="application/json", buffer=b'{"kind": "pictures", "format": 1}'
)
NAMELESS = """() => [...document.querySelectorAll(
    "#compare :is(button, input, select, textarea, a, summary)")]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.ariaLabel || e.title || e.textContent.trim()
    || [...(e.labels ?? [])].some((label) => label.textContent.trim())))
  .map((e) => e.outerHTML.slice(0, 120))"""


def show(page: Page) -> Page:
    page.locator("#tab-compare-button").click()
    expect(page.locator("#compare[data-ready]")).to_be_attached()
    return page


def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"#compare-{name}", value)


def code(page: Page) -> str:
    card = page.locator("#compare :is(#compare-notice, #compare-form) [data-code]:visible")
    expect(card).to_have_count(1)
    return card.get_attribute("data-code") or ""


def _lost(route: Route, asked: list[Route]) -> None:
    """The server is away when it is asked first."""
    asked.append(route)
    if len(asked) == 1:
        route.abort()
    else:
        route.continue_()


def test_from_a_form_to_a_comparison_that_is_kept(new_context: NewContext, server: Server) -> None:
    context = new_context()
    asked: list[str] = []
    said: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: said.append(str(error.error)))
    page = show(open_page(context))
    expect(page.locator("[data-key='fp32/torch'] .k-reference input")).to_be_checked()
    page.locator("#compare-bf16-torch").check()
    page.locator("[data-key='bf16/torch'] .k-reference").click()
    fill(page, written="a red circle\n\na yellow star", seeds="2", **SMALL)
    expect(page.locator("#compare-told")).to_contain_text("Pictures: 8")
    page.reload()
    show(ready(page))
    expect(page.locator("#compare-written")).to_have_value("a red circle\n\na yellow star")
    expect(page.locator("[data-key='bf16/torch'] .k-reference input")).to_be_checked()
    page.locator("#compare-start").click()
    one = page.locator("#compare-one")
    expect(page.locator("#compare-view .cmp-part[data-part=stage]")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?compare=\w+"))
    page.reload()
    ready(page)
    expect(one).to_have_attribute("data-state", "succeeded")
    expect(page.locator("#compare-run > .k-run")).to_have_count(0)
    expect(page.locator("#compare-view [data-part=grid] img")).to_have_count(8)
    expect(page.locator("#compare-view [data-part=table] tbody tr").first).to_contain_text("BF16")
    with page.expect_download() as download:
        page.locator("#compare-head summary").click()
        page.locator("#compare-head a", has_text="report.json").click()
    report = json.loads(download.value.path().read_text())
    assert [one["precision"] for one in report["request"]["variants"]] == ["bf16", "fp32"]
    assert page.request.get(f"/files/{report['id']}/report.json").status == 404
    page.locator("[data-action=compare-rename]").click()
    page.locator(".k-rename").fill("Stars and circles")
    page.keyboard.press("Enter")
    page.locator("[data-action=compare-back]").click()
    expect(page).not_to_have_url(re.compile("compare="))
    row = page.locator("#compare-list .k-row", has_text="Stars and circles")
    expect(row.locator("img")).to_have_count(2)
    page.fill("#compare-search", "no such words")
    expect(row).to_have_count(0)
    page.fill("#compare-search", "yellow star")
    away: list[Route] = []
    page.route("**/studio/compare/one/**", lambda route: _lost(route, away))
    row.click()
    expect(page.locator("#compare-view [data-part=grid] img")).to_have_count(8)
    assert len(away) > 1
    page.unroute_all()
    page.locator("[data-action=compare-repeat]").click()
    expect(page.locator("#compare-head h2")).to_have_text("a red circle")
    expect(one).to_have_attribute("data-state", "succeeded")
    page.locator("#compare-go-two").click()
    for side in ("left", "right"):
        page.select_option(f"#compare-two-{side}", index=1 if side == "left" else 2)
    expect(page.locator("#compare-beside .cmp-beside")).to_be_visible()
    page.locator("#compare-go-past").click()
    page.fill("#compare-search", "")
    kept = page.locator(".k-list > li", has_text="Stars and circles")
    delete = kept.locator("[data-action=compare-delete]")
    delete.click()
    delete.click()
    expect(row).to_have_count(0)
    expect(page.locator("#compare-list .k-row", has_text="a red circle")).to_have_count(1)
    page.locator("#tab-images-button").click()
    page.locator("#history [data-kind=compare]").click()
    expect(one).to_be_visible()
    assert said == []
    assert all(url.startswith((server.address, "data:", "blob:")) for url in asked)


def test_what_cannot_be_is_explained_and_nothing_is_lost(new_context: NewContext) -> None:
    context = new_context(
        locale="ko-KR", color_scheme="dark", viewport={"width": 390, "height": 844}
    )
    page = show(open_page(context))
    page.locator("#compare-start").click()
    assert code(page) == "COMPARE_PROMPTS_EMPTY"
    page.locator(".k-prompts input[value=file]").check(force=True)
    wrong = FilePayload(name="mine.jsonl", mimeType="text/plain", buffer=b'{"words": "none"}')
    page.set_input_files("#compare-prompts-file", wrong)
    expect(page.locator("#compare-notice")).to_contain_text("PROMPTS_UNREADABLE")
    page.set_input_files("#compare-prompts-file", MANY)
    expect(page.locator(".k-preview li")).to_have_count(5)
    expect(page.locator("#compare-count")).to_have_attribute("data-count", "10000")
    assert code(page) == "COMPARE_TOO_MANY_PICTURES"
    expect(page.locator("#compare-start")).to_be_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for selector in (".k-prompts output", ".k-variants legend small", ".k-reference", ".s-reason"):
        assert contrast(page, f"#compare {selector}") > 4.5, selector
    page.reload()
    show(ready(page))
    expect(page.locator("#compare-count")).to_have_attribute("data-count", "10000")
    page.locator(".k-prompts input[value=built_in]").check(force=True)
    expect(page.locator("#compare-start")).to_be_enabled()
    assert page.evaluate(NAMELESS) == []
    page.locator("#compare-modes input[value=text]").check(force=True)
    expect(page.locator("[data-key='demo-chat|transformers'] input").first).to_be_checked()
    fill(page, text_written="7 곱하기 6은?")
    page.locator("#compare-start").click()
    assert code(page) == "COMPARE_VARIANTS_COUNT"
    expect(page.locator("#compare-text_written")).to_have_value("7 곱하기 6은?")
    assert page.evaluate(NAMELESS) == []
    page.locator("#compare-go-past").click()
    page.set_input_files("#compare-open-file", BROKEN)
    assert code(page) == "REPORT_UNREADABLE"
    expect(page.locator("#compare-past")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto("/?compare=nothing", wait_until="commit")
    ready(page)
    assert code(page) == "COMPARISON_NOT_FOUND"
    expect(page.locator("#compare-past")).to_be_visible()
