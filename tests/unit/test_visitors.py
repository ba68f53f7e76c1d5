"""Visitors mode: what is locked, whose turn it is, and what a reset clears."""

import asyncio
import re
import stat
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from backend.contracts import ConversationSettings, JobState, VerifyRequest, VoteQuestion
from backend.errors import Code, ErrorInfo, StudioError
from backend.jobs.board import read_board
from backend.jobs.queue import INTERACTIVE
from backend.settings import Settings
from backend.studio import Studio
from tests.compared import make_comparison
from tests.support import OWNER, request
from tests.unit.test_conversations import asking
from ui.access import PAGE_HEADER, VISITOR_COOKIE, VISITOR_MARK
from ui.app import create_app
from ui.visitors import FUNCTIONS, HOST_COOKIE, ROUTES, allowed, name_of

ANNA, BEN = "guest:visitor:anna", "guest:visitor:ben"
OF_NO_ONE_ROUTE = {
    "GET /studio/static/{stamp}/{folder}/{path:path}",
    "GET /studio/chat/conversations/{conversation_id}/turns/{turn_id}/text",
}
"""Mounted folders, and one of several kinds of text."""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, Any]]:
    """A studio in visitors mode, and its web application."""
    home = tmp_path_factory.mktemp("locked")
    studio = Studio(Settings(home=home, visitors=True, visitor_waiting_jobs=3))
    yield studio, create_app(studio)
    studio.close()


def client_of(app: Any, **cookies: str) -> TestClient:
    given = {VISITOR_COOKIE: "a" * 32} | cookies
    return TestClient(app, headers={PAGE_HEADER: "1"}, cookies=given, raise_server_exceptions=False)


