"""The view of a comparison: report.html as it is opened from disk, and the modules in a page."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from backend.compare.html import write_html
from backend.compare.shown import shown
from backend.contracts.compare import ComparedState, PictureReport
from backend.contracts.compare_text import TextReport
from backend.language import catalogue
from tests.browser.conftest import people
from tests.comparisons import picture_report, text_report
from tests.support import ROOT

PROMPTS = ("a <b>red</b> circle</script><script>alert(1)</script>", "two rings")
SEEDS = (7, 42)
SIDE = 64
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    report = picture_report(
        folder, prompts=PROMPTS, seeds=SEEDS, variants=4, side=SIDE, failed=True, title=PROMPTS[0]
    )
    return write_html(report, folder)


@pytest.fixture
def open_file(browser: Browser) -> Iterator[Open]:
    """Opens a file by its path; at the end nothing may have been asked for or complained of."""
    asked: list[str] = []
    troubles: list[str] = []
    with people(browser) as make:

        def open_(file: Path, clock: bool = False, **options: Any) -> Page:
            page = make(**options).new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda said: troubles.append(said.text))
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("dialog", lambda dialog: troubles.append(dialog.message))
            if clock:
                page.clock.install()
            page.goto(file.as_uri())
            return page

        yield open_
    outside = [url for url in asked if not url.startswith(("file://", "data:", "blob:"))]
    assert not outside
    assert len([url for url in asked if url.startswith("file://")]) <= 1
    assert not troubles


def mode(page: Page, name: str) -> None:
    page.locator(f".cmp-tools [data-mode={name}]").click()


def boxes(page: Page) -> list[dict[str, float]]:
    """Where each picture lies within its pane."""
    found: list[dict[str, float]] = page.evaluate(
        """() => [...document.querySelectorAll(".cmp-pane img:not([hidden])")].map((image) => {
          const own = image.getBoundingClientRect();
          const pane = image.parentElement.getBoundingClientRect();
          return { x: own.x - pane.x, y: own.y - pane.y, width: own.width };
        })"""
    )
    return found


def rounded(box: dict[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in box.items()}


def test_a_report_from_disk_says_everything_in_both_languages_and_themes(
    open_file: Open, report_file: Path
) -> None:
    page = open_file(report_file)
    expect(page.locator("h1")).to_have_text(PROMPTS[0])
    expect(page.locator(".cmp-grid img")).to_have_count(3 * len(PROMPTS) * len(SEEDS))
    loaded = "() => [...document.querySelectorAll('.cmp-pane img')].every((i) => i.naturalWidth)"
    page.wait_for_function(loaded)
    failed = page.locator(".cmp-absent")
    expect(failed).to_have_count(len(PROMPTS) * len(SEEDS))
    english = catalogue("en")["error.OUT_OF_MEMORY.message"]
    expect(failed.first).to_contain_text(english)
    table = page.locator("[data-part=table] table")
    expect(table.locator("tbody tr").nth(1)).to_contain_text("2.00×")
    expect(table.locator("tbody tr").nth(2)).to_contain_text("simulated")
    expect(page.locator(".cmp-chart svg text", has_text="FP8 · TensorRT")).to_have_count(2)

    page.get_by_role("combobox", name="Language").select_option("ko")
    expect(failed.first).to_contain_text(catalogue("ko")["error.OUT_OF_MEMORY.message"])
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("combobox", name=catalogue("ko")["script.compare.report.theme"]).select_option(
        "dark"
    )
    dark = page.evaluate(ground)
    assert dark != light
    page.emulate_media(media="print")
    expect(page.locator(".cmp-stage")).to_be_hidden()
    expect(page.locator("h1")).to_have_css("color", "rgb(28, 29, 26)")


def test_the_browser_s_language_theme_and_width_are_followed(
    open_file: Open, report_file: Path
) -> None:
    page = open_file(
        report_file,
        locale="ko-KR",
        color_scheme="dark",
        viewport={"width": 390, "height": 844},
    )
    expect(page.locator("html")).to_have_class("dark")
    expect(page.locator("[data-part=table] h2")).to_have_text(
        catalogue("ko")["script.compare.table.label"]
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_slider_by_keys_and_mouse(open_file: Open, report_file: Path) -> None:
    page = open_file(report_file)
    handle = page.get_by_role("slider", name="Border between the two pictures")
    expect(handle).to_have_attribute("aria-valuenow", "50")
    handle.focus()
    for key, value in (
        ("ArrowRight", 51),
        ("Shift+ArrowLeft", 41),
        ("End", 100),
        ("ArrowRight", 100),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        expect(handle).to_have_attribute("aria-valuenow", str(value))
    expect(handle).to_have_attribute("aria-valuetext", "BF16 · PyTorch 0 %, FP8 · TensorRT 100 %")

    picture = page.locator(".cmp-pane img").first.bounding_box()
    assert picture is not None
    x, y = picture["x"] + picture["width"] / 4, picture["y"] + picture["height"] / 3
    page.mouse.move(x, y)
    page.mouse.down()
    expect(handle).to_have_attribute("aria-valuenow", "25")
    page.mouse.move(picture["x"] + picture["width"] * 0.7, y, steps=3)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", "70")
    page.mouse.move(x, y)
    expect(handle).to_have_attribute("aria-valuenow", "70")
    cut = page.locator(".cmp-pane img").nth(1).evaluate("(image) => image.style.clipPath")
    assert float(cut.removesuffix("px)").split()[-1]) == pytest.approx(
        picture["width"] * 0.7, abs=2
    )


def test_zoom_and_pan_are_the_same_in_every_pane(open_file: Open, report_file: Path) -> None:
    page = open_file(report_file)
    mode(page, "side")
    left, right = map(rounded, boxes(page))
    assert left == right
    pane = page.locator(".cmp-pane").nth(1).bounding_box()
    assert pane is not None
    middle = pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2
    page.mouse.move(*middle)
    page.mouse.wheel(0, -800)
    zoomed, other = boxes(page)
    assert rounded(zoomed) == rounded(other)
    assert zoomed["width"] > left["width"] * 2
    page.mouse.down()
    page.mouse.move(middle[0] - 30, middle[1] - 20, steps=2)
    page.mouse.up()
    for moved in boxes(page):
        assert moved["x"] == pytest.approx(zoomed["x"] - 30, abs=1)
        assert moved["y"] == pytest.approx(zoomed["y"] - 20, abs=1)
    page.locator(".cmp-view").focus()
    page.keyboard.press("1")
    expect(page.locator(".cmp-zoom")).to_have_text("100 %")
    assert [box["width"] for box in boxes(page)] == [SIDE, SIDE]
    page.keyboard.press("+")
    expect(page.locator(".cmp-zoom")).to_have_text("125 %")
    mode(page, "all")
    assert {round(box["width"]) for box in boxes(page)} == {SIDE * 5 // 4}
    assert len(boxes(page)) == 3
    expect(page.locator(".cmp-note:visible")).to_contain_text("OUT_OF_MEMORY")
    rendering = "(image) => image.style.imageRendering"
    assert page.locator(".cmp-pane img").first.evaluate(rendering) == "pixelated"
    page.keyboard.press("0")
    page.keyboard.press("PageDown")
    expect(page.locator(".cmp-pick")).to_contain_text("seed 42")


def test_flicker_takes_turns_and_rests_for_who_wants_no_motion(
    open_file: Open, report_file: Path
) -> None:
    page = open_file(report_file, clock=True)
    mode(page, "flicker")
    labels: Locator = page.locator(".cmp-pane .cmp-label:not([hidden])")
    for expected in ("BF16 · PyTorch", "FP8 · TensorRT", "BF16 · PyTorch"):
        expect(labels).to_have_text(expected)
        page.clock.run_for(500)
    page.get_by_role("slider", name="Time that each is shown").fill("1000")
    now = labels.text_content()
    page.clock.run_for(900)
    expect(labels).to_have_text(now or "")
    page.clock.run_for(100)
    expect(labels).not_to_have_text(now or "")

    page.emulate_media(reduced_motion="reduce")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    resting = labels.text_content() or ""
    page.clock.run_for(3000)
    expect(labels).to_have_text(resting)
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(1000)
    expect(labels).not_to_have_text(resting)


@pytest.mark.parametrize("full", [255, 8])
def test_the_difference_map_is_that_of_the_lossless_pictures(
    open_file: Open, report_file: Path, full: int
) -> None:
    page = open_file(report_file)
    mode(page, "difference")
    page.get_by_role("combobox", name="Full scale").select_option(str(full))
    expect(page.locator(".cmp-ticks span").last).to_contain_text(str(full))
    own, other = (
        np.asarray(Image.open(report_file.parent / f"v{place}-p0-s0.png")).astype(int)
        for place in (0, 1)
    )
    apart = np.abs(own - other).max(axis=2)
    read = """(canvas) => [...canvas.getContext("2d")
      .getImageData(0, 0, canvas.width, canvas.height).data]"""
    drawn = np.array(page.locator(".cmp-pane canvas").evaluate(read)).reshape(SIDE, SIDE, 4)
    ramp = np.array(page.locator(".cmp-ramp canvas").evaluate(read)).reshape(256, 4)
    steps = np.minimum(255, np.floor(apart * 255 / full + 0.5)).astype(int)
    assert np.array_equal(drawn, ramp[steps])
    brightness = ramp[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(brightness) >= -0.8)
    about = page.locator(".cmp-legend p")
    expect(about).to_contain_text(f"Largest {apart.max()}, mean {apart.mean():.2f}")


def test_answers_are_marked_from_where_they_differ(open_file: Open, tmp_path: Path) -> None:
    page = open_file(write_html(text_report(), tmp_path))
    cards = page.locator(".cmp-asked").first.locator(".cmp-card")
    expect(cards.nth(1).locator("mark:visible")).to_have_text("because 28 doubles.")
    expect(cards.first.locator("mark:visible")).to_have_count(0)
    expect(cards.nth(1)).to_contain_text("it wrote alone")
    expect(cards.nth(2)).to_contain_text("OUT_OF_MEMORY")
    expect(page.locator(".cmp-asked").nth(1)).to_contain_text("The same answer as the reference")
    expect(page.get_by_role("table")).to_contain_text("weights only")
    expect(page.locator(".cmp")).to_contain_text("answered one after the other:")


@pytest.fixture
def studio_page(browser: Browser) -> Iterator[Page]:
    """A page that loads the modules one by one, as the studio's does."""

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix("http://127.0.0.1:9/")
        file = ROOT / "assets" / path if path else None
        if file is None:
            route.fulfill(content_type="text/html", body="<main></main>")
        else:
            route.fulfill(path=file)

    with people(browser) as make:
        context: BrowserContext = make()
        context.route("http://127.0.0.1:9/**", serve)
        page = context.new_page()
        page.goto("http://127.0.0.1:9/")
        for style in ("tokens", "compare", "compare-stage"):
            page.add_style_tag(url=f"/css/{style}.css")
        yield page


