"""The client against a stand-in that is stricter than any server."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from backend.chat.client.answer import STOPPED, Stop, answer
from backend.chat.client.outside import outside_endpoint
from backend.contracts import (
    ChatEvent,
    ChatRequest,
    Endpoint,
    Failed,
    Finished,
    Message,
    MovedToReasoning,
    PromptProgress,
    ReasoningDelta,
    Sampling,
    ServerKind,
    Started,
    TextDelta,
    Thinking,
    Usage,
)
from backend.errors import Code, ErrorInfo, StudioError
from backend.language import LANGUAGES
from backend.settings import Settings
from tests.chat_server import StandIn, running
from tests.conftest import free_port

QUESTION = ChatRequest(messages=(Message(role="user", content="How are you?"),))
EVERYTHING = Sampling(
    temperature=0.7,
    top_p=0.9,
    top_k=40,
    min_p=0.05,
    repetition_penalty=1.1,
    seed=7,
    stop=("END",),
    max_tokens=64,
    chat_template_kwargs={"enable_thinking": False},
)
OWN = (ServerKind.TENSORRT_LLM, ServerKind.VLLM, ServerKind.TRANSFORMERS)


def endpoint(server: StandIn, **changes: Any) -> Endpoint:
    known = {"kind": server.kind, "url": server.url, "model_id": server.model, "model": "A model"}
    return Endpoint(**(known | changes))


def ask(
    server: StandIn,
    request: ChatRequest = QUESTION,
    key: str = "",
    stop: Stop | None = None,
    on_event: Callable[[ChatEvent], None] = lambda event: None,
    **changes: Any,
) -> list[ChatEvent]:
    async def all_of_it() -> list[ChatEvent]:
        events = []
        async for event in answer(endpoint(server, **changes), request, key, stop):
            on_event(event)
            events.append(event)
        return events

    return asyncio.run(all_of_it())


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoning_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def failure(events: list[ChatEvent]) -> Failed:
    assert isinstance(events[-1], Failed), events[-1]
    explained(events[-1].error)
    return events[-1]


def explained(info: ErrorInfo) -> None:
    """A reader of either language is told what happened and what to do."""
    english, korean = (f"{info.message(each)} {info.hint(each)}" for each in LANGUAGES)
    assert english != korean
    assert not {"{", "}"} & set(info.hint("en") + info.hint("ko"))


@pytest.mark.parametrize("kind", OWN)
def test_an_answer_with_every_field_that_the_server_takes(kind: ServerKind) -> None:
    with running(StandIn(kind, done_line=kind is not ServerKind.TRANSFORMERS)) as server:
        events = ask(server, QUESTION.model_copy(update={"sampling": EVERYTHING}))
    assert text_of(events) == "Hello, world."
    assert isinstance(events[0], Started)
    assert Usage(prompt_tokens=12, completion_tokens=4) in events
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.reason, end.metrics.counted) == ("stop", "server")
    assert (end.metrics.prompt_tokens, end.metrics.completion_tokens) == (12, 4)
    assert end.metrics.ttft_s is not None and end.metrics.tokens_per_s is not None
    assert 0 < end.metrics.ttft_s <= end.metrics.total_s


def test_an_outside_server_is_only_sent_what_openai_documents() -> None:
    plain = Sampling(temperature=0.7, top_p=0.9, seed=7, stop=("END",), max_tokens=64)
    with running(StandIn(ServerKind.OUTSIDE)) as server:
        events = ask(server, QUESTION.model_copy(update={"sampling": plain}))
        assert text_of(events) == "Hello, world."
        with pytest.raises(StudioError) as refusal:
            ask(server, QUESTION.model_copy(update={"sampling": EVERYTHING}))
    assert refusal.value.code is Code.CHAT_FIELD_UNSUPPORTED
    assert len(server.bodies) == 1, "the second request must not have been sent"


def test_sampling_reaches_transformers_in_its_generation_config() -> None:
    with running(StandIn(ServerKind.TRANSFORMERS)) as server:
        ask(server, QUESTION.model_copy(update={"sampling": EVERYTHING}))
        ask(server, QUESTION.model_copy(update={"sampling": Sampling(temperature=0)}))
        ask(server)
    drawn, greedy, plain = server.bodies
    assert json.loads(drawn["generation_config"]) == {
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
    }
    assert (drawn["seed"], drawn["stop"], drawn["max_tokens"]) == (7, ["END"], 64)
    assert json.loads(greedy["generation_config"]) == {"do_sample": False}
    assert "generation_config" not in plain


def test_completion_mode_sends_the_prompt_as_it_is() -> None:
    with running(StandIn(ServerKind.VLLM)) as server:
        events = ask(server, ChatRequest(prompt="Once upon"), has_template=False)
    assert text_of(events) == "Hello, world."
    assert server.bodies[0]["prompt"] == "Once upon"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_that_the_server_tells_apart(name: str) -> None:
    tokens = ("\n", "\nHello", ",\n", "world.")
    told = StandIn(reasoning=("Let me", " see."), reasoning_field=name, tokens=tokens)
    with running(told) as server:
        events = ask(server, thinking=Thinking.OPENED)
    assert (reasoning_of(events), text_of(events)) == ("Let me see.", "Hello,\nworld.")
    assert isinstance(events[-1], Finished)
    assert events[-1].metrics.reasoning_s is not None


def test_reasoning_in_tags_that_come_in_pieces() -> None:
    tokens = ("<th", "ink>\n", "Hm", "m</", "think", ">\n\nYes", " <b>")
    with running(StandIn(tokens=tokens)) as server:
        events = ask(server)
    assert (reasoning_of(events), text_of(events)) == ("Hmm", "Yes <b>")


def test_reasoning_whose_opening_tag_the_template_wrote() -> None:
    with running(StandIn(tokens=("Hmm", "</think>", "Yes"))) as server:
        events = ask(server, thinking=Thinking.OPENED)
    assert (reasoning_of(events), text_of(events)) == ("Hmm", "Yes")
    assert not any(isinstance(event, MovedToReasoning) for event in events)


def test_a_closing_tag_that_nobody_expected_makes_reasoning_of_all_before() -> None:
    with running(StandIn(tokens=("Hmm", "</think>", "Yes"))) as server:
        events = ask(server)
    moved = [type(event) for event in events].index(MovedToReasoning)
    assert text_of(events[:moved]) == "Hmm"
    assert text_of(events[moved:]) == "Yes"


def test_a_stop_string_that_transformers_sends_itself_is_cut() -> None:
    tokens = ("One", " two E", "N", "D", " three")
    request = QUESTION.model_copy(update={"sampling": Sampling(stop=("END",))})
    with running(StandIn(ServerKind.TRANSFORMERS, tokens=tokens)) as server:
        assert text_of(ask(server, request)) == "One two "
    with running(StandIn(ServerKind.VLLM, tokens=tokens)) as server:
        assert text_of(ask(server, request)) == "One two END three"


def test_the_wait_for_the_first_token_is_told() -> None:
    with running(StandIn(hold=True)) as server:

        def let_go(event: ChatEvent) -> None:
            if isinstance(event, PromptProgress):
                server.release.set()

        events = ask(server, on_event=let_go)
    assert any(isinstance(event, PromptProgress) for event in events)
    assert text_of(events) == "Hello, world."


def test_stop_ends_the_answer_and_frees_the_server() -> None:
    stop = Stop()
    with running(StandIn(endless=True)) as server:

        def after_some(event: ChatEvent) -> None:
            if isinstance(event, TextDelta) and event.chunks == 20:
                threading.Thread(target=stop.request).start()

        events = ask(server, stop=stop, on_event=after_some)
        assert server.disconnected.wait(10), "the server went on"
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.reason, end.metrics.counted) == (STOPPED, "chunks")
    assert end.metrics.completion_tokens == sum(isinstance(e, TextDelta) for e in events)


def test_stop_before_the_first_token_frees_the_server_too() -> None:
    stop = Stop()
    with running(StandIn(hold=True, endless=True)) as server:

        def at_once(event: ChatEvent) -> None:
            if isinstance(event, PromptProgress):
                stop.request()

        events = ask(server, stop=stop, on_event=at_once)
        assert server.disconnected.wait(10), "the server went on"
    assert isinstance(events[-1], Finished)
    assert events[-1].metrics.ttft_s is None


def test_a_reader_who_leaves_frees_the_server() -> None:
    async def leave(server: StandIn) -> None:
        events = answer(endpoint(server), QUESTION)
        async for event in events:
            if isinstance(event, TextDelta):
                break
        await events.aclose()  # type: ignore[attr-defined]

    with running(StandIn(endless=True)) as server:
        asyncio.run(leave(server))
        assert server.disconnected.wait(10), "the server went on"


def test_death_in_mid_answer_keeps_what_came() -> None:
    with running(StandIn(die_after=2)) as server:
        events = ask(server)
    assert text_of(events) == "Hello,"
    assert failure(events).error.code is Code.SERVER_DIED
    assert failure(events).metrics.completion_tokens == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('CUDA out of memory. Tried "2 GiB"', Code.SERVER_OUT_OF_MEMORY),
        ("probability tensor contains nan", Code.SERVER_ERROR),
    ],
)
def test_an_error_in_the_stream_keeps_what_came(said: str, code: Code) -> None:
    with running(StandIn(ServerKind.TRANSFORMERS, stream_error=said)) as server:
        events = ask(server)
    assert text_of(events) == "Hello, world."
    assert failure(events).error.code is code


def test_too_long_a_conversation() -> None:
    long = ChatRequest(messages=(Message(role="user", content="x" * 1001),))
    with running(StandIn()) as server:
        error = failure(ask(server, long, context_tokens=1000)).error
    assert error.code is Code.CONTEXT_EXCEEDED
    assert error.values["limit"] == 1000


def test_a_wrong_key_and_the_right_one() -> None:
    with running(StandIn(key="secret")) as server:
        error = failure(ask(server, key="wrong")).error
        assert error.code is Code.SERVER_KEY_REFUSED
        assert "wrong" not in error.model_dump_json()
        assert text_of(ask(server, key="secret")) == "Hello, world."


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ((400, '{"message": "Extra inputs are not permitted: top_kk"}'), Code.CHAT_FIELD_REFUSED),
        ((422, '{"detail": "Unexpected fields in the request: {1}"}'), Code.CHAT_FIELD_REFUSED),
        ((400, '{"error": {"message": "temperature must be"}}'), Code.CHAT_REQUEST_REFUSED),
        ((400, '{"detail": "Server is pinned to /x; requested y"}'), Code.SERVED_MODEL_UNKNOWN),
        ((500, '{"message": "no chat template is set"}'), Code.CHAT_TEMPLATE_MISSING),
        ((500, "Internal Server Error"), Code.SERVER_ERROR),
        ((503, '{"message": "loading"}'), Code.SERVER_NOT_READY),
        ((404, "<html>nginx</html>"), Code.NOT_A_SERVER),
        ((200, "<html>Welcome</html>"), Code.NOT_A_SERVER),
        ((302, "<html>Moved</html>"), Code.CHAT_REQUEST_REFUSED),
    ],
)  # fmt: skip
def test_refusals(refusal: tuple[int, str], code: Code) -> None:
    with running(StandIn(refusal=refusal)) as server:
        assert failure(ask(server)).error.code is code


def test_a_model_that_the_server_does_not_have() -> None:
    with running(StandIn()) as server:
        assert failure(ask(server, model_id="other")).error.code is Code.SERVED_MODEL_UNKNOWN


def test_nothing_listens() -> None:
    nobody = StandIn(url=f"http://127.0.0.1:{free_port()}")
    assert failure(ask(nobody)).error.code is Code.SERVER_UNREACHABLE


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, nowhere)
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "private")
    with running(StandIn()) as server:
        assert text_of(ask(server)) == "Hello, world."
    assert not any("private" in value for value in server.headers[-1].values())


def test_the_owners_outside_server() -> None:
    def found(server: StandIn, **settings: Any) -> Endpoint:
        return asyncio.run(outside_endpoint(Settings(**({"chat_url": server.url} | settings))))

    def refused(server: StandIn, **settings: Any) -> Code:
        with pytest.raises(StudioError) as refusal:
            found(server, **settings)
        explained(refusal.value.info)
        return refusal.value.code

    with running(StandIn(ServerKind.OUTSIDE, key="secret")) as server:
        one = found(server, chat_url=f"{server.url}/v1/", chat_key="secret")
        assert (one.url, one.model_id) == (server.url, "stand-in")
        assert refused(server) is Code.SERVER_KEY_REFUSED
        missing = refused(server, chat_key="secret", chat_model="other")
        assert missing is Code.SERVED_MODEL_UNKNOWN
    nobody = f"http://127.0.0.1:{free_port()}"
    assert refused(server, chat_url=nobody) is Code.SERVER_UNREACHABLE
    assert refused(server, chat_url="") is Code.SERVER_NOT_FOUND
    with running(StandIn(refusal=(200, "<html>Welcome</html>"))) as page:
        assert refused(page) is Code.NOT_A_SERVER
