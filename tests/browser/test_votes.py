"""Blind votes on a phone, the owner's panel, and a presentation by its keys."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from backend.contracts import PictureReport
from backend.studio import Studio
from tests.browser.actions import open_page
from tests.browser.conftest import NewContext, Server
from tests.compared import PROMPTS, make_comparison

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PAGE = {"x-studio-page": "1"}
PANEL = """async ([address, report]) => {
  const { mountPoll } = await import(address);
  document.body.innerHTML = '<main id="panel"></main>';
  mountPoll(document.getElementById("panel"), report);
}"""


@pytest.fixture
def studio(server: Server) -> Iterator[Studio]:
    studio = Studio(server.settings)
    yield studio
    studio.close()


@pytest.fixture
def owner(new_context: NewContext) -> Page:
    return open_page(new_context())


@pytest.fixture
def report(studio: Studio, owner: Page) -> PictureReport:
    [visitor] = [c["value"] for c in owner.context.cookies() if c["name"] == "studio_visitor"]
    torch = tuple({"precision": one, "runtime": "torch"} for one in ("fp32", "bf16", "fp16"))
    return make_comparison(
        studio, owner=f"visitor:{visitor}", seeds=(1,), variants=torch[:2], steps=1
    )


def watched(page: Page) -> list[str]:
    """What goes wrong on a page, and what it asks of others, as it comes."""
    told: list[str] = []
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda asked: None if "127.0.0.1" in asked.url else told.append(asked.url),
    )
    return told


def test_a_phone_votes_and_the_owner_sees_it(
    owner: Page, report: PictureReport, new_context: NewContext
) -> None:
    script = owner.locator('script[src*="js/studio.js"]').get_attribute("src") or ""
    owner.evaluate(PANEL, [script.replace("studio.js", "compare/poll.js"), report.id])
    owner.get_by_role("button", name="Open a blind test").click()
    poll = owner.locator(".v-poll")
    expect(poll.locator(".v-note")).to_contain_text("--host")
    expect(poll.locator(".v-verdict")).to_have_text("No votes yet.")
    assert poll.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    link = str(poll.locator("a").get_attribute("href"))

    phone = new_context(**PHONE).new_page()
    told = watched(phone)
    phone.goto(link)
    expect(phone.get_by_role("heading")).to_have_text("Which picture is the reference?")
    expect(phone.locator(".v-option:visible")).to_have_count(1)
    phone.locator(".v-option:visible").tap()
    expect(phone.locator(".v-option:visible figcaption")).to_have_text("B")
    phone.get_by_role("button", name="B is the reference").click()
    expect(phone.get_by_role("button", name="You chose B")).to_be_visible()
    expect(poll.locator(".v-result")).to_have_attribute("data-votes", "1")

    sent = [one.get_attribute("src") for one in phone.locator(".v-option img").all()]
    for address in sent:
        answer = phone.request.get(str(address))
        said = (str(answer.headers) + answer.body().decode("latin-1")).lower()
        for name in ("fp32", "bf16", "torch", "spark_studio", "etag", "v0-p0", "v1-p0"):
            assert name not in said
    for name in ("fp32", "bf16", report.id):
        assert name not in phone.content().lower()

    phone.reload()
    expect(phone.locator(".v-prompt")).to_contain_text(f"2/2 {PROMPTS[1]}")
    phone.get_by_role("button", name="Back").click()
    expect(phone.get_by_role("button", name="You chose B")).to_be_visible()
    phone.get_by_role("tab", name="A").click()
    phone.get_by_role("button", name="A is the reference").click()
    expect(phone.get_by_role("button", name="You chose A")).to_be_visible()
    assert [one.get_attribute("src") for one in phone.locator(".v-option img").all()] == sent
    phone.get_by_role("button", name="Next").click()
    phone.get_by_role("button", name="A is the reference").click()
    phone.get_by_role("button", name="Finish").click()
    expect(phone.get_by_role("heading")).to_have_text("The result so far")
    expect(phone.locator(".v-bars li")).to_have_count(2)
    expect(poll.locator(".v-result")).to_have_attribute("data-votes", "2")
    expect(phone.locator(".v-bars")).to_contain_text("FP32 · PyTorch")

    poll.get_by_role("button", name="Close the vote").click()
    expect(poll).to_have_attribute("data-open", "false")
    expect(phone.get_by_role("heading")).to_have_text("The result")
    assert not told


def test_a_wrong_code_is_told_and_strangers_get_nothing_else(
    owner: Page, report: PictureReport, new_context: NewContext
) -> None:
    opened = owner.request.post(
        f"/studio/votes/{report.id}",
        headers=PAGE,
        data={"question": "prefer", "variants": [0, 1], "early": False},
    )
    code = opened.json()["code"]
    korean = new_context(locale="ko-KR", color_scheme="dark", **PHONE).new_page()
    korean.goto("/vote/ABCD2345")
    expect(korean.get_by_role("alert")).to_contain_text("투표가 없습니다")
    korean.get_by_role("textbox").fill(f"{code[:4].lower()}-{code[4:]}")
    korean.keyboard.press("Enter")
    expect(korean.get_by_role("heading")).to_have_text("어느 그림이 더 마음에 드나요?")
    expect(korean.locator("html")).to_have_class("dark")
    stranger = korean.request
    for path in (f"/files/{report.id}/v0-p0-s0.png", f"/studio/present/{report.id}"):
        assert stranger.get(path).status in (403, 404)
    assert stranger.get(f"/studio/votes/{report.id}").json() == {"polls": []}
    for action in ("close", "reset", "delete"):
        assert stranger.post(f"/studio/votes/{code}/{action}", headers=PAGE).status == 404
    vote = {"item": 0, "option": 0}
    assert stranger.post(f"/vote/{code}", data=vote).status == 403
    refused = stranger.post(f"/vote/{code}", data={"item": 9, "option": 0}, headers=PAGE)
    assert refused.json()["error"]["code"] == "VOTE_INVALID"
    answers = [stranger.post(f"/vote/{code}", data=vote, headers=PAGE) for _ in range(40)]
    assert {answer.status for answer in answers} == {200, 429}
    assert stranger.get(f"/vote/{code}/result").json() == {"open": True, "result": None}


def test_a_presentation_goes_by_its_keys(
    owner: Page, report: PictureReport, studio: Studio
) -> None:
    told = watched(owner)
    owner.goto(f"/present/{report.id}")
    prompt, labels = owner.locator(".p-prompt"), owner.locator(".cmp-label:visible")
    expect(prompt).to_have_text(PROMPTS[0])
    expect(labels).to_have_text(["FP32 · PyTorch", "BF16 · PyTorch"])
    for key, place in (("PageDown", 1), ("ArrowRight", 0), (" ", 1), ("PageUp", 0)):
        owner.keyboard.press(key)
        expect(prompt).to_have_text(PROMPTS[place])
    owner.keyboard.press("l")
    expect(labels).to_have_text(["A", "B"])
    owner.keyboard.press("l")
    handle = owner.get_by_role("slider")
    owner.keyboard.press("ArrowUp")
    expect(handle).to_have_attribute("aria-valuenow", "55")
    owner.keyboard.press(".")
    expect(owner.locator(".p-black")).to_be_visible()
    owner.keyboard.press("b")
    expect(owner.locator(".p-black")).to_be_hidden()
    owner.keyboard.press("h")
    expect(owner.get_by_role("dialog")).to_contain_text("Next prompt")
    owner.keyboard.press("Escape")

    owner.keyboard.press("p")
    owner.get_by_role("button", name="Which do you prefer?").click()
    expect(owner.locator(".p-code")).to_have_text(re.compile(r"^\w{4}-\w{4}$"))
    [poll] = studio.votes.polls(report.id, None)
    studio.votes.vote(poll.code, "visitor:a", 0, 0)
    expect(owner.locator(".p-count")).to_have_text("Votes: 1 · voters: 1")
    owner.keyboard.press("p")

    owner.keyboard.press("n")
    owner.keyboard.type("a yellow star")
    owner.keyboard.press("Enter")
    expect(prompt).to_have_text("a yellow star")
    expect(owner.locator(".p-dots [data-live=true]")).to_have_count(1)
    owner.keyboard.press("r")
    expect(owner.get_by_role("dialog")).to_contain_text("Live prompts to be deleted: 1.")
    owner.get_by_role("button", name="Keep").click()
    expect(prompt).to_have_text("a yellow star")
    owner.keyboard.press("r")
    owner.get_by_role("button", name="Clear").click()
    expect(prompt).to_have_text(PROMPTS[0])
    expect(owner.locator(".p-dots button")).to_have_count(2)
    assert studio.votes.result(poll.code, None).votes == 0
    assert not told
