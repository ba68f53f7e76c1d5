"""A real `transformers serve` with a tiny model: answers, is stopped, dies, goes."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.chat.capabilities import CAPABILITIES
from backend.chat.client import STOPPED, Stop, answer
from backend.chat.house import Servers, choices_for, plan_of, serve, this_machine
from backend.chat.models import find_language_model
from backend.contracts import (
    ChatEvent,
    ChatRequest,
    Failed,
    Finished,
    JobEvent,
    JobKind,
    Message,
    Sampling,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
    TextDelta,
)
from backend.errors import Code, StudioError
from backend.jobs.context import JobCancelled, JobContext
from backend.jobs.database import open_engine
from backend.jobs.store import Store, new_job
from backend.models.pool import ModelPool
from backend.settings import Settings
from tests.support import PATIENCE_S, until
from tests.tiny_llama import make_tiny_llama

BUDGET = 4 * 1024**3
ASKED = ServeRequest(model="tiny", kind=ServerKind.TRANSFORMERS)
KEY = "tiny/transformers"
ENDLESS = 500_000
"""Tokens that no test would wait for."""


class House:
    """What a worker has: a pool, the servers, and jobs that start them."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, chat_context_tokens=2 * ENDLESS)
        make_tiny_llama(home / "checkpoints" / "tiny", max_position_embeddings=2 * ENDLESS)
        self.pool = ModelPool(BUDGET, lambda: 0, lambda: None)
        self.servers = Servers(self.settings)
        self.events: list[JobEvent] = []

    def serve(self, check: Callable[[], None] = lambda: None) -> ServerStatus:
        row = new_job(
            JobKind.LOAD, "build", 10, "local", "tiny", KEY, ASKED.model_dump(mode="json"), 1.0
        )
        store = Store(open_engine(self.settings))
        context = JobContext(row, store, self.events.append, threading.Event())
        context.check = check  # type: ignore[method-assign]
        return ServerStatus.model_validate(serve(context, self.settings, self.pool, self.servers))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("chat"))
    yield house
    house.servers.stop_all()


@pytest.fixture(scope="module")
def served(house: House) -> ServerStatus:
    return house.serve()


def ask(
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
        async for event in answer(status.endpoint, request, stop=until_told):
            on_event(event)
            events.append(event)
        return events

    return asyncio.run(asyncio.wait_for(all_of_it(), PATIENCE_S))


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_which_servers_can_serve_it_here(house: House) -> None:
    model = find_language_model(house.settings, "tiny")
    found = {c.kind: c for c in choices_for(house.settings, model, this_machine(house.settings))}
    assert found[ServerKind.TRANSFORMERS].possible
    for choice in found.values():
        assert choice.reason.render("en") and choice.reason.render("ko")
    with pytest.raises(StudioError) as refusal:
        plan_of(house.settings, ServeRequest(model="tiny", kind=ServerKind.OUTSIDE))
    assert refusal.value.code is Code.INVALID_REQUEST


def test_it_is_ready_and_its_memory_is_set_aside(house: House, served: ServerStatus) -> None:
    assert served.phase is ServerPhase.READY
    assert served.endpoint.model_id == str(house.settings.home / "checkpoints" / "tiny")
    assert "--host 127.0.0.1" in served.command
    assert "--continuous-batching" not in served.command
    assert served.memory_bytes > 100 * 1024**2
    assert house.pool.holders() == (KEY,)
    assert house.pool.free_bytes() == BUDGET - served.estimate_bytes
    assert served.peak_memory_bytes <= served.estimate_bytes, "the estimate is too low"
    assert set(house.servers.pids()) <= {process.pid for process in psutil.process_iter()}
    phases = {event.phase for event in house.events}
    assert "server_loading" in phases
    with pytest.raises(StudioError) as refusal:
        house.servers.start(plan_of(house.settings, ASKED), lambda: None)
    assert refusal.value.code is Code.SERVER_RUNNING_ALREADY


def test_it_answers_and_counts(served: ServerStatus) -> None:
    events = ask(served, max_tokens=8)
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


def test_sampling_is_done_as_asked(served: ServerStatus) -> None:
    greedy = {text_of(ask(served, max_tokens=16, temperature=0, seed=seed)) for seed in (1, 2)}
    assert len(greedy) == 1
    drawn = [text_of(ask(served, max_tokens=16, temperature=1.5, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    narrow = text_of(ask(served, max_tokens=16, temperature=1.5, top_k=1, seed=3))
    assert {narrow} == greedy, "with one candidate there is nothing to draw"


def test_every_field_of_the_table_is_taken(served: ServerStatus) -> None:
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
    assert isinstance(ask(served, **values)[-1], Finished)


def test_the_stop_string_is_not_in_the_answer(served: ServerStatus) -> None:
    whole = text_of(ask(served, max_tokens=16, temperature=0))
    stop = whole[5:7]
    cut = text_of(ask(served, max_tokens=16, temperature=0, stop=(stop,)))
    assert cut == whole[: whole.index(stop)]


def test_stop_in_mid_answer_frees_the_server(served: ServerStatus) -> None:
    stop = Stop()

    def after_some(event: ChatEvent) -> None:
        if isinstance(event, TextDelta) and event.chunks >= 5:
            stop.request()

    events = ask(served, until_told=stop, on_event=after_some, max_tokens=ENDLESS)
    assert isinstance(events[-1], Finished) and events[-1].reason == STOPPED
    assert len(text_of(ask(served, max_tokens=3))) == 3, "it answers one after the other"


def test_a_wrong_model_id(served: ServerStatus) -> None:
    other = served.endpoint.model_copy(update={"model_id": "other"})
    end = ask(served.model_copy(update={"endpoint": other}))[-1]
    assert isinstance(end, Failed) and end.error.code is Code.SERVED_MODEL_UNKNOWN


def test_death_in_mid_answer_is_noticed(house: House, served: ServerStatus) -> None:
    def kill(event: ChatEvent) -> None:
        if isinstance(event, TextDelta) and event.chunks >= 5 and house.servers.pids() == pids:
            os.kill(pids[0], signal.SIGKILL)

    pids = house.servers.pids()
    events = ask(served, on_event=kill, max_tokens=ENDLESS)
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code is Code.SERVER_DIED
    assert len(text_of(events)) >= 5

    until(lambda: house.servers.statuses()[0].restarts == 1, "the restart")
    assert house.pool.holders() == (KEY,), "its memory is still set aside"


def test_unloading_gives_everything_back(house: House, served: ServerStatus) -> None:
    pids = until(house.servers.pids, "its process")
    assert house.servers.stop(KEY)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert house.pool.free_bytes() == BUDGET
    assert house.servers.statuses() == ()
    assert not house.servers.stop(KEY), "it is forgotten"
    end = ask(served)[-1]
    assert isinstance(end, Failed) and end.error.code is Code.SERVER_UNREACHABLE


def test_a_job_that_is_cancelled_while_it_loads_leaves_nothing(house: House) -> None:
    def cancelled() -> None:
        if house.servers.pids():
            raise JobCancelled

    with pytest.raises(JobCancelled):
        house.serve(cancelled)
    assert house.servers.statuses() == ()
    assert house.pool.free_bytes() == BUDGET
