"""A real `transformers serve` with a tiny model, run by a real worker: answers, is stopped, dies,
goes."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.chat.client.answer import STOPPED, Stop
from backend.chat.client.capabilities import CAPABILITIES
from backend.contracts import (
    AnswerState,
    ChatEvent,
    ChatRequest,
    ConversationSettings,
    Failed,
    Finished,
    JobState,
    Message,
    Sampling,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
    TextDelta,
)
from backend.errors import Code, StudioError
from backend.settings import Settings
from backend.studio import Studio
from tests.contract.test_command_line import run
from tests.support import OWNER, PATIENCE_S, WarmWorker, Worker, await_phase, until
from tests.tiny_llama import make_tiny_llama
from tests.unit.test_conversations import ending

ASKED = ServeRequest(model="tiny", kind=ServerKind.TRANSFORMERS)
KEY = "tiny/transformers"
ENDLESS = 500_000
"""Tokens that no test would wait for."""


class House:
    """A studio with its worker."""

    def __init__(self, home: Path) -> None:
        context = 2 * ENDLESS
        self.settings = Settings(home=home, chat_context_tokens=context, stop_grace_s=2.0)
        make_tiny_llama(home / "checkpoints" / "tiny", max_position_embeddings=context)
        (home / "studio.toml").write_text(f"chat_context_tokens = {context}\nstop_grace_s = 2.0\n")
        self.studio = Studio(self.settings)
        self.chat = self.studio.chat
        self.worker = Worker(self.settings)

    def status(self) -> ServerStatus | None:
        return next((one for one in self.chat.servers() if one.key == KEY), None)

    def ready(self) -> ServerStatus | None:
        status = self.status()
        return status if status and status.phase is ServerPhase.READY else None

    def pids(self) -> list[int]:
        """The server's guard and its processes."""
        status = self.status()
        if status is None or status.pid is None:
            return []
        try:
            children = psutil.Process(status.pid).children(recursive=True)
        except psutil.Error:
            return []
        return [status.pid, *(child.pid for child in children)] if children else []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("chat"))
    yield house
    house.worker.kill()
    house.studio.close()


