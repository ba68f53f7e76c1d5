"""The Chat tab, with a server of its own that replays the protocol as strictly as documented."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from backend.contracts import ServerKind
from tests.browser.actions import open_page
from tests.browser.conftest import PATIENCE_S, Server, people
from tests.browser.test_look import contrast
from tests.chat_server import StandIn, running

KEY = "the-key"
MODEL = "stand-in"
TEXT = ("It is **four", "** bits.\n\n", "```python\n", "x = 1\n", "```\n\n", "So \\(2^4\\).")
HOSTILE = (
    "<script>pwned=1</script><img src=x onerror=pwned=1>\n\n",
    "[a](javascript:pwned=1) ![b](https://evil.example/b.png)\n\n",
    "$\\text{<img src=x onerror=pwned=1>}$ $\\href{javascript:pwned=1}{c}$\n\n",
    '```html"><script>pwned=1</script>\n<script>pwned=1</script>\n```\n',
)


def outside(**changes: Any) -> StandIn:
    return StandIn(kind=ServerKind.OUTSIDE, model=MODEL, key=KEY, context=600_000, **changes)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio whose owner has named a server."""
    home = tmp_path_factory.mktemp("chat") / "home"
    home.mkdir()
    with running(outside()) as stand_in:
        settings = f'chat_url = "{stand_in.url}"\nchat_key = "{KEY}"\nchat_images = true\n'
        (home / "studio.toml").write_text(settings)
        server = Server(home)
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def new_context(browser: Browser, studio: Server) -> Iterator[Callable[..., BrowserContext]]:
    clipboard = ["clipboard-read", "clipboard-write"]
    with people(browser, base_url=studio.address, permissions=clipboard) as make:
        yield make


@pytest.fixture
def chat(new_context: Callable[..., BrowserContext]) -> Page:
    with running(outside()):
        return to_chat(open_page(new_context()))


def to_chat(page: Page) -> Page:
    page.locator("#tab-chat-button").click()
    expect(page.locator("#chat[data-ready]")).to_be_attached()
    expect(page.locator(".c-picker").first).to_have_value("outside")
    return page


def ask(page: Page, text: str) -> None:
    page.fill("#chat-text", text)
    page.keyboard.press("Enter")


def answers(page: Page, state: str = "done") -> Locator:
    return page.locator(f'.c-answer[data-state="{state}"]')


def entry(page: Page, title: str) -> Locator:
    return page.locator(".c-list li", has_text=title)


def copied(page: Page, button: Locator) -> str:
    button.click()
    expect(button).to_contain_text("Copied")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_an_answer_streams_survives_a_reload_and_stop_frees_its_server(chat: Page) -> None:
    endless = outside(tokens=("One. ", "two "), reasoning=("Let me ", "see."), endless=True)
    with running(endless) as server:
        expect(chat.locator("#chat-send")).to_be_disabled()
        chat.fill("#chat-text", "first line")
        chat.keyboard.press("Shift+Enter")
        chat.keyboard.type("second line")
        chat.keyboard.press("Enter")
        writing = answers(chat, "writing")
        expect(writing.locator(".c-text")).to_contain_text("two two two")
        expect(writing.locator(".c-thought")).to_contain_text("Thought for")
        expect(writing.locator("details.c-reasoning")).not_to_have_attribute("open", "")
        for words in (MODEL, "OpenAI API", "First token", "tok/s", "about"):
            expect(writing.locator(".c-line")).to_contain_text(words)
        expect(chat.locator("#chat-send")).to_be_hidden()
        chat.reload(wait_until="commit")
        expect(chat.locator("#chat")).to_be_visible()
        before = len(writing.locator(".c-text").inner_text())
        chat.wait_for_function(
            "n => document.querySelector('.c-answer .c-text')?.innerText.length > n", arg=before
        )
        assert not server.disconnected.is_set()
        chat.locator("#chat-stop").click()
        assert server.disconnected.wait(PATIENCE_S)
        stopped = answers(chat, "stopped")
        expect(stopped).to_contain_text("Stopped by you")
        expect(stopped.locator(".c-text")).to_contain_text("One. two two")
        expect(stopped.locator(".c-line")).to_contain_text("about")
        expect(chat.locator("#chat-send")).to_be_visible()
        expect(chat.locator(".c-question .c-said")).to_have_text("first line\nsecond line")
        assert server.bodies[0]["messages"][-1]["content"] == "first line\nsecond line"