def routes_of(app: Any) -> Iterator[tuple[str, str]]:
    """Method and path of everything that can be asked for, Gradio's own and folders included."""

    def walk(routes: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for route in routes:
            if included := getattr(route, "original_router", None):
                yield from walk(included.routes, prefix + route.include_context.prefix)
            elif methods := getattr(route, "methods", None):
                yield from ((method, prefix + route.path) for method in methods)
            elif inner := getattr(route, "routes", None):
                yield from walk(inner, prefix + route.path)
            else:
                yield "GET", f"{prefix}{route.path}/{{path:path}}"

    return walk(app.routes, "")


def listed(method: str, path: str) -> bool:
    as_listed = re.sub(r"^/studio/static/\w+/\w+/", "/studio/static/{stamp}/{folder}/", path)
    return f"{method} {as_listed}".replace("HEAD /", "GET /") in ROUTES


def test_every_route_is_denied_to_visitors_unless_it_is_listed(
    locked: tuple[Studio, Any],
) -> None:
    _, app = locked
    visitor = client_of(app)
    found = set(routes_of(app))
    assert {("POST", "/studio/unload"), ("POST", "/gradio_api/upload")} < found
    for method, path in found:
        asked = re.sub(r"\{[^}]*\}", "x", path)
        assert allowed(method, asked) is listed(method, path), f"{method} {path}"
        if not listed(method, path):
            answer = visitor.request(method, asked)
            assert answer.status_code == 403, f"{method} {path}"
            if method != "HEAD":
                assert answer.json()["error"]["code"] == Code.VISITORS_LOCKED
    names = {f"{method} {path}" for method, path in found}
    assert set(ROUTES) - names == OF_NO_ONE_ROUTE


@pytest.mark.parametrize(
    "path",
    [
        "/studio/engines/",
        "/studio//engines",
        "/studio/chat/../engines",
        "/studio/chat/conversations/x/turns/y/curl",
        "/present/x",
        "/studio/compare/list",
        "/a/route/of/tomorrow",
    ],
)
def test_what_is_like_a_listed_route_or_comes_later_is_denied(path: str) -> None:
    assert not allowed("GET", path)
    assert not allowed("DELETE", path)


def test_every_function_of_gradio_is_denied_to_visitors_unless_it_is_listed(
    locked: tuple[Studio, Any],
) -> None:
    _, app = locked
    page = app.state.gradio.blocks
    scope = {"type": "http", "headers": [], VISITOR_MARK: True}
    visitor = gr.Request(request=Request(scope), session_hash="one")
    named = {name_of(function) for function in page.fns.values()}
    assert named > FUNCTIONS | {"ui.api.quantize.quantize"}
    for function in page.fns.values():
        if name_of(function) not in FUNCTIONS:
            called = page.process_api(function, [], None, visitor)
            with pytest.raises(gr.Error, match=r"^'VISITORS_LOCKED: |^VISITORS_LOCKED: "):
                asyncio.run(called)


def test_the_host_link_makes_one_browser_the_hosts(locked: tuple[Studio, Any]) -> None:
    studio, app = locked
    file = studio.settings.home / "host-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    browser = client_of(app)
    assert browser.get("/host/guess").status_code == 403
    assert browser.get("/studio/storage").status_code == 403
    came = browser.get(f"/host/{studio.visitors.host_key()}", follow_redirects=False)
    assert (came.status_code, came.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=lax"} < set(came.headers["set-cookie"].split("; "))
    assert file.read_text() not in came.headers["set-cookie"]
    assert browser.get("/studio/storage").status_code == 200
    news = browser.get("/studio/live").json()["parts"]
    assert "http://127.0.0.1:7860/" in news["host"] and "visitors" not in news
    assert client_of(app, **{HOST_COOKIE: "0" * 64}).get("/studio/storage").status_code == 403


def test_a_visitor_sees_no_details_of_a_failure_and_of_others_only_their_number(
    locked: tuple[Studio, Any],
) -> None:
    studio, app = locked
    owner = f"guest:visitor:{'a' * 32}"
    failed = studio.pictures.generate(request(prompt="mine"), owner)
    error = ErrorInfo(code=Code.OUT_OF_MEMORY, detail="Traceback in /home/host")
    assert studio.desk.store.move(failed, JobState.RUNNING, started_at=time.time())
    assert studio.desk.store.move(failed, JobState.FAILED, finished_at=time.time(), error=error)
    other = studio.pictures.generate(request(prompt="the secret of ben"), BEN)
    studio.desk.board.forget()
    news = client_of(app).get("/studio/live").json()["parts"]
    assert set(news) == {"status", "choices", "queue", "stage", "visitors"}
    assert "OUT_OF_MEMORY" in news["stage"] and "/home/host" not in news["stage"]
    assert "Jobs of others: 1" in news["queue"]
    assert "secret of ben" not in str(news) and "demo-flux" not in news["queue"]
    assert 'data-action="unload"' not in news["status"]
    visitor = client_of(app)
    for action in ("cancel", "retry", "delete"):
        assert visitor.post(f"/studio/jobs/{other}/{action}").status_code == 404
    studio.visitors.reset()


def test_a_visitor_may_only_have_pictures_queued_and_few_of_them(
    locked: tuple[Studio, Any],
) -> None:
    studio, _ = locked
    with pytest.raises(StudioError) as refusal:
        studio.models.verify(VerifyRequest(model="demo-flux"), ANNA)
    assert refusal.value.code is Code.VISITORS_LOCKED
    waiting = [studio.pictures.generate(request(), ANNA) for _ in range(3)]
    with pytest.raises(StudioError) as refusal:
        studio.pictures.generate(request(), ANNA)
    assert refusal.value.info.values == {"limit": 3}
    studio.jobs.cancel(waiting[0], ANNA)
    studio.pictures.generate(request(), ANNA)
    with pytest.raises(StudioError) as refusal:
        studio.jobs.retry(waiting[0], ANNA)
    assert refusal.value.code is Code.TOO_MANY_WAITING
    host = [studio.pictures.generate(request(), "visitor:host") for _ in range(4)]
    gone = studio.visitors.reset()
    assert (gone.gone.visitors, gone.gone.pictures, gone.left.pictures) == (1, 4, 0)
    for job_id in host:
        studio.jobs.cancel(job_id, "visitor:host")
    assert studio.jobs.history("visitor:host").total == 4


def test_a_reset_clears_the_votes_of_visitors_and_no_others(locked: tuple[Studio, Any]) -> None:
    studio, app = locked
    report = make_comparison(studio).id
    code = studio.votes.open(report, VoteQuestion.PREFER, (0, 1), OWNER)
    host = client_of(app, **{HOST_COOKIE: studio.visitors.host_mark()})
    for browser in (client_of(app), host):
        vote = {"item": 0, "option": 0}
        assert browser.post(f"/vote/{code}", json=vote).status_code == 200
        assert '"voted": 0' in browser.get(f"/vote/{code}").text
    assert studio.votes.result(code, OWNER).votes == 2
    assert studio.visitors.made().votes == 1
    assert studio.visitors.reset().gone.votes == 1
    assert studio.votes.result(code, OWNER).votes == 1


def test_a_visitor_has_one_answer_at_a_time_of_one_server(settings: Settings) -> None:
    outside = ConversationSettings(server="outside")
    with asking(settings, endless=True) as (studio, _):
        chat = studio.chat
        [side] = chat.say("", ANNA, "Talk!", settings=[outside])
        second = chat.begin(outside, ANNA)
        for conversation in ("", second.id):
            with pytest.raises(StudioError) as refusal:
                chat.say(conversation, ANNA, "And here?", settings=[outside])
            assert refusal.value.code is Code.ANSWER_BEING_WRITTEN
        with pytest.raises(StudioError) as refusal:
            chat.begin(outside, BEN, outside)
        assert refusal.value.code is Code.VISITORS_LOCKED
        with pytest.raises(StudioError) as refusal:
            chat.say("", BEN, "Hello?", settings=[outside, outside])
        assert refusal.value.code is Code.VISITORS_LOCKED
        kept = chat.begin(outside, "visitor:host")
        chat.say("", BEN, "Talk!", settings=[outside])
        assert studio.visitors.reset().gone.conversations == 3
        assert [one.id for one in chat.conversations(None).conversations] == [kept.id]
        with pytest.raises(StudioError):
            chat.conversation(side.id, ANNA)


def start_next(studio: Studio) -> str:
    """What a worker does: take the first of the queue and be done with it; whose it was."""
    store = studio.desk.store
    row = next(row for row in read_board(store).live if row.queue == INTERACTIVE)
    assert store.move(row.id, JobState.RUNNING, started_at=time.time())
    return row.id


def end(studio: Studio, job_id: str) -> None:
    assert studio.desk.store.move(job_id, JobState.SUCCEEDED, finished_at=time.time())


def submit(studio: Studio, name: str) -> str:
    return studio.pictures.generate(request(), f"user:{name}")


def test_people_take_turns_however_many_jobs_they_have_waiting(any_studio: Studio) -> None:
    studio = any_studio
    mine = [submit(studio, "anna") for _ in range(5)]
    running = start_next(studio)
    first, second = submit(studio, "ben"), submit(studio, "ben")
    other = submit(studio, "carl")
    assert running == mine[0]
    in_order = [first, other, mine[1], second, *mine[2:]]
    assert [row.id for row in read_board(studio.desk.store).live][1:] == in_order
    assert [studio.jobs.get(each, None).position for each in in_order] == [1, 2, 3, 4, 5, 6, 7]
    carried = studio.desk.queue.client.list_workflows(queue_name=INTERACTIVE)
    by_dbos = sorted(carried, key=lambda one: (one.priority, one.created_at))
    assert [one.workflow_id.partition(".")[0] for one in by_dbos] == [running, *in_order]


def test_who_comes_again_and_again_keeps_nobody_waiting(studio: Studio) -> None:
    for _ in range(3):
        submit(studio, "anna")
    submit(studio, "ben"), submit(studio, "carl")
    served = []
    for _ in range(9):
        running = start_next(studio)
        owner = studio.jobs.owners([running])[running].removeprefix("user:")
        served.append(owner)
        end(studio, running)
        if owner != "anna":
            submit(studio, owner)
    assert served == ["anna", "ben", "carl"] * 3


def test_a_retry_and_a_cancelled_wait_keep_sense(studio: Studio) -> None:
    stopped = [submit(studio, "anna") for _ in range(4)]
    end(studio, start_next(studio))
    for job_id in stopped[1:]:
        studio.jobs.cancel(job_id, None)
    later = submit(studio, "anna")
    theirs = [submit(studio, "ben"), submit(studio, "ben")]
    studio.jobs.retry(stopped[3], None)
    order = [row.id for row in read_board(studio.desk.store).live]
    assert order == [theirs[0], later, theirs[1], stopped[3]]