@pytest.fixture(scope="module")
def served(house: House) -> ServerStatus:
    job = house.studio.jobs.wait(house.chat.serve(ASKED, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    return until(house.ready, "the server in the worker's report")


def ask(
    house: House,
    status: ServerStatus,
    text: str = "Hello",
    until_told: Stop | None = None,
    on_event: Callable[[ChatEvent], None] = lambda event: None,
    **sampling: Any,
) -> list[ChatEvent]:
    request = ChatRequest(
        messages=(Message(role="user", content=text),), sampling=Sampling(**sampling)
    )

    async def all_of_it() -> list[ChatEvent]:
        events = []
        async for event in house.chat.answer(status.endpoint, request, until_told):
            on_event(event)
            events.append(event)
        return events

    return asyncio.run(asyncio.wait_for(all_of_it(), PATIENCE_S))


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_which_servers_can_serve_it_here(house: House) -> None:
    found = {choice.kind: choice for choice in house.chat.choices("tiny", OWNER)}
    assert found[ServerKind.TRANSFORMERS].possible
    for choice in found.values():
        assert choice.reason.render("en") and choice.reason.render("ko")
    assert "tiny" in [model.name for model in house.chat.models()]


def test_it_is_ready_and_its_memory_counts(house: House, served: ServerStatus) -> None:
    assert house.chat.endpoint(KEY) == served.endpoint
    assert served.endpoint.model_id == str(house.settings.home / "checkpoints" / "tiny")
    assert "--host 127.0.0.1" in served.command
    assert "--continuous-batching" not in served.command
    assert served.memory_bytes > 100 * 1024**2
    assert served.peak_memory_bytes <= served.estimate_bytes, "the estimate is too low"
    [worker] = house.studio.machine.status().workers
    assert worker.memory.process_bytes > served.memory_bytes
    again = house.studio.jobs.wait(house.chat.serve(ASKED, OWNER), OWNER, PATIENCE_S)
    assert again.error and again.error.code is Code.SERVER_RUNNING_ALREADY
    assert house.ready(), "the one that runs is left alone"


def test_it_answers_and_counts(house: House, served: ServerStatus) -> None:
    events = ask(house, served, max_tokens=8)
    assert len(text_of(events)) == 8
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.reason, end.metrics.counted, end.metrics.completion_tokens) == (
        "length",
        "server",
        8,
    )
    assert end.metrics.prompt_tokens == len("user: Hello\nassistant: ")
    assert end.metrics.ttft_s and end.metrics.tokens_per_s


def test_conversations_are_answered_one_after_the_other(house: House, served: ServerStatus) -> None:
    chat = house.studio.chat
    settings = ConversationSettings(server=KEY, sampling=Sampling(max_tokens=8))
    asked = [
        (begun.id, chat.say(begun.id, OWNER, "Hello")[0].turns[-1].id)
        for begun in [chat.begin(settings, OWNER) for _ in range(2)]
    ]
    for conversation, turn in asked:
        answered = ending(house.studio, turn).turn
        assert (answered.state, len(answered.content)) == (AnswerState.DONE, 8)
        assert answered.peak_memory_bytes and answered.peak_memory_bytes > 100 * 1024**2
        used = len("user: Hello\nassistant: ") + 8
        assert chat.context(chat.conversation(conversation, OWNER)) == (used, 2 * ENDLESS)
    too_long = settings.model_copy(update={"system": "x" * 2 * ENDLESS})
    begun = chat.change(asked[0][0], OWNER, settings=too_long)
    with pytest.raises(StudioError) as refusal:
        chat.say(begun.id, OWNER, "Hello")
    assert refusal.value.code is Code.MESSAGE_TOO_LONG


def test_the_command_uses_the_server_that_runs(house: House, served: ServerStatus) -> None:
    asked = ("chat", "--model", "tiny", "--prompt", "Hello", "--max-tokens", "4")
    status, data, _ = run(house.settings, *asked)
    assert (status, len(data["text"]), data["server"]) == (0, 4, "transformers")
    status, data, _ = run(house.settings, "servers", "list")
    assert [(one["key"], one["phase"]) for one in data["servers"]] == [(KEY, "ready")]


def test_sampling_is_done_as_asked(house: House, served: ServerStatus) -> None:
    def said(**sampling: Any) -> str:
        return text_of(ask(house, served, max_tokens=16, **sampling))

    greedy = said(temperature=0, seed=1)
    assert said(temperature=0, seed=2) == greedy
    drawn = [said(temperature=1.5, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    only_one = said(temperature=1.5, top_k=1, seed=3)
    assert only_one == greedy, "with one candidate there is nothing to draw"


def test_every_field_of_the_table_is_taken(house: House, served: ServerStatus) -> None:
    values: dict[str, Any] = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.01,
        "repetition_penalty": 1.1,
        "seed": 7,
        "stop": ("zzz",),
        "max_tokens": 4,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert values.keys() == CAPABILITIES[ServerKind.TRANSFORMERS].fields
    assert isinstance(ask(house, served, **values)[-1], Finished)


def test_the_stop_string_is_not_in_the_answer(house: House, served: ServerStatus) -> None:
    whole = text_of(ask(house, served, max_tokens=16, temperature=0))
    stop = whole[5:7]
    cut = text_of(ask(house, served, max_tokens=16, temperature=0, stop=(stop,)))
    assert cut == whole[: whole.index(stop)]


def test_stop_in_mid_answer_frees_the_server(house: House, served: ServerStatus) -> None:
    stop = Stop()

    def after_some(event: ChatEvent) -> None:
        if isinstance(event, TextDelta) and event.chunks >= 5:
            stop.request()

    events = ask(house, served, until_told=stop, on_event=after_some, max_tokens=ENDLESS)
    assert isinstance(events[-1], Finished) and events[-1].reason == STOPPED
    assert len(text_of(ask(house, served, max_tokens=3))) == 3, "it answers one after the other"


def test_a_wrong_model_id(house: House, served: ServerStatus) -> None:
    other = served.endpoint.model_copy(update={"model_id": "other"})
    end = ask(house, served.model_copy(update={"endpoint": other}))[-1]
    assert isinstance(end, Failed) and end.error.code is Code.SERVED_MODEL_UNKNOWN


def test_death_in_mid_answer_is_noticed(house: House, served: ServerStatus) -> None:
    guard, server = house.pids()

    def kill(event: ChatEvent) -> None:
        if isinstance(event, TextDelta) and event.chunks >= 5 and psutil.pid_exists(server):
            os.kill(server, signal.SIGKILL)

    events = ask(house, served, on_event=kill, max_tokens=ENDLESS)
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code is Code.SERVER_DIED
    assert len(text_of(events)) >= 5

    def restarted() -> bool:
        status = house.status()
        return status is not None and status.restarts == 1

    until(restarted, "the restart")
    assert not psutil.pid_exists(guard)


def test_unloading_ends_it(house: House, served: ServerStatus) -> None:
    pids = until(house.pids, "its processes")
    house.chat.stop(KEY)
    until(lambda: house.status() is None, "the end")
    assert not any(psutil.pid_exists(pid) for pid in pids)
    for question in (house.chat.stop, house.chat.endpoint):
        with pytest.raises(StudioError) as refusal:
            question(KEY)
        assert refusal.value.code is Code.SERVER_UNKNOWN
    end = ask(house, served)[-1]
    assert isinstance(end, Failed) and end.error.code is Code.SERVER_UNREACHABLE


def test_stop_while_it_starts_cancels_the_job(house: House) -> None:
    job = house.chat.serve(ASKED, OWNER)
    await_phase(house.studio, job, "server_starting")
    pids = until(house.pids, "its processes")
    with pytest.raises(StudioError) as refusal:
        house.chat.endpoint(KEY)
    assert refusal.value.code is Code.SERVER_NOT_READY
    house.chat.stop(KEY)
    assert house.studio.jobs.wait(job, OWNER, PATIENCE_S).state is JobState.CANCELLED
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_it_goes_with_its_worker_and_a_start_goes_on_in_the_next(house: House) -> None:
    """Told to end, the worker has ended its servers when it has gone; killed, the guard does."""
    house.worker.kill()
    first = WarmWorker(house.settings)
    job = house.chat.serve(ASKED, OWNER)
    await_phase(house.studio, job, "server_starting")
    pids = until(house.pids, "its processes")
    assert first.stop() == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    second = WarmWorker(house.settings)
    try:
        assert house.studio.jobs.wait(job, OWNER, PATIENCE_S).state is JobState.SUCCEEDED
        until(house.ready, "the server in the worker's report")
        pids = until(house.pids, "its processes")
    finally:
        second.kill()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the end of the server")