def test_a_clock_runs_while_the_prompt_is_read(chat: Page) -> None:
    with running(outside(hold=True)) as server:
        ask(chat, "a long prompt")
        reading = answers(chat, "writing").locator('[data-figure="reading"] dd')
        expect(reading).to_have_text(re.compile(r"^0\.[1-9] s|[1-9]\.\d s$"))
        server.release.set()
        expect(answers(chat).locator(".c-text")).to_have_text("Hello, world.")
        expect(chat.locator('#chat-said[aria-live="polite"]')).to_have_text("Hello, world.")
        expect(answers(chat).locator('[data-figure="completion"] dd')).to_have_text("4")


def test_hostile_answers_run_nothing_and_ask_for_nothing(chat: Page, studio: Server) -> None:
    asked: list[str] = []
    said: list[str] = []
    chat.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    chat.on("request", lambda request: asked.append(request.url))
    chat.on("dialog", lambda dialog: pytest.fail(dialog.message))
    with running(outside(tokens=HOSTILE, reasoning=HOSTILE)):
        ask(chat, "<b onclick=pwned=1>hostile</b><img src=x onerror=pwned=1>")
        expect(answers(chat)).to_be_visible()
    chat.locator(".c-reasoning summary").click()
    expect(chat.locator(".c-answer a", has_text="b").first).to_have_attribute(
        "rel", "noopener noreferrer"
    )
    assert chat.evaluate("typeof pwned") == "undefined"
    assert chat.locator(".c-turn :is(script, img, iframe, [onerror], [onclick])").count() == 0
    assert chat.locator('.c-turn a:not([href^="https://"])').count() == 0
    expect(chat.locator(".c-said")).to_contain_text("<b onclick=pwned=1>")
    assert said == []
    assert asked
    assert [url for url in asked if not url.startswith(studio.address)] == []


def test_questions_are_edited_answers_written_again_and_all_versions_kept(chat: Page) -> None:
    with running(outside(tokens=TEXT)):
        ask(chat, "How many bits?")
        first = answers(chat)
        expect(first.locator("strong", has_text="four")).to_be_visible()
        expect(first.locator("math")).to_have_count(1)
        assert copied(chat, first.locator(".c-code button")) == "x = 1\n"
        copy = first.get_by_role("button", name="Copy as Markdown")
        assert copied(chat, copy) == "".join(TEXT)
    with running(outside(tokens=("Again",))):
        chat.get_by_role("button", name="Write again").click()
        expect(answers(chat).locator(".c-text")).to_have_text("Again")
        expect(chat.locator(".c-versions")).to_have_text("2/2")
        chat.get_by_role("button", name="Version before").click()
        expect(chat.locator(".c-answer .c-versions")).to_have_text("1/2")
        expect(answers(chat).locator(".c-text")).to_contain_text("four bits.")
        chat.locator(".c-question").hover()
        chat.get_by_role("button", name="Edit and resend").click()
        expect(chat.locator("#chat-text")).to_have_value("How many bits?")
        expect(chat.locator("#chat-editing")).to_be_visible()
        ask(chat, "How many bytes?")
        expect(chat.locator(".c-question .c-said")).to_have_text("How many bytes?")
        expect(answers(chat).locator(".c-text")).to_have_text("Again")
        expect(chat.locator(".c-question .c-versions")).to_have_text("2/2")
        chat.get_by_role("button", name="Version before").click()
        expect(chat.locator(".c-said")).to_have_text("How many bits?")
        expect(answers(chat).locator(".c-text")).to_contain_text("four bits.")


