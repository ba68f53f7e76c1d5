import io
import json
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import (
    LONG,
    QUICK,
    denoising,
    fill,
    finished,
    generate,
    shown_job,
    stage_state,
)
from tests.browser.conftest import Server


def test_a_picture_is_made_and_is_the_lossless_file(page: Page, server: Server) -> None:
    generate(page, "a red circle left of a blue square", **QUICK)
    job = finished(page)
    image = page.locator("#stage figure img")
    expect(image).to_have_js_property("naturalWidth", 64)
    shown = page.request.get(str(image.get_attribute("src")))
    assert shown.headers["content-type"] == "image/png"
    assert shown.body() == next((server.settings.outputs / job).glob("*.png")).read_bytes()
    carried = json.loads(Image.open(io.BytesIO(shown.body())).info["spark_studio"])
    assert carried["prompt"] == "a red circle left of a blue square"
    metrics = page.locator("#metrics")
    for text in ("FP32 · PyTorch", "64 × 64", "it/s", str(carried["seed"])):
        expect(metrics).to_contain_text(text)
    with page.expect_download() as download:
        page.locator("#stage figure").hover()
        page.get_by_role("link", name="Download PNG").click()
    assert Path(download.value.path()).read_bytes() == shown.body()
    assert download.value.suggested_filename.endswith(".png")


def test_several_pictures_count_their_seeds_up(page: Page) -> None:
    fill(page, "a green star", **QUICK | {"count": 3}, seed=40)
    page.get_by_label("Keep").check()
    page.get_by_role("button", name="Generate").click()
    finished(page)
    expect(page.locator("#stage figure img")).to_have_count(3)
    expect(page.locator("#metrics")).to_contain_text("40 … 42")
    page.get_by_role("button", name="View large").nth(1).click()
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    page.keyboard.press("ArrowRight")
    last = page.locator("#stage figure img").nth(2).get_attribute("src")
    assert (viewer.locator("img").get_attribute("src") or "").endswith(str(last))
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()


def test_progress_shows_preview_phases_and_speed(page: Page) -> None:
    generate(page, "a yellow heart", **LONG)
    expect(page.locator("#stage .s-preview")).to_be_visible()
    denoising(page)
    card = page.locator("#stage .s-job")
    expect(card).to_contain_text("it/s")
    expect(card.locator('li[aria-current="step"]')).to_have_text("Denoise")
    expect(page.get_by_role("button", name="Generate")).to_be_hidden()
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()


def test_escape_stops_and_the_job_can_be_tried_again(page: Page) -> None:
    generate(page, "a purple ring", **LONG)
    denoising(page)
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")
    expect(page.locator("#stage")).to_contain_text("Stopped")
    job = shown_job(page)
    page.get_by_role("button", name="Try again").click()
    denoising(page)
    assert shown_job(page) == job
    page.get_by_role("button", name="Stop", exact=True).click()
    stage_state(page, "cancelled")


def test_more_jobs_wait_while_one_runs(page: Page) -> None:
    generate(page, "the first of two", **LONG)
    denoising(page)
    generate(page, "the second of two", **QUICK)
    queue = page.locator("#queue")
    expect(queue).to_contain_text("the second of two")
    expect(queue.get_by_role("listitem")).to_have_count(2)
    expect(page.locator("#stage .s-prompt")).to_have_text("the first of two")
    queue.get_by_role("listitem").filter(has_text="the first").get_by_role(
        "button", name="Stop this job"
    ).click()
    expect(page.locator("#stage .s-prompt")).to_have_text("the second of two")
    finished(page)
    expect(queue).to_contain_text("Nothing is waiting.")


def test_settings_are_taken_from_a_job_and_from_a_dropped_picture(
    page: Page, tmp_path: Path
) -> None:
    generate(page, "a black cross", **QUICK, guidance=2.5)
    finished(page)
    address = page.locator("#stage figure img").get_attribute("src")
    picture = tmp_path / "mine.png"
    picture.write_bytes(page.request.get(str(address)).body())
    seed = page.locator("#seed input").input_value()

    for take in ("button", "drop", "choose"):
        fill(page, "something else", steps=9, width=128, height=96, guidance=1, seed=3)
        if take == "button":
            page.get_by_role("button", name="Reuse settings").click()
        elif take == "choose":
            page.set_input_files("#settings-file", picture)
        else:
            drop(page, picture)
        expect(page.locator("#prompt textarea")).to_have_value("a black cross")
        values = {"steps": "4", "width": "64", "height": "64", "guidance": "2.5", "seed": seed}
        for name, value in values.items():
            expect(page.locator(f"#{name} input[type=number]")).to_have_value(value)
        expect(page.get_by_label("Keep")).to_be_checked()
        page.get_by_label("Keep").uncheck()


