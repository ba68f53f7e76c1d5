"""Whatever goes away and comes back, the page shows the true state without a click."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.actions import (
    LONG,
    QUICK,
    denoising,
    fill,
    finished,
    generate,
    open_page,
    ready,
    shown_job,
    stage_state,
)
from tests.browser.conftest import SupervisedServer
from tests.support import until


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupervisedServer]:
    """A studio that may be killed."""
    made = SupervisedServer(tmp_path_factory.mktemp("killed") / "home")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def own_page(browser: Browser, own_server: SupervisedServer) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", base_url=own_server.address)
    yield open_page(context)
    context.close()


def news_again(page: Page, server: SupervisedServer) -> None:
    """Wait until the page has asked the web process that was started after a kill; whether it said
    that it was waiting depends on how long the start took."""
    until(server.is_ready, "the web process")
    with page.expect_response(lambda answer: "/studio/live" in answer.url and answer.ok):
        pass
    expect(page.locator("#connection")).to_be_empty()


def test_a_reload_in_the_middle(page: Page) -> None:
    generate(page, "a blue ring", **LONG)
    denoising(page)
    job = shown_job(page)
    fill(page, "typed but not sent", steps=7)
    page.reload()
    ready(page)
    denoising(page)
    assert shown_job(page) == job
    expect(page.locator("#prompt textarea")).to_have_value("typed but not sent")
    expect(page.locator("#steps input[type=number]")).to_have_value("7")
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")


def test_a_second_tab_and_a_later_visit(
    new_context: Callable[..., BrowserContext],
) -> None:
    context = new_context()
    first = open_page(context)
    generate(first, "a grey star", **LONG)
    denoising(first)
    job = shown_job(first)
    second = open_page(context)
    denoising(second)
    assert shown_job(second) == job
    first.close()
    second.keyboard.press("Escape")
    stage_state(second, "cancelled")
    second.close()
    later = open_page(context)
    stage_state(later, "cancelled")
    assert shown_job(later) == job


def test_the_web_process_is_killed_in_the_middle(
    own_page: Page, own_server: SupervisedServer
) -> None:
    page = own_page
    generate(page, "a green crescent", **LONG)
    denoising(page)
    job = shown_job(page)
    page.fill("#prompt textarea", "being typed")
    page.focus("#prompt textarea")
    own_server.kill_web()
    news_again(page, own_server)
    denoising(page)
    assert shown_job(page) == job
    expect(page.locator("#prompt textarea")).to_have_value("being typed")
    expect(page.locator("#prompt textarea")).to_be_focused()
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")
    generate(page, "after the restart", **QUICK)
    expect(page.locator("#stage .s-prompt")).to_have_text("after the restart")
    finished(page)


def test_a_server_that_hangs_is_said_to_be_away(
    own_page: Page, own_server: SupervisedServer
) -> None:
    with own_server.frozen_web():
        expect(own_page.locator("#connection")).not_to_be_empty()
    expect(own_page.locator("#connection")).to_be_empty()


def test_generate_is_pressed_while_the_web_process_is_away(
    own_page: Page, own_server: SupervisedServer
) -> None:
    page = own_page
    fill(page, "asked of a dead server", **QUICK)
    own_server.kill_web()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#connection")).to_be_empty()
    ready(page)
    expect(page.locator("#prompt textarea")).to_have_value("asked of a dead server")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#stage .s-prompt")).to_have_text("asked of a dead server")
    finished(page)


def test_the_worker_is_killed_in_the_middle(own_page: Page, own_server: SupervisedServer) -> None:
    page = own_page
    generate(page, "a pink heart", **LONG)
    denoising(page)
    own_server.kill_worker()
    stage_state(page, "interrupted")
    expect(page.locator("#stage .s-error")).to_have_attribute("data-code", "WORKER_DIED")
    page.get_by_role("button", name="Try again").click()
    denoising(page)
    page.keyboard.press("Escape")
    stage_state(page, "cancelled")


def test_who_is_signed_in_stays_so_when_the_web_process_is_killed(
    browser: Browser, tmp_path: Path
) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text("# people\nanna:a secret: really\nben:another\n")
    server = SupervisedServer(tmp_path / "home").start("--auth", str(accounts))
    try:
        assert httpx.get(f"{server.address}/studio/live").status_code == 403
        context = browser.new_context(locale="en-US", base_url=server.address)
        page = context.new_page()
        page.goto("/")
        page.get_by_role("textbox").first.fill("anna")
        page.locator("input[type=password]").fill("a secret: really")
        page.keyboard.press("Enter")
        ready(page)
        generate(page, "made by anna", **QUICK)
        job = finished(page)
        server.kill_web()
        news_again(page, server)
        assert shown_job(page) == job
        generate(page, "made by anna again", **QUICK)
        expect(page.locator("#stage .s-prompt")).to_have_text("made by anna again")
        finished(page)
        context.close()
    finally:
        server.stop()


def test_the_whole_studio_is_restarted(own_page: Page, own_server: SupervisedServer) -> None:
    page = own_page
    generate(page, "a house at night", **QUICK)
    expect(page.locator("#stage .s-prompt")).to_have_text("a house at night")
    job = finished(page)
    own_server.stop()
    expect(page.locator("#connection")).not_to_be_empty()
    own_server.start()
    expect(page.locator("#connection")).to_be_empty()
    expect(page.locator("#worker-state")).to_have_attribute("data-state", "ready")
    assert shown_job(page) == job
    generate(page, "the morning after", **QUICK)
    expect(page.locator("#stage .s-prompt")).to_have_text("the morning after")
    finished(page)