def test_what_is_copied_as_curl_and_python_asks_the_same(chat: Page) -> None:
    with running(outside(tokens=("Bonjour",))) as server:
        chat.locator("#chat-go-tune").click()
        chat.fill("#chat-system", "You're terse.")
        chat.locator(".c-presets label", has_text="Precise").click()
        chat.fill("#chat-seed", "7")
        chat.fill("#chat-stop-strings", "END\n###")
        expect(chat.locator('#chat-form [data-field="top_k"]')).to_be_hidden()
        ask(chat, "It's 'quoted' and \"quoted\" $HOME")
        expect(answers(chat)).to_be_visible()
        asked = server.bodies[-1]
        assert asked["temperature"] == 0.2
        assert asked["seed"] == 7
        assert asked["stop"] == ["END", "###"]
        assert asked["messages"][0] == {"role": "system", "content": "You're terse."}
        curl = copied(chat, chat.locator("[data-kind-of=curl]"))
        python = copied(chat, chat.locator("[data-kind-of=python]"))
        for text in (curl, python):
            assert KEY not in text
        environment = os.environ | {"OPENAI_API_KEY": KEY}
        for command in (["bash", "-c", curl], [sys.executable, "-c", python]):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
            )
            assert done.returncode == 0, done.stderr
            assert "Bonjour" in done.stdout
            again = server.bodies[-1]
            assert again["messages"] == asked["messages"]
            assert again["temperature"] == 0.2
    chat.fill("#chat-temperature", "99")
    chat.fill("#chat-text", "too warm")
    chat.keyboard.press("Enter")
    expect(chat.locator("#chat-temperature:invalid")).to_be_focused()
    expect(chat.locator("#chat-text")).to_have_value("too warm")


EDIT = """() => {
  document.querySelector("[data-action=chat-edit]").click();
  return document.getElementById("chat-text").value;
}"""


def test_pictures_go_along_and_come_back_with_an_edit(chat: Page, tmp_path: Path) -> None:
    file = tmp_path / "dot.png"
    Image.new("RGB", (8, 8), "red").save(file)
    with running(outside()) as server:
        chat.set_input_files("#chat-picture-file", [file, file])
        expect(chat.locator("#chat-pictures button")).to_have_count(2)
        chat.locator("#chat-pictures button").first.click()
        expect(chat.locator("#chat-pictures button")).to_have_count(1)
        ask(chat, "what is this?")
        expect(answers(chat)).to_have_count(1)
        shown = chat.locator(".c-question img")
        expect(shown).to_have_count(1)
        chat.wait_for_function("document.querySelector('.c-question img').naturalWidth === 8")
        words, picture = server.bodies[0]["messages"][-1]["content"]
        assert words == {"type": "text", "text": "what is this?"}
        assert picture["image_url"]["url"].startswith("data:image/png;base64,")
        chat.locator(".c-question").hover()
        chat.locator('[data-action="chat-edit"]').click()
        expect(chat.locator("#chat-pictures button")).to_have_count(1)
        ask(chat, "and now?")
        expect(answers(chat)).to_have_count(1)
        expect(chat.locator(".c-question .c-said")).to_have_text("and now?")
        assert server.bodies[-1]["messages"][-1]["content"][1] == picture


def test_a_base_model_goes_on_with_a_text(chat: Page) -> None:
    with running(outside(tokens=(" there", " was a king."))) as server:
        chat.locator("#chat-go-tune").click()
        chat.locator("#chat-completion").check()
        chat.locator("#chat-settings .c-panel-head button").click()
        expect(chat.locator("#chat-text")).to_have_attribute("placeholder", re.compile("goes on"))
        ask(chat, "Once upon a time")
        expect(answers(chat).locator(".c-text")).to_have_text("there was a king.")
        assert server.bodies[0]["prompt"] == "Once upon a time"
        assert "messages" not in server.bodies[0]


