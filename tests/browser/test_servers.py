"""Servers of language models on the page: chosen, started, watched, stopped; and how they fail."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import open_page
from tests.browser.conftest import Server, people
from tests.browser.test_look import contrast
from tests.chat_server import StandIn, running
from tests.tiny_llama import make_tiny_llama
from tests.unit.test_chat_simulation import fp8_checkpoint

KEY = "tiny/transformers"
READY = "#servers [data-phase=ready]"
OFFER = """document.getElementById('server-outside').insertAdjacentHTML('afterend',
  '<button id="offered" data-action="server-start" data-model="small-fp8" data-server="simulated">'
  + 'Start</button>')"""
"""What any part of the page may offer: a server at one press."""
EVENTS = "window.told = 0; document.addEventListener('studio:servers', () => window.told++)"


@pytest.fixture(scope="module")
def outside() -> Iterator[StandIn]:
    """A server that the studio's owner runs elsewhere."""
    with running(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, outside: StandIn) -> Iterator[Server]:
    """A studio with a model, one that no server knows, one quantised, one without template."""
    home = tmp_path_factory.mktemp("servers") / "home"
    models = home / "checkpoints"
    make_tiny_llama(models / "tiny")
    make_tiny_llama(models / "odd", model_type="odd", architectures=["OddForCausalLM"])
    make_tiny_llama(models / "plain", template=None)
    fp8_checkpoint(models / "small-fp8")
    (home / "studio.toml").write_text(f"chat_url = {json.dumps(outside.url)}\nstop_grace_s = 2.0\n")
    server = Server(home)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def open_servers(browser: Browser, house: Server) -> Iterator[Callable[..., Page]]:
    with people(browser, base_url=house.address) as make:

        def open_one(**options: Any) -> Page:
            page = open_page(make(**options))
            page.locator("#tab-chat-button").click()
            expect(page.locator("#chat[data-ready]")).to_be_attached()
            if page.locator("#chat-house").is_hidden():
                page.locator("#chat-go-house").click()
            expect(page.locator("#chat-servers[data-ready]")).to_be_attached()
            return page

        yield open_one


def choose(page: Page, model: str) -> None:
    """Take a model; the form has been drawn for it on return."""
    page.select_option("#server-model", model)
    expect(page.locator(f'.v-kinds[data-key="kinds:{model}"]')).to_be_visible()


def kind(page: Page, name: str) -> str:
    return page.locator(f".v-kind:has(#server-{name})").inner_text()


def test_from_start_to_stop(open_servers: Callable[..., Page]) -> None:
    page = open_servers()
    page.evaluate(EVENTS)
    choose(page, "tiny")
    assert "It needs an NVIDIA GPU." in kind(page, "vllm")
    expect(page.locator("#server-vllm")).to_be_disabled()
    expect(page.locator("#server-transformers")).to_be_checked()
    expect(page.locator(".e-estimate")).to_contain_text("libraries")
    page.fill("#server-context_tokens", "1024")
    page.click("#server-go")
    card = page.locator(f'#servers [data-server="{KEY}"]')
    expect(card.locator(".s-steps")).to_be_visible()
    chip = page.locator("#status-servers .s-chip")
    expect(chip).to_have_attribute("data-phase", re.compile("starting|loading"))
    other = open_servers()
    expect(other.locator(READY)).to_be_visible()
    expect(card).to_have_attribute("data-phase", "ready")
    facts = card.inner_text()
    for said in ("tiny", "FP32", "transformers", "1024 tokens", "Port", "Set aside", "Ready after"):
        assert said in facts, said
    expect(card.locator("svg polyline")).to_be_visible()
    card.locator("summary").click()
    expect(card.locator(".v-log")).to_contain_text("Uvicorn running")
    expect(chip).to_contain_text("MiB")
    expect(page.locator("#server-go")).to_be_disabled()
    assert "Runs already." in kind(page, "transformers")
    assert page.evaluate("window.told") >= 3, "it came, was in other phases, and is ready"
    stop = card.get_by_role("button", name="Stop")
    stop.click()
    expect(stop).to_have_text("Stop it for everybody?")
    stop.click()
    expect(card).not_to_be_attached()
    expect(chip).not_to_be_attached()
    expect(page.locator("#servers")).to_contain_text("No server is running.")
    expect(other.locator("#servers")).to_contain_text("No server is running.")
    expect(page.locator("#server-go")).to_be_enabled()


