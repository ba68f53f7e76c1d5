"""Two people at once, each with their own jobs and pictures, and the common queue."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.browser.actions import (
    LONG,
    QUICK,
    denoising,
    finished,
    generate,
    open_page,
    stage_state,
)
from tests.browser.conftest import Server

PAGE = {"x-studio-page": "1"}


def test_people_see_their_own_jobs_and_the_common_queue(
    new_context: Callable[..., BrowserContext],
) -> None:
    anna, ben = open_page(new_context()), open_page(new_context())
    generate(anna, "the secret of anna", **LONG)
    denoising(anna)
    generate(ben, "the secret of ben", **QUICK)
    expect(ben.locator("#queue li")).to_have_count(2)
    expect(ben.locator("#queue")).to_contain_text("Somebody else’s job")
    expect(ben.locator("#stage .s-job")).to_contain_text("Waiting as no. 1")
    assert "anna" not in ben.content()
    assert "secret of ben" not in anna.content()
    ben.keyboard.press("Escape")
    stage_state(ben, "cancelled")
    stage_state(anna, "running")
    anna.keyboard.press("Escape")
    stage_state(anna, "cancelled")


def test_guessing_an_id_opens_nothing(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    anna, eve = open_page(new_context()), open_page(new_context())
    generate(anna, "not for eve", **QUICK)
    job = finished(anna)
    address = str(anna.locator("#stage figure img").get_attribute("src"))

    assert anna.request.get(address).status == 200
    assert eve.request.get(address).status == 403
    assert eve.request.get(f"{address}?key={'0' * 64}").status == 403
    live = eve.request.get("/studio/live", params={"pinned": job, "last": job}).json()
    assert live["job"] == ""
    assert "not for eve" not in eve.request.get("/studio/history").text()
    for action in ("cancel", "retry", "delete"):
        assert eve.request.post(f"/studio/jobs/{job}/{action}", headers=PAGE).status == 404
    assert eve.request.post(f"/studio/jobs/{job}/owners", headers=PAGE).status == 422
    for path in (
        f"/gradio_api/file={server.settings.outputs}/{job}/1.png",
        f"/gradio_api/file={server.settings.home}/studio.db",
        f"/files/{job}/..%2f..%2fstudio.db",
        "/files/..%2f/studio.db",
    ):
        assert eve.request.get(path).status in (403, 404), path
    assert anna.request.get(address).status == 200


def test_another_site_cannot_act_and_a_stranger_has_no_cookie(
    new_context: Callable[..., BrowserContext],
) -> None:
    page = open_page(new_context())
    cookie = next(c for c in page.context.cookies() if c["name"] == "studio_visitor")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert len(cookie["value"]) == 32
    assert page.request.post("/studio/unload", data={"key": "demo-flux/fp32/torch"}).status == 403
    stranger = new_context()
    assert stranger.request.get("/studio/live").status == 403