def test_two_models_answer_side_by_side(chat: Page) -> None:
    with running(outside(hold=True)) as server:
        chat.locator("#chat-go-pair").click()
        expect(chat.locator(".c-picker")).to_have_count(2)
        ask(chat, "both of you")
        expect(answers(chat, "writing")).to_have_count(2)
        server.release.set()
        expect(answers(chat)).to_have_count(2)
        assert len(server.bodies) == 2
        second = chat.locator(".c-column").nth(1)
        second.get_by_role("button", name="Write again").click()
        expect(chat.locator(".c-versions")).to_have_text("2/2")
        expect(answers(chat)).to_have_count(2)
        assert chat.evaluate(EDIT) == "both of you", "in the field before anything else can happen"
        ask(chat, "both, again")
        expect(chat.locator(".c-said")).to_have_text(["both, again", "both, again"])
        expect(answers(chat)).to_have_count(2)
        chat.get_by_role("button", name="Version before").click()
        expect(chat.locator(".c-said")).to_have_text(["both of you", "both of you"])
    expect(entry(chat, "both of you")).to_contain_text("two models")
    chat.reload(wait_until="commit")
    expect(answers(chat)).to_have_count(2)
    expect(chat.locator("#chat-go-pair")).to_have_attribute("aria-pressed", "true")


def test_conversations_are_searched_renamed_exported_deleted_and_brought_back(
    chat: Page, tmp_path: Path
) -> None:
    with running(outside(tokens=("Guten", " Tag"))):
        for title in ("apples", "pears"):
            chat.locator('#chat-side [data-action="chat-new"]').click()
            ask(chat, f"about {title}")
            expect(answers(chat)).to_have_count(1)
    chat.fill("#chat-search", "apples")
    expect(chat.locator(".c-list li")).to_have_count(1)
    entry(chat, "apples").hover()
    chat.get_by_role("button", name="Rename").click()
    chat.keyboard.type("과일")
    chat.keyboard.press("Enter")
    expect(entry(chat, "과일")).to_be_visible()
    entry(chat, "과일").locator(".c-open").click()
    expect(chat.locator("#chat-title")).to_have_text("과일")
    chat.locator("#chat-export summary").click()
    with chat.expect_download() as markdown:
        chat.locator("#chat-export-md").click()
    assert "Guten Tag" in Path(markdown.value.path()).read_text()
    with chat.expect_download() as kept:
        chat.locator("#chat-export-json").click()
    file = tmp_path / kept.value.suggested_filename
    kept.value.save_as(file)
    assert file.name == "과일.json"
    chat.keyboard.press("Escape")
    entry(chat, "과일").hover()
    entry(chat, "과일").get_by_role("button", name="Delete").click()
    entry(chat, "과일").get_by_role("button", name="Delete").click()
    expect(chat.locator(".c-list")).to_have_count(0)
    expect(chat.locator(".c-empty")).to_be_visible()
    chat.fill("#chat-search", "")
    expect(chat.locator(".c-list li")).to_have_count(1)
    chat.set_input_files("#chat-import", file)
    expect(chat.locator("#chat-title")).to_have_text("과일")
    expect(answers(chat).locator(".c-text")).to_have_text("Guten Tag")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"no": "conversation"}')
    chat.set_input_files("#chat-import", wrong)
    expect(chat.locator("#chat-notice .s-error")).to_have_attribute(
        "data-code", "CONVERSATION_FILE_INVALID"
    )
    expect(answers(chat).locator(".c-text")).to_have_text("Guten Tag")