def drop(page: Page, file: Path) -> None:
    """Drop a file onto the middle of the page, as a person would."""
    data = page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          const file = new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" });
          transfer.items.add(file);
          return transfer;
        }""",
        list(file.read_bytes()),
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#images-stage", event, {"dataTransfer": data})


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda file: Image.new("RGB", (64, 64)).save(file), "IMAGE_WITHOUT_SETTINGS"),
        (lambda file: file.write_bytes(b"<svg onload=alert(1)>"), "IMAGE_UNREADABLE"),
    ],
)
def test_a_foreign_picture_is_refused_in_words(page: Page, tmp_path: Path, make, code) -> None:
    file = tmp_path / "foreign.png"
    make(file)
    drop(page, file)
    expect(page.locator("#notice .s-error")).to_have_attribute("data-code", code)


def test_history_is_searched_opened_and_emptied(page: Page) -> None:
    for prompt in ("a white house by the sea", "100 % of a night sky"):
        generate(page, prompt, **QUICK)
        expect(page.locator("#stage .s-prompt")).to_have_text(prompt)
        finished(page)
    entries = page.locator("#history li")
    expect(entries).to_have_count(2)
    page.fill("#history-search", "100 %")
    expect(entries).to_have_count(1)
    page.fill("#history-search", "no such <b>words</b>")
    expect(page.locator("#history")).to_contain_text("No prompt contains “no such <b>words</b>”.")
    page.fill("#history-search", "")
    expect(entries).to_have_count(2)
    page.get_by_role("button", name="Open: a white house by the sea").click()
    expect(page.locator("#stage .s-prompt")).to_have_text("a white house by the sea")
    delete = page.locator("#stage").get_by_role("button", name="Delete")
    delete.click()
    expect(entries).to_have_count(2)
    delete.click()
    expect(entries).to_have_count(1)
    expect(page.locator("#stage .s-prompt")).to_have_text("100 % of a night sky")


def test_a_model_is_unloaded_by_hand(page: Page) -> None:
    generate(page, "a brown square", **QUICK)
    finished(page)
    page.get_by_role("button", name="Unload demo-flux · FP32 · PyTorch").click()
    expect(page.locator("#status .s-chip")).to_have_count(0)


def test_a_negative_prompt_is_asked_for_where_the_model_takes_one(
    page: Page, server: Server
) -> None:
    negative = page.locator("#negative-prompt textarea")
    expect(negative).to_be_hidden()
    page.locator("#picker-current").click()
    page.locator('#picker-list input[value="demo-sdxl/fp32/torch"]').check()
    expect(page.locator("#guidance input[type=number]")).to_have_value("2")
    expect(negative).to_be_visible()
    negative.fill("a blue square")
    generate(page, "a red circle", **QUICK)
    job = finished(page)
    file = next((server.settings.outputs / job).glob("*.png"))
    assert json.loads(Image.open(file).info["spark_studio"])["negative_prompt"] == "a blue square"
    page.reload()
    expect(page.locator("body[data-ready]")).to_be_attached()
    expect(negative).to_have_value("a blue square")
    page.locator("#picker-current").click()
    page.locator('#picker-list input[value="demo-flux/fp32/torch"]').check()
    expect(negative).to_be_hidden()
    generate(page, "a red circle", **QUICK)
    expect(page.locator("#stage .s-stage")).not_to_have_attribute("data-job", job)
    assert finished(page)


def test_a_variant_that_is_chosen_while_the_server_is_slow_stays_chosen(page: Page) -> None:
    held: list[Route] = []
    page.route("**/gradio_api/run/**", lambda route: held.append(route))
    page.locator("#picker-current").click()
    with page.expect_request("**/gradio_api/run/**"):
        page.locator('#picker-list input[value="demo-sdxl/fp32/torch"]').check()
    chosen = page.locator('#picker-list input[value="demo-sdxl/bf16/torch"]')
    page.locator("#picker-current").click()
    chosen.check()
    for asked in held:
        asked.continue_()
    page.unroute("**/gradio_api/run/**")
    expect(page.locator("#guidance input[type=number]")).to_have_value("2")
    expect(page.locator("#negative-prompt textarea")).to_be_visible()
    expect(chosen).to_be_checked()