def texts() -> dict[str, str]:
    head = "script."
    return {k.removeprefix(head): v for k, v in catalogue("en").items() if k.startswith(head)}


def draw(page: Page, report: PictureReport | TextReport) -> None:
    page.evaluate(
        """async ([report, texts, file]) => {
          const { drawReport } = await import("/js/compare/view.js");
          const root = document.querySelector("main");
          window.drawn = drawReport(root, report, { file: () => file, language: "en", texts });
        }""",
        [shown(report, "en"), texts(), PIXEL],
    )


def update(page: Page, report: PictureReport | TextReport) -> None:
    page.evaluate("(report) => window.drawn.update(report)", shown(report, "en"))


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


def test_a_report_that_grows_leaves_its_reader_where_they_are(
    studio_page: Page, tmp_path: Path
) -> None:
    page = studio_page
    whole = picture_report(tmp_path, prompts=PROMPTS, seeds=SEEDS, variants=3)
    late = whole.variants[2].model_copy(update={"state": ComparedState.RUNNING, "total_s": None})
    early = whole.model_copy(
        update={
            "variants": (*whole.variants[:2], late),
            "pictures": tuple(each for each in whole.pictures if each.variant < 2),
        }
    )
    draw(page, early)
    expect(page.locator(".cmp-absent[data-state=running]")).to_have_count(4)
    page.locator("select[data-side=right]").select_option("2")
    expect(page.locator(".cmp-note:visible")).to_have_text("Running")
    page.locator(".cmp-strip button").nth(3).click()
    mode(page, "side")
    kept = page.locator(".cmp-grid img").first.element_handle()
    update(page, whole)
    expect(page.locator(".cmp-absent")).to_have_count(0)
    expect(page.locator(".cmp-pane img:visible")).to_have_count(2)
    expect(page.locator("select[data-side=right]")).to_have_value("2")
    expect(page.locator(".cmp-pick")).to_contain_text("seed 42")
    expect(page.locator(".cmp-stage")).to_have_attribute("data-mode", "side")
    assert kept is not None
    assert kept.evaluate("(image) => image.isConnected")