def test_what_goes_wrong_is_told_and_nothing_is_lost(chat: Page) -> None:
    card = chat.locator("#chat-notice .s-error")
    with running(outside(die_after=2, tokens=("Half ", "an answer ", "is"))) as server:
        ask(chat, "die on me")
        failed = answers(chat, "failed")
        expect(failed.locator(".c-text")).to_have_text("Half an answer")
        expect(failed.locator(".s-error")).to_have_attribute("data-code", "SERVER_DIED")
        server.die_after = None
        chat.get_by_role("button", name="Write again").click()
        expect(answers(chat).locator(".c-text")).to_have_text("Half an answer is")
        large = "y" * 1_000_000
        chat.evaluate("navigator.clipboard.writeText('y'.repeat(1e6))")
        chat.locator("#chat-text").press("Control+V")
        expect(chat.locator("#chat-length")).to_have_text("1,000,000 / 400,000")
        chat.keyboard.press("Enter")
        expect(card).to_have_attribute("data-code", "MESSAGE_TOO_LONG")
        assert chat.locator("#chat-text").input_value() == large
        expect(chat.locator("#chat-send")).to_be_visible()
        expect(chat.locator(".c-question")).to_have_count(1)
        chat.fill("#chat-text", "   ")
        expect(chat.locator("#chat-send")).to_be_disabled()
    with running(outside(refusal=(503, ""))):
        ask(chat, "is anybody there?")
        expect(answers(chat, "failed").locator(".s-error")).to_have_attribute(
            "data-code", "SERVER_NOT_READY"
        )
        expect(chat.locator(".c-said").last).to_have_text("is anybody there?")


ASKED_FOR = re.compile(r"/studio/chat/pickers(\?|$)")
REDRAW = """async (html) => {
  const { src } = document.querySelector('script[src$="studio.js"]');
  const { morph } = await import(src.replace("studio.js", "morph.js"));
  morph(document.getElementById("status"), html);
}"""
"""News between the two presses that stop a server: the button still waits for the second."""


def test_a_server_elsewhere_that_comes_later_is_found(
    new_context: Callable[..., BrowserContext],
) -> None:
    unreached = {"options": "", "servers": {}, "none": "none", "gone": "", "empty": "<p>none</p>"}
    told = json.dumps(unreached | {"unreached": True})
    context = new_context()
    context.route(ASKED_FOR, lambda route: route.fulfill(body=told))
    with running(outside()):
        page = open_page(context)
        page.locator("#tab-chat-button").click()
        expect(page.locator("#chat[data-ready]")).to_be_attached()
        expect(page.locator(".c-picker")).to_have_text("none")
        context.unroute(ASKED_FOR)
        expect(page.locator(".c-picker")).to_have_value("outside")