def test_what_fails_says_why_and_can_be_tried_again_or_put_away(
    open_servers: Callable[..., Page],
) -> None:
    page = open_servers()
    choose(page, "odd")
    page.click("#server-go")
    failed = page.locator("#servers [data-phase=failed]")
    expect(failed.locator("[data-code]")).to_have_attribute("data-code", "ARCHITECTURE_UNSUPPORTED")
    expect(failed.get_by_role("button", name="Try again")).to_be_visible()
    failed.locator("summary", has_text="Server log").click()
    expect(failed.locator(".v-log")).to_contain_text("odd")
    expect(page.locator("#status-servers .s-chip")).to_contain_text("Failed")
    failed.get_by_role("button", name="Remove from the list").click()
    expect(page.locator("#servers")).to_contain_text("No server is running.")


def test_a_simulation_says_so_everywhere_and_is_cancelled(
    open_servers: Callable[..., Page], house: Server
) -> None:
    page = open_servers()
    choose(page, "small-fp8")
    expect(page.locator("#server-transformers")).to_be_disabled()
    expect(page.locator("#server-simulated")).to_be_checked()
    assert "weights only, simulated" in kind(page, "simulated")
    page.evaluate(OFFER)
    page.click("#offered")
    card = page.locator("#servers [data-server]")
    expect(card.locator("header .v-simulated")).to_have_text("weights only, simulated")
    expect(card.locator("header strong")).to_have_text("small-fp8")
    expect(page.locator("#status-servers")).to_contain_text("weights only, simulated")
    card.get_by_role("button", name="Stop this job").click()
    expect(card).not_to_be_attached()
    expect(page.locator("#servers")).to_contain_text("Stopped")
    page.get_by_role("button", name="Remove from the list").click()
    expect(page.locator("#servers")).to_contain_text("No server is running.")
    assert list((house.settings.home / "simulated_checkpoints").glob("small-fp8-simulated-*"))


def test_the_form_refuses_in_words(open_servers: Callable[..., Page], house: Server) -> None:
    page = open_servers()
    choose(page, "plain")
    expect(page.locator("#server-form")).to_contain_text("only completion mode")
    notice = page.locator("#servers-notice [data-code]")
    page.fill("#server-context_tokens", "5000")
    expect(notice).to_have_attribute("data-code", "SAMPLING_OUT_OF_RANGE")
    page.fill("#server-context_tokens", "")
    expect(notice).not_to_be_attached()
    page.fill("#server-other", "nothing here")
    page.keyboard.press("Tab")
    expect(notice).to_have_attribute("data-code", "CHAT_MODEL_NOT_FOUND")
    page.fill("#server-other", str(house.settings.home / "checkpoints" / "tiny"))
    page.keyboard.press("Tab")
    expect(page.locator("#server-go")).to_be_enabled()
    page.fill("#server-other", "maker/model")
    page.keyboard.press("Tab")
    expect(page.locator("#server-go")).to_have_text("Fetch and start")
    assert "Is on this machine." in kind(page, "transformers")


def test_the_owners_server_and_the_look(
    open_servers: Callable[..., Page], outside: StandIn
) -> None:
    page = open_servers(locale="ko-KR", color_scheme="dark", viewport={"width": 390, "height": 844})
    own = page.locator("#server-outside")
    expect(own).to_contain_text("응답합니다. stand-in 모델을 서비스합니다.")
    expect(own).to_contain_text(outside.url.removeprefix("http://"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for part in (".v-about", ".v-kind small", "#server-go", "#server-outside .s-card"):
        assert contrast(page, part) > 4.5, part
    words = set(re.findall(r"[A-Za-z]{4,}", page.inner_text("#chat-servers")))
    names = {
        "TensorRT",
        "transformers",
        "Hugging",
        "Face",
        "NVIDIA",
        "vLLM",
        "plain",
        "tiny",
        "demo",
        "chat",
    }
    assert words - names <= {"container", "small", "stand", "Qwen"}
    outside.refusal = (401, '{"error": {"message": "wrong key"}}')
    page.reload()
    page.locator("#tab-chat-button").click()
    expect(own.locator("[data-code]")).to_have_attribute("data-code", "SERVER_KEY_REFUSED")
    outside.refusal = None
