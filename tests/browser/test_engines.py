"""Engines on the page: offered, built, listed, looked into, loaded, rebuilt, deleted, cleaned up.

One set of engines serves all tests. What it lacks is built as a visitor would have it built: by
choosing a variant that is not ready, and closing the page.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from backend.contracts import (
    EngineLayer,
    EngineView,
    JobKind,
    JobState,
    Precision,
)
from backend.studio import Studio
from tests.browser.actions import QUICK, fill, finished, open_page, ready
from tests.browser.conftest import Server, people
from tests.browser.test_look import contrast
from tests.tiny_flux import BUILD_PATIENCE_S, copy_engines
from tests.tiny_flux import NAME as TINY

FP32 = f"{TINY}/fp32/onnxruntime"
INT8 = f"{TINY}/int8/onnxruntime"
FP8 = f"{TINY}/fp8/onnxruntime"
PROMPT = "a star that waits for its engines"
ROWS_IN_SIGHT = 80


@pytest.fixture(scope="module")
def built(
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_models: Path,
    tiny_engines: Path,
) -> Iterator[tuple[Server, list[dict[str, str]]]]:
    """A studio in which pictures were asked for while one of their engines was not there; and the
    cookies of who asked."""
    server = Server(tmp_path_factory.mktemp("engines") / "home", tiny_models)
    copy_engines(tiny_engines, server.settings.home)
    try:
        server.start()
        studio = Studio(server.settings)
        (encoder,) = (e for e in studio.engines.all() if e.manifest.module == "text_encoder")
        studio.engines.delete(encoder.manifest.id)
        context = browser.new_context(base_url=server.address, locale="en-US")
        page = open_page(context)
        choose(page, FP32)
        fill(page, PROMPT, **QUICK)
        offer = page.locator("#offer")
        expect(offer).to_contain_text("This variant has no engines yet.")
        offer.get_by_role("button", name=re.compile("^Build engines .*, then generate$")).click()
        expect(page.locator("#queue")).to_contain_text("after its engines")
        expect(page.locator("#stage")).to_contain_text("Waits until its engines are built")
        cookies = context.cookies()
        context.close()
        (pictures,) = studio.jobs.history(None, kinds=(JobKind.GENERATE,)).jobs
        done = studio.jobs.wait(pictures.id, None, BUILD_PATIENCE_S)
        assert done.state is JobState.SUCCEEDED, done.error
        studio.close()
        yield server, cookies  # type: ignore[misc]
    finally:
        server.stop()


@pytest.fixture
def open_studio(browser: Browser, built: Any) -> Iterator[Callable[..., Page]]:
    """Opens the page of the one who had the engines built."""
    server, cookies = built
    with people(browser, base_url=server.address) as make:

        def open_one(**options: Any) -> Page:
            context = make(**options)
            context.add_cookies(cookies)
            return open_page(context)

        yield open_one


@pytest.fixture
def engines(open_studio: Callable[..., Page]) -> Page:
    return to_engines(open_studio())


@pytest.fixture(scope="module")
def view(built: tuple[Server, Any]) -> EngineView:
    """The layers of the denoiser at INT8: how many there are depends on the exporter."""
    studio = Studio(built[0].settings)
    found = next(
        one.manifest.id
        for one in studio.engines.all()
        if (one.manifest.module, one.manifest.precision) == ("transformer", Precision.INT8)
    )
    shown = studio.engines.inspect(found)
    studio.close()
    assert len(shown.layers) > len(shown.fused) > 100
    return shown


def counts(part: int, whole: tuple[EngineLayer, ...]) -> str:
    return f"{part:,} / {len(whole):,}"


def choose(page: Page, variant: str) -> None:
    page.locator("#picker-current").click()
    page.locator(f'#picker-list input[value="{variant}"]').click()


def to_engines(page: Page) -> Page:
    page.locator("#tab-engines-button").click()
    expect(page.locator("#engines[data-ready]")).to_be_attached()
    return page


def group_of(page: Page) -> Locator:
    """The engines of the INT8 variant; those of FP32 are listed beside them."""
    return page.locator(f'.e-group[data-key^="{INT8}/"]')


def row(page: Page, module: str) -> Locator:
    return group_of(page).locator(f'tr[data-key^="{TINY}.{module}."]')


def test_pictures_came_after_their_engines_though_the_page_was_closed(
    open_studio: Callable[..., Page],
) -> None:
    page = open_studio()
    finished(page)
    expect(page.locator("#stage .s-prompt")).to_have_text(PROMPT)
    expect(page.locator("#metrics")).to_contain_text("FP32 · ONNX Runtime")


def test_engines_are_listed_by_variant_and_filtered(engines: Page, view: EngineView) -> None:
    expect(engines.locator(".e-group")).to_have_count(2)
    group = group_of(engines)
    expect(group).to_contain_text("Ready: engines for all its modules.")
    rows = group.locator("tr[data-text]")
    expect(rows).to_have_count(4)
    denoiser = row(engines, "transformer")
    for words in ("INT8", "ONNX Runtime 1.", "64–256 px", "MiB", "Fits"):
        expect(denoiser).to_contain_text(words)
    expect(denoiser).to_contain_text(f"{len(view.layers)} layers")
    engines.fill("#engine-search", "int8 denoiser")
    expect(rows.filter(visible=True)).to_have_count(1)
    engines.fill("#engine-search", "nothing like it")
    expect(group).to_be_hidden()
    expect(engines.get_by_text("No engine fits this search.")).to_be_visible()
    engines.fill("#engine-search", "")
    engines.select_option("#engine-state", "valid")
    expect(rows.filter(visible=True)).to_have_count(4)


def test_the_form_says_what_a_build_needs_and_refuses_what_cannot_work(
    built: tuple[Server, list[dict[str, str]]], engines: Page
) -> None:
    form = engines.locator("#engine-form")
    engines.select_option("#build-model", TINY)
    engines.select_option("#build-precision", "nvfp4")
    expect(form).to_contain_text("GB10 (DGX Spark) — sm121. Built here, it cannot run here")
    expect(form).to_contain_text("not known yet")
    for name in ("Disk", "Memory", "Time"):
        expect(form.get_by_text(name, exact=True)).to_be_visible()
    engines.select_option("#build-target", "sm89")
    expect(form).to_contain_text("GeForce RTX 40")
    engines.select_option("#build-precision", "fp8")
    engines.select_option("#build-runtime", "onnxruntime")
    expect(form).to_contain_text("from other builds of this model")
    expect(engines.locator("#build-target")).to_have_count(0)
    expect(engines.locator("#build-go")).to_be_enabled()
    engines.select_option("#build-sizes", "range")
    engines.fill("#build-min_side", "250")
    expect(form.locator(".s-error")).to_have_attribute("data-code", "PROFILE_INVALID")
    expect(engines.locator("#build-go")).to_have_count(0)
    engines.fill("#build-min_side", "128")
    expect(engines.locator("#build-go")).to_be_enabled()
    engines.select_option("#build-sizes", "any")
    engines.select_option("#build-precision", "int8")
    engines.locator(".e-advanced summary").click()
    engines.fill("#build-alpha", "1.5")
    expect(form.locator(".s-error")).to_have_attribute("data-code", "RECIPE_INVALID")
    engines.fill("#build-alpha", "")
    own = b"a red circle\na star\n"
    engines.set_input_files(
        "#build-own_prompts", {"name": "own.txt", "mimeType": "text/plain", "buffer": own}
    )
    expect(form.locator(".e-own")).to_contain_text("2 prompts in your file")
    expect(engines.locator("#build-prompts")).to_have_attribute("placeholder", "2")
    expect(engines.locator("#build-go")).to_be_enabled()
    form.locator(".e-own button").click()
    expect(engines.locator("#build-prompts")).to_have_attribute("placeholder", "32")
    engines.select_option("#build-precision", "fp32")
    expect(engines.locator("#build-alpha")).to_have_count(0)
    expect(engines.locator("#build-go")).to_be_disabled()


def test_inspect_shows_calibration_and_fusion_at_work(engines: Page, view: EngineView) -> None:
    row(engines, "transformer").get_by_role("button", name="Inspect").click()
    shown = engines.locator("#engine-inspect")
    expect(engines.locator("#inspect-title")).to_be_focused()
    products = [layer for layer in view.layers if layer.kind in ("MatMul", "Gemm", "Conv")]
    in_int8 = sum(layer.precision == "int8" for layer in products)
    assert in_int8 > 10
    expect(shown.locator("#calibration")).to_contain_text(
        f"INT8: here {in_int8} of {len(products)}"
    )
    fusion = shown.locator("#fusion")
    expect(fusion).to_contain_text(f"{len(view.layers)} layers became {len(view.fused)}")
    pattern = fusion.locator(".e-patterns tr").first
    expect(pattern).to_contain_text(re.compile("DequantizeLinear × 2 . MatMul.*MatMulIntegerToFl"))
    expect(shown.locator(".e-legend")).to_contain_text("INT8")
    expect(shown.locator(".e-strip rect[data-precision=int8]").first).to_be_attached()
    shown.get_by_role("button", name="All engines").click()
    expect(row(engines, "transformer").get_by_role("button", name="Inspect")).to_be_focused()


def test_the_table_of_layers_is_searched_and_sorted_and_stays_small(
    engines: Page, view: EngineView
) -> None:
    row(engines, "transformer").locator(".e-name").click()
    count, lines = engines.locator("#layer-count"), engines.locator("#layer-rows .e-layer")
    every = counts(len(view.layers), view.layers)
    expect(count).to_have_text(every)
    assert lines.count() < ROWS_IN_SIGHT
    engines.locator("#layer-rows").evaluate("body => body.scrollTo(0, body.scrollHeight)")
    expect(lines.last.locator("span").first).to_have_text(str(len(view.layers)))
    assert lines.count() < ROWS_IN_SIGHT
    engines.locator("#layers").get_by_role("columnheader", name="Weights").click()
    heaviest = lines.first.get_by_role("cell").nth(5)
    expect(heaviest).to_contain_text("KiB")
    engines.fill("#layer-search", "quantizelinear attn.to_q")
    expect(count).not_to_have_text(every)
    for kind in lines.evaluate_all("rows => rows.map((row) => row.children[1].textContent)"):
        assert "quantizelinear" in kind.lower()
    engines.fill("#layer-search", "MatMulIntegerToFloat")
    expect(count).to_have_text(counts(0, view.layers))
    engines.get_by_role("button", name="After fusion").click()
    merged = sum(one.kind == "MatMulIntegerToFloat" for one in view.fused)
    assert merged > 10
    expect(count).to_have_text(counts(merged, view.fused))
    expect(lines.first).to_have_attribute("title", re.compile("DequantizeLinear"))
    engines.get_by_role("button", name="Measure each layer").click()
    expect(engines.locator("#layers > p")).to_contain_text("layers take")
    engines.locator("#layers").get_by_role("columnheader", name="Time").click()
    expect(lines.first.get_by_role("cell").nth(6)).to_contain_text(" ms")


LOOK_AGAIN = """async () => {
  const { src } = document.querySelector('script[src$="studio.js"]');
  const { drawEngines } = await import(src.replace("studio.js", "engines.js"));
  await drawEngines();
}"""
"""A second look, whether or not the page's news come in two pieces."""


def _as_if_in_use(route: Route) -> None:
    """News in which a job still uses the model."""
    news = route.fetch(url=re.sub(r"seen=[^&]*", "seen=", route.request.url)).json()
    chip = f'data-key="{INT8}"'
    news["parts"]["status"] = news["parts"]["status"].replace(chip, f"{chip} data-busy")
    news["marks"]["status"] = "busy"
    route.fulfill(json=news)


def test_a_variant_is_loaded_and_unloaded(engines: Page) -> None:
    chip = engines.locator(f'#status .s-chip[data-key="{INT8}"]')
    group = group_of(engines)
    if chip.count():
        group.get_by_role("button", name="Unload").click()
        expect(chip).to_have_count(0)
    late: list[Route] = []
    engines.route(
        re.compile(r"/studio/engines\??$"),
        lambda route: route.continue_() if late else late.append(route),
    )
    with engines.expect_request(re.compile(r"/studio/engines\??$")):
        group.get_by_role("button", name="Load").click()
    expect(chip).to_have_count(1)
    engines.evaluate(LOOK_AGAIN)
    expect(group.get_by_role("button", name="Unload")).to_be_visible()
    with engines.expect_response(re.compile(r"/studio/engines\??$")):
        late[0].fulfill(json={"html": "", "count": 0})
    engines.unroute(re.compile(r"/studio/engines\??$"))
    expect(engines.locator("#engine-jobs")).to_contain_text("In memory now")
    engines.route(re.compile(r"/studio/live"), _as_if_in_use)
    expect(engines.locator(f'#status .s-chip[data-key="{INT8}"][data-busy]')).to_have_count(1)
    with engines.expect_request(re.compile(r"/studio/engines\??$")):
        engines.unroute(re.compile(r"/studio/live"))
    group.get_by_role("button", name="Unload").click()
    expect(chip).to_have_count(0)
    expect(group.get_by_role("button", name="Load")).to_be_visible()
    engines.get_by_role("button", name="Remove from this list").first.click()
    expect(engines.locator("#engine-jobs")).not_to_contain_text("In memory now")


def test_an_engine_is_deleted_with_two_presses_and_built_again(
    engines: Page, built: tuple[Server, Any]
) -> None:
    studio = Studio(built[0].settings)
    (encoder,) = (e for e in studio.engines.all() if e.manifest.module == "text_encoder")
    delete = row(engines, "text_encoder").get_by_role("button", name="Delete")
    delete.click()
    expect(row(engines, "text_encoder")).to_contain_text("for good?")
    assert len(studio.engines.all()) == 5
    delete.click()
    expect(row(engines, "text_encoder")).to_have_count(0)
    group = group_of(engines)
    expect(group).to_contain_text("Not built: Text encoder")
    expect(group).to_contain_text("3 of 4 engines are there and fit.")
    group.get_by_role("button", name="Build the 1 missing").click()
    expect(engines.locator("#engine-jobs")).to_contain_text("Export")
    expect(row(engines, "text_encoder")).to_have_count(1, timeout=BUILD_PATIENCE_S * 1000)
    expect(group).to_contain_text("Ready: engines for all its modules.")
    (again,) = (e for e in studio.engines.all() if e.manifest.module == "text_encoder")
    assert again.manifest.id == encoder.manifest.id
    assert again.manifest.created_at > encoder.manifest.created_at
    rebuilt = studio.engines.rebuild(again.manifest.id, None)
    assert studio.jobs.get(rebuilt, None).request["again"]
    studio.jobs.cancel(rebuilt, None)
    studio.close()


def test_clean_up_says_what_would_go_and_does_just_that(
    engines: Page, built: tuple[Server, Any]
) -> None:
    home = built[0].settings.home
    engines.locator("#engine-go-storage").click()
    storage = engines.locator("#engine-storage")
    for kind in ("ONNX exports", "Engines that fit", "Calibrations", "Pictures"):
        expect(storage.get_by_text(kind, exact=True)).to_be_visible()
    ask = storage.get_by_role("button", name="Clean up…")
    expect(ask).to_be_disabled()
    kept = list((home / "calibrations").iterdir())
    calibrations = files(home / "calibrations")
    assert calibrations
    storage.get_by_label("Calibrations").check()
    ask.click()
    window = engines.get_by_role("dialog")
    expect(window.locator("li")).to_have_count(len(kept))
    for path in kept:
        expect(window).to_contain_text(path.name)
    window.get_by_role("button", name="Keep everything").click()
    expect(window).to_be_hidden()
    assert files(home / "calibrations") == calibrations
    ask.click()
    before = files(home)
    with engines.expect_response(lambda answer: "engines/form" in answer.url):
        window.get_by_role("button", name=re.compile("^Delete for good")).click()
    expect(storage.get_by_text("Calibrations", exact=True)).to_have_count(0)
    expect(engines.locator("#engine-notice")).to_contain_text(f"Deleted: {len(kept)}.")
    assert before - files(home) == calibrations


def files(home: Path) -> set[Path]:
    return {file for file in home.rglob("*") if file.is_file() and "studio.db" not in file.name}


def test_pytorch_instead_is_one_click(open_studio: Callable[..., Page]) -> None:
    page = open_studio()
    choose(page, FP8)
    fill(page, "a circle that cannot wait", **QUICK)
    expect(page.locator("#generate")).to_be_hidden()
    page.get_by_role("button", name="Generate now with PyTorch FP32 instead").click()
    expect(page.locator("#stage .s-prompt")).to_have_text("a circle that cannot wait")
    finished(page)
    expect(page.locator("#metrics")).to_contain_text("FP32 · PyTorch")
    expect(page.locator("#offer button")).to_have_count(0)


def test_a_variant_without_engines_is_not_generated_by_keyboard(
    open_studio: Callable[..., Page],
) -> None:
    page = open_studio()
    choose(page, FP8)
    expect(page.locator("#offer-build")).to_be_visible()
    page.focus("#prompt textarea")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#offer-build")).to_be_focused()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_a_phone_shows_the_tab_without_scrolling_sideways(
    open_studio: Callable[..., Page], view: EngineView, locale: str
) -> None:
    page = to_engines(open_studio(locale=locale, viewport={"width": 360, "height": 844}))
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    row(page, "transformer").locator(".e-name").click()
    expect(page.locator("#layer-count")).to_have_text(counts(len(view.layers), view.layers))
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    page.locator("#engine-go-storage").click()
    expect(page.locator(".e-storage")).to_be_visible()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    assert max(widths) <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_and_controls_have_names(
    open_studio: Callable[..., Page], scheme: str
) -> None:
    page = to_engines(open_studio(color_scheme=scheme))
    for selector in (".e-reason", ".e-table small", ".e-estimate dt", "#engine-views button"):
        assert contrast(page, selector) > 4.5, selector
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("#engines :is(button, input, select, summary)")]
          .filter((e) => e.checkVisibility())
          .filter((e) => !(e.ariaLabel || e.title || e.textContent.trim()
            || [...(e.labels ?? [])].some((label) => label.textContent.trim())))
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_the_variants_picker_says_the_offer_in_korean(open_studio: Callable[..., Page]) -> None:
    page = ready(open_studio(locale="ko-KR"))
    choose(page, FP8)
    expect(page.locator("#offer")).to_contain_text("대신 PyTorch FP32로 지금 생성")