def test_without_a_server_demo_chat_starts_at_one_press_and_answers(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    page = open_page(new_context(base_url=server.address))
    page.locator("#tab-chat-button").click()
    expect(page.locator(".c-empty")).to_contain_text("No server runs yet.")
    expect(page.locator("#chat-servers")).to_be_hidden()
    expect(page.locator(".c-picker")).to_have_text("No server runs")
    page.get_by_role("button", name="What is NVFP4?").click()
    page.keyboard.press("Enter")
    expect(page.locator("#chat-notice .s-error")).to_have_attribute(
        "data-code", "SERVER_NOT_CHOSEN"
    )
    expect(page.locator("#chat-text")).to_have_value("What is NVFP4?")
    expect(page.locator(".c-list")).to_have_count(0)
    page.get_by_role("button", name="Start demo-chat").click()
    expect(page.locator(".c-empty")).to_contain_text("demo-chat is starting")
    page.get_by_role("button", name="How far it is").click()
    expect(page.locator("#chat-servers [data-phase]")).to_be_visible()
    expect(page.locator(".c-picker")).to_have_value("demo-chat/transformers")
    page.locator("#chat-text").press("Enter")
    expect(page.locator(".c-answer")).to_have_attribute("data-state", "done")
    expect(page.locator("#chat-servers")).to_be_hidden()
    expect(page.locator(".c-answer")).to_contain_text("4-bit")
    expect(page.locator("#history img, #history button")).to_have_count(0)
    stop, drawn = page.locator("#status-servers button"), page.locator("#status").inner_html()
    stop.click()
    page.evaluate(REDRAW, drawn)
    stop.click()
    expect(page.locator("#status-servers .s-chip")).to_have_count(0)


def long_conversation(chat: Page) -> str:
    """An export of one question and answer, repeated to 200 messages."""
    with running(outside(tokens=TEXT)):
        ask(chat, "the first of many")
        expect(answers(chat)).to_be_visible()
    address = chat.locator("#chat-export-json").get_attribute("href")
    kept = json.loads(chat.request.get(address or "").text())
    question, answer = kept["sides"][0]["turns"]
    turns: list[dict[str, Any]] = []
    for number in range(100):
        parent = turns[-1]["id"] if turns else None
        turns.append(question | {"id": f"q{number}", "parent": parent})
        turns.append(answer | {"id": f"a{number}", "parent": f"q{number}"})
    kept["sides"][0]["turns"] = turns
    return json.dumps(kept)


def test_a_long_conversation_is_opened_at_its_end_and_only_the_new_answer_is_drawn(
    chat: Page, tmp_path: Path
) -> None:
    file = tmp_path / "long.json"
    file.write_text(long_conversation(chat))
    chat.set_input_files("#chat-import", file)
    expect(chat.locator(".c-turn")).to_have_count(200)
    expect(chat.locator(".c-answer .c-actions").last).to_be_in_viewport()
    chat.evaluate(
        """() => {
          window.touched = new Set();
          new MutationObserver((changes) => {
            for (const { target } of changes) {
              const turn = target.parentElement?.closest(".c-turn");
              if (turn) touched.add(turn.dataset.turn);
            }
          }).observe(document.querySelector(".c-messages"), {
            subtree: true, childList: true, characterData: true,
          });
        }"""
    )
    with running(outside(tokens=("paragraph.\n\n",), endless=True)):
        ask(chat, "go on")
        newest = chat.locator(".c-answer").last
        expect(newest.locator(".c-block").nth(40)).to_be_attached()
        expect(newest.locator(".c-line")).to_be_in_viewport()
        scroller = chat.locator(".c-scroll")
        scroller.hover()
        chat.mouse.wheel(0, -3000)
        button = chat.get_by_role("button", name="To the newest text")
        expect(button).to_be_visible()
        expect(newest.locator(".c-block").nth(100)).to_be_attached()
        expect(newest.locator(".c-line")).not_to_be_in_viewport()
        button.click()
        expect(newest.locator(".c-line")).to_be_in_viewport()
        chat.keyboard.press("Escape")
        chat.locator("#chat-text").press("Escape")
        expect(answers(chat, "stopped")).to_have_count(1)
    assert chat.evaluate("touched.size") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_korean_on_a_phone(new_context: Callable[..., BrowserContext], scheme: str) -> None:
    korean = (
        "**네 비트**입니다.\n\n",
        "```python\n# 주석\nx = 1\n```\n\n",
        "| 가 | 나 |\n|--|--|\n| 1 | 2 |\n",
    )
    with running(outside(tokens=korean, reasoning=("생각",))):
        context = new_context(
            locale="ko-KR", color_scheme=scheme, viewport={"width": 390, "height": 844}
        )
        page = to_chat(open_page(context))
        expect(page.locator(".c-empty")).to_contain_text("무엇이든 물어보세요.")
        page.get_by_role("button", name="NVFP4가 뭐야?").click()
        page.keyboard.press("Enter")
        expect(answers(page)).to_contain_text("네 비트입니다.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for part in ("#chat-top", ".c-answer .c-line", "#chat-composer"):
            expect(page.locator(part)).to_be_in_viewport(ratio=1)
        for part in (".c-said", ".c-line dt", ".c-code .h-c1", ".c-thought", ".c-block p"):
            assert contrast(page, part) >= 4.5, part
        page.locator("#chat-go-list").click()
        expect(entry(page, "NVFP4")).to_be_visible()
        page.locator("#chat-go-tune").click()
        expect(page.locator("#chat-form")).to_contain_text("시스템 프롬프트")
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("#chat :is(button, input, select, textarea, a)")]
              .filter((e) => e.checkVisibility())
              .filter((e) => !(e.ariaLabel || e.title || e.textContent.trim()
                || [...(e.labels ?? [])].some((label) => label.textContent.trim())))
              .map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []
