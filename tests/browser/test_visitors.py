"""A studio in visitors mode: a visitor, an API client and the host."""

import re
from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, expect

from tests.browser.actions import QUICK, finished, generate, open_page
from tests.browser.conftest import NewContext, SupervisedServer, people
from tests.support import ROOT

PAGE = {"x-studio-page": "1"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupervisedServer]:
    made = SupervisedServer(tmp_path_factory.mktemp("visitors") / "home")
    try:
        yield made.start("--visitors")
    finally:
        made.stop()


@pytest.fixture
def new_visitor(browser: Browser, locked: SupervisedServer) -> Iterator[NewContext]:
    with people(browser, base_url=locked.address) as make:
        yield make


def test_a_visitor_makes_a_picture_and_the_host_clears_it(
    new_visitor: NewContext, locked: SupervisedServer
) -> None:
    refused: list[str] = []
    context = new_visitor()
    context.on("response", lambda got: refused.append(got.url) if got.status > 400 else None)
    visitor = open_page(context)
    tabs = visitor.get_by_role("tab").filter(visible=True)
    expect(tabs).to_have_text(["Images", "Chat"])
    expect(visitor.locator("#visitors")).to_contain_text("This is a demo")
    generate(visitor, "a visitor’s ring", **QUICK)
    job = finished(visitor)
    expect(visitor.locator("#history img")).to_have_count(1)
    expect(visitor.locator("#status [data-action]")).to_have_count(0)
    buildable = visitor.locator('#picker-list [data-state="buildable"] input')
    assert buildable.count() > 0
    assert all(one.is_disabled() for one in buildable.all())
    visitor.click("#tab-chat-button")
    expect(visitor.locator("#chat[data-ready] .c-empty")).to_contain_text("No language model")
    expect(visitor.locator("#chat-go-house")).to_be_hidden()
    assert not refused, "the page asks for what visitors may have, and nothing else"

    ask = visitor.request
    for path in ("/studio/storage", "/studio/engines", f"/gradio_api/file={locked.settings.home}"):
        assert ask.get(path).status == 403
    for path in ("/studio/unload", "/studio/servers/start", "/gradio_api/upload"):
        answer = ask.post(path, headers=PAGE)
        assert answer.json()["error"]["code"] == "VISITORS_LOCKED"

    link = re.search(r"For the host: (\S+)", locked.log.read_text())
    assert link
    host = open_page(new_visitor(), link[1])
    expect(host.get_by_role("tab").filter(visible=True)).to_contain_text(["Quantise", "Engines"])
    assert host.request.get("/studio/storage").status == 200
    assert host.request.get(f"/files/{job}/1.png").status == 403
    menu = host.locator("#host")
    menu.locator("summary").click()
    expect(menu).to_contain_text(f"{locked.address}/")
    clear = menu.locator('[data-action="visitors-reset"]')
    clear.click()
    expect(clear).to_contain_text("Pictures: 1")
    clear.click()
    expect(menu).to_contain_text("pictures: 0")
    visitor.click("#tab-images-button")
    expect(visitor.locator("#stage .s-empty")).to_be_visible()


def test_an_api_client_is_a_visitor_too(locked: SupervisedServer) -> None:
    client = Client(locked.address, verbose=False)
    size = {"width": 64, "height": 64, "steps": 1}
    made = client.predict(prompt="a ring", **size, api_name="/generate")["images"][0]
    assert made["file"] is None
    assert httpx.get(made["url"]).status_code == 200
    assert str(ROOT) not in str(client.predict(api_name="/models"))
    for name in ("/engines", "/memory", "/build_engine", "/quantize"):
        given = {"model": "demo-flux"} if name == "/quantize" else {}
        with pytest.raises(AppError, match=r"VISITORS_LOCKED: Visitors cannot do this"):
            client.predict(**given, api_name=name)
    client.close()
