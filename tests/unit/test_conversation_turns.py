"""Two servers that memory does not hold at once: one side is asked, then the other.

The servers are a stand-in under two keys; starting and stopping them is noted, everything else is
the real thing.
"""

import time
from collections.abc import Iterator

import pytest

from backend.contracts import (
    AnswerState,
    Conversation,
    ConversationSettings,
    Endpoint,
    JobState,
    MemorySample,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
    WorkerStatus,
)
from backend.errors import Code, ErrorInfo, StudioError
from backend.settings import Settings
from backend.studio import Studio
from tests.chat_server import StandIn, running
from tests.support import OWNER, until
from tests.tiny_llama import make_tiny_llama
from tests.unit.test_conversations import ending, news_until

FIRST, SECOND = "first/transformers", "second/transformers"


class House:
    """The servers of a studio without a worker."""

    def __init__(self, studio: Studio, server: StandIn, patch: pytest.MonkeyPatch) -> None:
        self.studio, self.server = studio, server
        self.running = [FIRST]
        self.history: list[str] = []
        self.problem: ErrorInfo | None = None
        self._serve = studio.chat.serve
        for name in ("servers", "stop", "serve"):
            patch.setattr(studio.chat, name, getattr(self, name))
        self.report(budget_bytes=1024**3)

    def report(self, budget_bytes: int) -> None:
        self.studio.desk.store.report_worker(
            WorkerStatus(
                name="w",
                pid=1,
                device="CPU",
                alive=True,
                budget_bytes=budget_bytes,
                memory=MemorySample(
                    kind="cpu", total_bytes=1, used_bytes=0, process_bytes=0, taken_at=0
                ),
                resident=(),
                seen_at=time.time() + 3600,
            )
        )

    def servers(self) -> tuple[ServerStatus, ...]:
        return tuple(self._status(key) for key in self.running)

    def stop(self, key: str) -> None:
        self.history.append(f"stop {key}")
        self.running.remove(key)

    def serve(self, request: ServeRequest, owner: str | None) -> str:
        key = f"{request.model}/{request.kind}"
        self.history.append(f"start {key}")
        job = self._serve(request, owner)
        store = self.studio.desk.store
        store.move(job, JobState.RUNNING, started_at=1.0)
        if self.problem:
            store.move(job, JobState.FAILED, finished_at=2.0, error=self.problem)
        else:
            store.move(job, JobState.SUCCEEDED, finished_at=2.0, result={})
            self.running.append(key)
        return job

    def _status(self, key: str) -> ServerStatus:
        return ServerStatus(
            key=key,
            phase=ServerPhase.READY,
            endpoint=Endpoint(
                kind=ServerKind.TRANSFORMERS,
                url=self.server.url,
                model_id=self.server.model,
                model=key.split("/")[0],
            ),
            command="",
            pid=None,
            started_at=0.0,
            estimate_bytes=800 * 1024**2,
            memory_bytes=500 * 1024**2,
        )

    def begin(self) -> Conversation:
        first, second = (ConversationSettings(server=key) for key in (FIRST, SECOND))
        return self.studio.chat.begin(first, OWNER, beside=second)

    def ends(self, sides: tuple[Conversation, ...]) -> list[tuple[str, str]]:
        """State and text of the answers."""
        turns = [ending(self.studio, side.turns[-1].id).turn for side in sides]
        return [(str(turn.state), turn.content) for turn in turns]

    def waits_for(self, side: Conversation, key: str) -> None:
        answer = side.turns[-1].id
        seen = news_until(
            self.studio, answer, lambda told: told.waiting and told.waiting.key == key
        )
        assert seen.waiting and seen.waiting.render("en") and seen.waiting.render("ko")


@pytest.fixture
def house(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    for name in ("first", "second"):
        make_tiny_llama(settings.home / "checkpoints" / name)
    with running(StandIn(ServerKind.TRANSFORMERS)) as server:
        studio = Studio(settings)
        yield House(studio, server, monkeypatch)
        server.release.set()
        studio.close()


def test_the_one_that_runs_is_asked_first(house: House) -> None:
    chat = house.studio.chat
    pair = house.begin()
    house.server.hold = True
    asked = chat.say(pair.id, OWNER, "One")
    house.waits_for(asked[1], "waiting.beside")
    assert not house.history
    house.server.release.set()
    done = [("done", "Hello, world.")] * 2
    assert house.ends(asked) == done
    assert house.history == [f"stop {FIRST}", f"start {SECOND}"]
    authors = [ending(house.studio, side.turns[-1].id).turn.author for side in asked]
    assert [author.server if author else "" for author in authors] == [FIRST, SECOND]
    assert house.ends(chat.say(pair.id, OWNER, "Two")) == done
    assert house.history[2:] == [f"stop {SECOND}", f"start {FIRST}"], "the second went first"
    turn = chat.conversation(pair.id, OWNER).turns[-1]
    assert turn.peak_memory_bytes == 500 * 1024**2
    assert house.server.url in chat.as_curl(pair.id, OWNER, turn.id)


def test_nobody_elses_answer_is_cut_off(house: House) -> None:
    chat = house.studio.chat
    house.server.hold = True
    [other] = chat.say(
        chat.begin(ConversationSettings(server=FIRST), "visitor:other").id, "visitor:other", "x"
    )
    pair = house.begin()
    assert pair.beside
    asked = chat.say(pair.id, OWNER, "One")
    chat.stop_answer(asked[0].turns[-1].id, OWNER)
    house.waits_for(asked[1], "waiting.others")
    assert not house.history
    house.server.release.set()
    assert house.ends(asked)[1] == ("done", "Hello, world.")
    assert house.history == [f"stop {FIRST}", f"start {SECOND}"]
    assert chat._writer.draft(other.turns[-1].id) is None


def test_stop_while_it_waits(house: House) -> None:
    chat = house.studio.chat
    house.server.hold = True
    asked = chat.say(house.begin().id, OWNER, "One")
    house.waits_for(asked[1], "waiting.beside")
    chat.stop_answer(asked[1].turns[-1].id, OWNER)
    assert ending(house.studio, asked[1].turns[-1].id).turn.state is AnswerState.STOPPED
    house.server.release.set()
    assert house.ends(asked)[0] == ("done", "Hello, world.")
    until(lambda: chat._writer.draft(asked[0].turns[-1].id) is None, "its end")
    assert not house.history


def test_why_the_second_did_not_start(house: House) -> None:
    house.problem = ErrorInfo(code=Code.SERVER_OUT_OF_MEMORY, values={"model": "second"})
    asked = house.studio.chat.say(house.begin().id, OWNER, "One")
    assert [state for state, _ in house.ends(asked)] == ["done", "failed"]
    error = ending(house.studio, asked[1].turns[-1].id).turn.error
    assert error and error.code is Code.SERVER_OUT_OF_MEMORY


def test_nothing_is_started_that_memory_has_room_for(house: House) -> None:
    """That is the reader's to do; and so it is where neither runs."""
    pair = house.begin()
    house.report(budget_bytes=64 * 1024**3)
    for _ in range(2):
        with pytest.raises(StudioError) as refusal:
            house.studio.chat.say(pair.id, OWNER, "One")
        assert refusal.value.code is Code.SERVER_NOT_RUNNING
        house.report(budget_bytes=1024**3)
        house.running.clear()
    assert not house.history and house.studio.chat.conversation(pair.id, OWNER).turns == ()