def test_answers_grow_while_they_are_written(studio_page: Page) -> None:
    page = studio_page
    whole = text_report()
    first = whole.answers[0].model_copy(
        update={"state": ComparedState.RUNNING, "text": "", "finish_reason": None}
    )
    draw(page, whole.model_copy(update={"answers": (first,)}))
    card = page.locator(".cmp-card").first
    expect(card).to_contain_text("being written")
    card.locator("summary").click()
    update(page, whole)
    expect(card.locator("details")).to_have_attribute("open", "")
    expect(card).to_contain_text(whole.answers[0].text)


def test_two_reports_lie_side_by_side(studio_page: Page, tmp_path: Path) -> None:
    page = studio_page
    a = picture_report(tmp_path, prompts=PROMPTS, seeds=SEEDS, variants=3)
    slow = [
        each.model_copy(
            update={"total_s": each.total_s and each.total_s.model_copy(update={"median": 12.45})}
        )
        for each in a.variants[:2]
    ]
    b = a.model_copy(
        update={
            "variants": tuple(slow),
            "request": a.request.model_copy(
                update={"steps": 28, "variants": a.request.variants[:2], "prompts": PROMPTS[1:]}
            ),
            "pictures": tuple(
                each.model_copy(update={"prompt": 0})
                for each in a.pictures
                if each.prompt == 1 and each.variant < 2
            ),
            "machine": a.machine.model_copy(update={"device": "NVIDIA RTX 4090"}),
        }
    )
    page.evaluate(
        """async ([a, b, texts, file]) => {
          const { drawBeside } = await import("/js/compare/beside.js");
          const given = { fileA: () => file, fileB: () => file, language: "en", texts };
          drawBeside(document.querySelector("main"), a, b, given);
        }""",
        [shown(a, "en"), shown(b, "en"), texts(), PIXEL],
    )
    steps = page.locator("[data-differing=settings] tr", has_text="Steps")
    expect(steps.locator("td")).to_have_text(["20", "28"])
    expect(page.locator("[data-differing=machine] tbody tr")).to_have_count(1)
    fp8 = page.locator("tbody", has=page.get_by_text("FP8 · TensorRT", exact=False)).locator(
        "tr", has_text="Time per picture"
    )
    assert a.variants[1].total_s is not None
    ratio = 12.45 / a.variants[1].total_s.median
    expect(fp8.last.locator("td").last).to_have_text(f"{ratio:.2f}×")
    expect(page.get_by_text("Only in A: NVFP4 · TensorRT")).to_be_visible()
    expect(page.locator(".cmp-beside option", has_text="BF16")).to_have_count(len(SEEDS))
    page.evaluate(
        """async ([a, b, texts]) => {
          const { drawBeside } = await import("/js/compare/beside.js");
          drawBeside(document.querySelector("main"), a, b, { language: "en", texts });
        }""",
        [shown(a, "en"), shown(text_report(), "en"), texts()],
    )
    expect(page.locator("main")).to_contain_text("nothing to lay side by side")
