"""`/chat` through `gradio_client`, the server being a stand-in."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from gradio_client import Client
from gradio_client.exceptions import AppError

from backend.contracts import ServerKind
from backend.settings import Settings
from backend.studio import Studio
from tests.chat_server import StandIn, running
from tests.conftest import free_port
from tests.support import PATIENCE_S, until
from ui.app import create_app


@dataclass
class Page:
    client: Client
    studio: Studio
    server: StandIn


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with running(StandIn(ServerKind.OUTSIDE)) as server:
        settings = Settings(home=tmp_path_factory.mktemp("home"), chat_url=server.url)
        studio, port = Studio(settings), free_port()
        web = uvicorn.Server(
            uvicorn.Config(create_app(studio), port=port, log_level="critical", ws="none")
        )
        thread = threading.Thread(target=web.run, daemon=True)
        thread.start()
        until(lambda: web.started, "the page")
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        yield Page(client, studio, server)
        client.close()
        studio.close()
        web.should_exit = True
        thread.join(PATIENCE_S)


def test_an_answer_and_its_conversation_go_on(page: Page) -> None:
    job = page.client.submit(
        prompt="One", model="outside", system="Brief.", seed=4, max_tokens=9, api_name="/chat"
    )
    first = job.result(PATIENCE_S)
    assert (first["text"], first["state"], first["model"]) == ("Hello, world.", "done", "stand-in")
    assert first["metrics"]["completion_tokens"] == 4 and first["reasoning"] == ""
    second = page.client.predict(
        prompt="Two", conversation=first["conversation"], temperature=0.5, api_name="/chat"
    )
    assert second["conversation"] == first["conversation"] and second["answer"] != first["answer"]
    body = page.server.bodies[-1]
    assert [each["content"] for each in body["messages"]] == [
        "Brief.",
        "One",
        "Hello, world.",
        "Two",
    ]
    assert (body["seed"], body["max_tokens"], body["temperature"]) == (4, 9, 0.5)


def test_cancelling_frees_the_server(page: Page) -> None:
    page.server.endless = True
    page.server.disconnected.clear()
    job = page.client.submit(prompt="Talk!", model="outside", api_name="/chat")
    until(lambda: job.outputs(), "the beginning of an answer")
    job.cancel()
    assert page.server.disconnected.wait(PATIENCE_S)
    page.server.endless = False


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"prompt": " ", "model": "outside"}, "MESSAGE_EMPTY"),
        ({"prompt": "x"}, "SERVER_NOT_CHOSEN"),
        ({"prompt": "x", "model": "tiny"}, "SERVER_NOT_RUNNING"),
        ({"prompt": "x", "conversation": "none"}, "CONVERSATION_NOT_FOUND"),
        ({"prompt": "x", "model": "outside", "temperature": "<b>"}, "INVALID_REQUEST"),
        ({"prompt": "x", "model": "outside", "top_p": 2.0}, "SAMPLING_OUT_OF_RANGE"),
    ],
)
def test_errors_have_a_code_a_message_and_a_hint(
    page: Page, asked: dict[str, object], code: str
) -> None:
    before = page.studio.chat.conversations(None).total
    with pytest.raises(AppError, match=rf"^{code}: .+\. .+"):
        page.client.predict(**asked, api_name="/chat")
    assert page.studio.chat.conversations(None).total == before, "nothing is left of it"


def test_the_end_of_an_answer_that_failed(page: Page) -> None:
    page.server.die_after = 2
    job = page.client.submit(prompt="x", model="outside", api_name="/chat")
    with pytest.raises(AppError, match=r"^SERVER_DIED: "):
        job.result(PATIENCE_S)
    assert job.outputs()[-1]["text"] == "Hello,"
    page.server.die_after = None


def test_another_client_cannot_go_on_with_it(page: Page) -> None:
    mine = page.client.predict(prompt="One", model="outside", api_name="/chat")["conversation"]
    other = Client(page.client.src, verbose=False)
    with pytest.raises(AppError, match=r"^CONVERSATION_NOT_FOUND: "):
        other.predict(prompt="Two", conversation=mine, api_name="/chat")
    other.close()
