"""Languages, themes, small screens, keyboards; a quiet console and no call to the outside."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.actions import LONG, QUICK, denoising, finished, generate, open_page, stage_state
from tests.browser.conftest import Server

DARK_GROUND = "rgb(19, 20, 17)"
LIGHT_GROUND = "rgb(246, 246, 244)"


def test_the_console_is_quiet_and_nothing_calls_out(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    context = new_context()
    said: list[str] = []
    asked: list[str] = []
    context.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    context.on("response", lambda r: said.append(f"{r.status} {r.url}") if r.status > 399 else None)
    page = open_page(context)
    generate(page, "a red heart", **QUICK)
    finished(page)
    page.get_by_role("button", name="Reuse settings").click()
    page.locator("#picker-current").click()
    page.select_option("#choose-language", "ko")
    expect(page.get_by_role("button", name="생성")).to_be_visible()
    assert said == []
    outside = [url for url in asked if not url.startswith((server.address, "data:", "blob:"))]
    assert outside == []


@pytest.mark.parametrize(
    ("locale", "tab", "button"), [("en-GB", "Images", "Generate"), ("ko-KR", "이미지", "생성")]
)
def test_the_browser_chooses_the_language(
    new_context: Callable[..., BrowserContext], locale: str, tab: str, button: str
) -> None:
    page = open_page(new_context(locale=locale))
    expect(page.get_by_role("tab", name=tab)).to_be_visible()
    expect(page.get_by_role("button", name=button, exact=True)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", locale[:2])


def test_the_chosen_language_is_remembered(new_context: Callable[..., BrowserContext]) -> None:
    context = new_context(locale="de-DE")
    page = open_page(context)
    page.fill("#prompt textarea", "kept over the change")
    page.select_option("#choose-language", "ko")
    expect(page.get_by_role("tab", name="이미지")).to_be_visible()
    expect(page.locator("#prompt textarea")).to_have_value("kept over the change")
    generate(page, "")
    expect(page.locator("#notice .s-error")).to_contain_text("프롬프트가 비어 있습니다.")
    expect(open_page(context).get_by_role("tab", name="이미지")).to_be_visible()


def test_no_english_is_left_in_korean(new_context: Callable[..., BrowserContext]) -> None:
    page = open_page(new_context(locale="ko-KR"))
    generate(page, "그림", **QUICK)
    finished(page)
    words = set(re.findall(r"[A-Za-z]{3,}", page.inner_text("body")))
    names = {"Spark", "Studio", "FLUX", "PyTorch", "CPU", "GPU", "demo", "flux", "MiB", "GiB"}
    names |= {"SDXL", "sdxl"}
    names |= {"Apache", "English", "dev", "schnell", "Non", "Commercial", "License", "download"}
    foreign = {word for word in words if not re.fullmatch(r"FP\d+|BF\d+", word)} - names
    shown = page.inner_text("#images-controls") + page.inner_text("#side") + page.inner_text("#bar")
    assert not {word for word in foreign if word in shown and word not in EXAMPLES}


EXAMPLES = {"red", "circle", "left", "blue", "square"}


@pytest.mark.parametrize(("scheme", "ground"), [("light", LIGHT_GROUND), ("dark", DARK_GROUND)])
def test_the_system_chooses_the_theme(
    new_context: Callable[..., BrowserContext], scheme: str, ground: str
) -> None:
    page = open_page(new_context(color_scheme=scheme))
    expect(page.locator("body")).to_have_css("background-color", ground)
    assert contrast(page, "#generate") > 4.5
    assert contrast(page, "#queue .s-muted") > 4.5
    assert contrast(page, "#prompt textarea") > 4.5


def test_the_chosen_theme_is_remembered(new_context: Callable[..., BrowserContext]) -> None:
    context = new_context(color_scheme="light")
    page = open_page(context)
    page.select_option("#choose-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", DARK_GROUND)
    again = open_page(context)
    expect(again.locator("body")).to_have_css("background-color", DARK_GROUND)
    again.select_option("#choose-theme", "system")
    expect(again.locator("body")).to_have_css("background-color", LIGHT_GROUND)
    again.emulate_media(color_scheme="dark")
    expect(again.locator("body")).to_have_css("background-color", DARK_GROUND)


def contrast(page: Page, selector: str) -> float:
    """Contrast of an element's text to what is behind it (WCAG 2.2, 1.4.3)."""
    return float(page.locator(selector).first.evaluate(CONTRAST))


CONTRAST = """element => {
          const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
          const luminance = ([r, g, b]) => {
            const line = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
          };
          let behind = element;
          while ((rgb(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) {
            behind = behind.parentElement;
          }
          const pair = [
            luminance(rgb(getComputedStyle(element).color)),
            luminance(rgb(getComputedStyle(behind).backgroundColor)),
          ].sort((a, b) => b - a);
          return (pair[0] + 0.05) / (pair[1] + 0.05);
        }"""


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    new_context: Callable[..., BrowserContext], locale: str
) -> None:
    page = open_page(new_context(locale=locale, viewport={"width": 390, "height": 844}))
    generate(page, "red" * 14, **QUICK)
    finished(page)
    page.locator("#picker-current").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for part in ("#status", "#prompt textarea", "#stage figure", "#metrics", "#history li"):
        page.locator(part).first.scroll_into_view_if_needed()
        box = page.locator(part).first.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_picture_is_made_by_keyboard_alone(page: Page) -> None:
    expect(page.locator("#prompt textarea")).to_be_focused()
    page.keyboard.type("made without a mouse")
    reach(page, "#steps input[type=number]")
    page.keyboard.type("100")
    reach(page, "#aspect input[value='4:3']")
    page.keyboard.press("Space")
    expect(page.locator("#height input")).to_have_value("192")
    reach(page, "#keep-seed input")
    page.keyboard.press("Space")
    reach(page, "#count input[type=number]")
    page.keyboard.type("16")
    reach(page, "#generate")
    page.keyboard.press("Enter")
    denoising(page)
    reach(page, "#stop")
    page.keyboard.press("Enter")
    stage_state(page, "cancelled")
    reach(page, '#stage [data-action="retry"]')
    page.keyboard.press("Enter")
    denoising(page)
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")


def reach(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, and see that the focus shows."""
    for _ in range(80):
        if page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
            break
        page.keyboard.press("Tab")
    target = page.locator(selector).first
    expect(target).to_be_focused()
    shown = target.evaluate(
        """element => {
          const outlined = (e) => e && getComputedStyle(e).outlineStyle !== "none";
          return outlined(element) || outlined(element.closest("label"));
        }"""
    )
    assert shown, f"the focus of {selector} cannot be seen"


def test_every_control_has_a_name_and_an_id(page: Page) -> None:
    generate(page, "named", **LONG)
    denoising(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, a, summary")]
          .filter((e) => e.checkVisibility() && !e.closest("[aria-hidden=true]"))
          .filter((e) => !(e.ariaLabel || e.title || e.textContent.trim()
            || [...(e.labels ?? [])].some((label) => label.textContent.trim())))
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")
    for name in ("prompt", "variant", "aspect", "width", "height", "steps", "guidance", "seed"):
        assert page.locator(f"#{name}").count() == 1, name
