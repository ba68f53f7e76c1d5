"""Conversations through the facade, their answers written from a stand-in of a server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from backend.chat.conversations.tables import conversations as conversations_table
from backend.chat.conversations.tables import turns as turns_table
from backend.contracts import (
    AnswerNews,
    AnswerState,
    Conversation,
    ConversationSettings,
    Sampling,
    ServerKind,
    Turn,
)
from backend.errors import Code, StudioError
from backend.settings import Settings
from backend.studio import Studio
from tests.chat_server import StandIn, running
from tests.support import OWNER, PATIENCE_S

OUTSIDE = ConversationSettings(server="outside")


@contextmanager
def asking(settings: Settings, **behaviour: Any) -> Iterator[tuple[Studio, StandIn]]:
    """A studio whose outside server is a stand-in."""
    with running(StandIn(ServerKind.OUTSIDE, **behaviour)) as server:
        studio = Studio(settings.model_copy(update={"chat_url": server.url}))
        yield studio, server
        server.release.set()
        studio.close()


def ending(studio: Studio, turn: str) -> AnswerNews:
    return news_until(studio, turn, lambda news: False)


def news_until(studio: Studio, turn: str, enough: Any) -> AnswerNews:
    """The first news of an answer that are `enough`, else the last."""

    async def follow() -> AnswerNews:
        async for news in studio.chat.watch(turn, OWNER):
            last = news
            if enough(news):
                break
        return last

    return asyncio.run(asyncio.wait_for(follow(), PATIENCE_S))


def said(studio: Studio, conversation: Conversation, text: str = "Hello?", **more: Any) -> Turn:
    """The answer to a question, when it has ended."""
    [side] = studio.chat.say(conversation.id, OWNER, text, **more)
    return ending(studio, side.turns[-1].id).turn


def contents(conversation: Conversation) -> list[str]:
    return [turn.content for turn in conversation.turns]


def test_a_question_is_answered_and_both_are_kept(any_settings: Settings) -> None:
    with asking(any_settings, reasoning=("Hm", "m")) as (studio, server):
        begun = studio.chat.begin(
            ConversationSettings(server="outside", system="Be brief.", sampling=Sampling(seed=3)),
            OWNER,
        )
        assert begun.turns == () and studio.chat.context(begun) == (0, None)
        [first] = studio.chat.say(begun.id, OWNER, "How\nare \0you?")
        assert first.turns[-1].state is AnswerState.WRITING
        assert first.turns[-1].author and first.turns[-1].author.model == server.model
        news = ending(studio, first.turns[-1].id)
        kept = studio.chat.conversation(begun.id, OWNER)
        said(studio, begun, "And now?")
    assert (news.turn.content, news.turn.reasoning) == ("Hello, world.", "Hmm")
    assert news.turn.state is AnswerState.DONE and news.turn.metrics
    assert news.turn.metrics.finish_reason == "stop"
    assert (news.tokens, news.ttft_s is not None) == (6, True)
    assert contents(kept) == ["How\nare you?", "Hello, world."] and kept.turns[1] == news.turn
    assert kept.title == "How are you?"
    assert [each["role"] for each in server.bodies[0]["messages"]] == ["system", "user"]
    assert server.bodies[0]["seed"] == 3
    assert [each["content"] for each in server.bodies[1]["messages"]] == [
        "Be brief.",
        "How\nare you?",
        "Hello, world.",
        "And now?",
    ]


def test_stop_frees_the_server_and_keeps_what_came(settings: Settings) -> None:
    with asking(settings, endless=True) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        [side] = studio.chat.say(begun.id, OWNER, "Talk!")
        news_until(studio, side.turns[-1].id, lambda told: told.tokens >= 5)
        studio.chat.stop_answer(side.turns[-1].id, OWNER)
        end = ending(studio, side.turns[-1].id).turn
        assert server.disconnected.wait(PATIENCE_S)
        assert studio.chat.conversation(begun.id, OWNER).turns[1] == end
    assert end.state is AnswerState.STOPPED and end.content.startswith("Hello, world.")
    assert end.metrics and end.metrics.finish_reason == "stopped"


def test_what_came_of_a_dying_server_is_kept_and_can_be_asked_again(settings: Settings) -> None:
    with asking(settings, die_after=2) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        broken = said(studio, begun)
        server.die_after = None
        whole = ending(studio, studio.chat.again(begun.id, OWNER, broken.id).turn.id).turn
        shown = studio.chat.conversation(begun.id, OWNER)
        chosen = studio.chat.choose(begun.id, OWNER, broken.id)
        said(studio, begun, "Go on.")
    assert (broken.state, broken.content) == (AnswerState.FAILED, "Hello,")
    assert broken.error and broken.error.code is Code.SERVER_DIED
    assert whole.versions == shown.turns[1].versions == (broken.id, whole.id)
    assert contents(shown) == ["Hello?", "Hello, world."]
    assert contents(chosen) == ["Hello?", "Hello,"]
    assert [each["content"] for each in server.bodies[-1]["messages"]] == [
        "Hello?",
        "Hello,",
        "Go on.",
    ]


def test_a_question_that_nothing_came_of_is_sent_with_the_next_one(settings: Settings) -> None:
    with asking(settings) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        server.stream_error, server.tokens = "broken", ()
        failed = said(studio, begun, "One")
        server.stream_error, server.tokens = "", ("Yes",)
        said(studio, begun, "Two")
    assert failed.error and failed.error.code is Code.SERVER_ERROR
    assert [each["content"] for each in server.bodies[-1]["messages"]] == ["One\n\nTwo"]


def test_an_edited_question_is_a_version_of_it(settings: Settings) -> None:
    with asking(settings) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        said(studio, begun, "One")
        said(studio, begun, "Two")
        before = studio.chat.conversation(begun.id, OWNER)
        said(studio, begun, "Zwei", instead_of=before.turns[2].id)
        said(studio, begun, "Eins", instead_of=before.turns[0].id)
        edited = studio.chat.conversation(begun.id, OWNER)
        former = studio.chat.choose(begun.id, OWNER, before.turns[2].id)
        said(studio, begun, "Three")
    assert contents(edited) == ["Eins", "Hello, world."]
    assert edited.turns[0].versions[0] == before.turns[0].id
    assert contents(former) == contents(before)
    assert len(former.turns[2].versions) == 2
    sent = [each["content"] for each in server.bodies[-1]["messages"]]
    assert sent == [*contents(before), "Three"]
    assert studio.chat.conversation(begun.id, OWNER).title == "One"


@pytest.mark.parametrize(
    ("asked", "settings_of_it", "code"),
    [
        ({"text": " \n"}, OUTSIDE, Code.MESSAGE_EMPTY),
        ({"text": "x" * 1024**2}, OUTSIDE, Code.MESSAGE_TOO_LONG),
        ({"text": "x", "images": ("https://a/b.png",)}, OUTSIDE, Code.CHAT_IMAGE_REFUSED),
        (
            {"text": "x", "images": ("data:image/png;base64,aGVsbG8=",)},
            OUTSIDE,
            Code.CHAT_IMAGE_REFUSED,
        ),
        (
            {"text": "x", "images": ("data:image/png;base64,",) * 9},
            OUTSIDE,
            Code.CHAT_IMAGE_REFUSED,
        ),
        ({"text": "x", "instead_of": "none"}, OUTSIDE, Code.TURN_NOT_FOUND),
        ({"text": "x"}, ConversationSettings(), Code.SERVER_NOT_CHOSEN),
        ({"text": "x"}, ConversationSettings(server="tiny/vllm"), Code.SERVER_NOT_RUNNING),
        (
            {"text": "x"},
            ConversationSettings(server="outside", sampling=Sampling(top_k=5)),
            Code.CHAT_FIELD_UNSUPPORTED,
        ),
        (
            {"text": "x"},
            ConversationSettings(server="outside", sampling=Sampling(temperature=9)),
            Code.SAMPLING_OUT_OF_RANGE,
        ),
    ],
)
def test_nothing_is_kept_of_what_cannot_be_asked(
    settings: Settings, asked: dict[str, Any], settings_of_it: ConversationSettings, code: Code
) -> None:
    with asking(settings) as (studio, server):
        begun = studio.chat.begin(settings_of_it, OWNER)
        with pytest.raises(StudioError) as refusal:
            studio.chat.say(begun.id, OWNER, **asked)
        assert studio.chat.conversation(begun.id, OWNER).turns == ()
        with pytest.raises(StudioError):
            studio.chat.say("", OWNER, settings=[settings_of_it], **asked)
        assert studio.chat.conversations(OWNER).total == 1
    assert refusal.value.code is code and refusal.value.info.hint("ko")
    assert not server.bodies


def test_one_answer_at_a_time(any_settings: Settings) -> None:
    with asking(any_settings, hold=True) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        [side] = studio.chat.say(begun.id, OWNER, "One")
        waiting = news_until(studio, side.turns[-1].id, lambda told: told.elapsed_s > 0)
        assert waiting.turn.state is AnswerState.WRITING and waiting.tokens == 0
        for once_more in (
            lambda: studio.chat.say(begun.id, OWNER, "Two"),
            lambda: studio.chat.again(begun.id, OWNER, side.turns[-1].id),
        ):
            with pytest.raises(StudioError) as refusal:
                once_more()
            assert refusal.value.code is Code.ANSWER_BEING_WRITTEN
        server.release.set()
        assert ending(studio, side.turns[-1].id).turn.state is AnswerState.DONE
        assert said(studio, begun, "Two").state is AnswerState.DONE


def test_conversations_are_private(settings: Settings) -> None:
    with asking(settings) as (studio, _):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        turn = said(studio, begun).id
        chat, other = studio.chat, "visitor:other"
        for attempt in (
            lambda: chat.conversation(begun.id, other),
            lambda: chat.say(begun.id, other, "x"),
            lambda: chat.again(begun.id, other, turn),
            lambda: chat.change(begun.id, other, title="x"),
            lambda: chat.delete(begun.id, other),
            lambda: chat.choose(begun.id, other, turn),
            lambda: chat.export(begun.id, other, "json"),
            lambda: chat.as_curl(begun.id, other, turn),
            lambda: chat.sides(begun.id, other),
            lambda: chat.stop_answer(turn, other),
            lambda: asyncio.run(anext(chat.watch(turn, other))),  # type: ignore[arg-type]
        ):
            with pytest.raises(StudioError) as refusal:
                attempt()
            assert refusal.value.code in (Code.CONVERSATION_NOT_FOUND, Code.TURN_NOT_FOUND)
        assert chat.conversations(other).total == 0
        assert chat.conversations(None).total == 1, "the machine's own user sees all"


def test_found_renamed_and_deleted(any_settings: Settings) -> None:
    with asking(any_settings) as (studio, _):
        chat = studio.chat
        first, second = (chat.begin(OUTSIDE, OWNER) for _ in range(2))
        said(studio, first, "100% of NVFP4")
        said(studio, second, "Calibration")
        found = {word: chat.conversations(OWNER, word) for word in ("nvfp4", "WORLD", "0%", "_")}
        assert [len(page.conversations) for page in found.values()] == [1, 2, 1, 0]
        assert [each.id for each in chat.conversations(OWNER).conversations] == [
            second.id,
            first.id,
        ]
        chat.change(first.id, OWNER, title="  Precisions ")
        assert chat.conversations(OWNER, "precis").conversations[0].id == first.id
        assert chat.change(first.id, OWNER, title="").title == "100% of NVFP4"
        page = chat.conversations(OWNER, limit=1)
        assert (len(page.conversations), page.total) == (1, 2)
        chat.delete(first.id, OWNER)
        assert [each.id for each in chat.conversations(OWNER).conversations] == [second.id]
        with studio.desk.store.engine.connect() as connection:
            left = connection.execute(sa.select(turns_table.c.conversation).distinct())
            assert list(left.scalars()) == [second.id]


def test_side_by_side(any_settings: Settings) -> None:
    with asking(any_settings) as (studio, server):
        chat = studio.chat
        begun = chat.begin(OUTSIDE, OWNER, beside=OUTSIDE.model_copy(update={"system": "Short."}))
        assert begun.beside
        asked = chat.say(begun.id, OWNER, "One")
        for side in asked:
            ending(studio, side.turns[-1].id)
        other = chat.conversation(begun.beside, OWNER)
        assert contents(other) == contents(chat.conversation(begun.id, OWNER))
        assert all(contents(side) == ["One", ""] for side in asked)
        edited = chat.say(other.id, OWNER, "Eins", instead_of=other.turns[0].id)
        for side in edited:
            ending(studio, side.turns[-1].id)
        sides = [chat.conversation(each, OWNER) for each in (begun.id, other.id)]
        assert [contents(side)[0] for side in sides] == ["Eins", "Eins"]
        assert [side.turns[1].id for side in sides] == [side.turns[-1].id for side in edited]
        again = chat.again(other.id, OWNER, sides[1].turns[1].id)
        ending(studio, again.turn.id)
        assert len(chat.conversation(begun.id, OWNER).turns[1].versions) == 1
        assert [each.id for each in chat.conversations(OWNER).conversations] == [begun.id]
        assert chat.conversations(OWNER, "eins").total == 1
        chat.delete(other.id, OWNER)
        assert chat.conversations(OWNER).total == 0
        with studio.desk.store.engine.connect() as connection:
            assert not connection.execute(sa.select(conversations_table.c.id)).all()
    assert sorted(len(body["messages"]) for body in server.bodies[:2]) == [1, 2]


def test_another_process_watches_and_stops_an_answer(any_settings: Settings) -> None:
    with asking(any_settings, endless=True) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        [side] = studio.chat.say(begun.id, OWNER, "Talk!")
        other = Studio(studio.settings)
        seen = news_until(other, side.turns[-1].id, lambda told: len(told.turn.content) > 20)
        assert seen.turn.state is AnswerState.WRITING, "what came is kept while it is written"
        with pytest.raises(StudioError) as refusal:
            other.chat.say(begun.id, OWNER, "Two")
        assert refusal.value.code is Code.ANSWER_BEING_WRITTEN
        other.chat.stop_answer(side.turns[-1].id, OWNER)
        assert ending(other, side.turns[-1].id).turn.state is AnswerState.STOPPED
        assert server.disconnected.wait(PATIENCE_S)
        other.close()


def test_deleting_a_conversation_ends_what_another_process_writes(settings: Settings) -> None:
    with asking(settings, endless=True) as (studio, server):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        studio.chat.say(begun.id, OWNER, "Talk!")
        other = Studio(studio.settings)
        other.chat.delete(begun.id, OWNER)
        other.close()
        assert server.disconnected.wait(PATIENCE_S)


def test_what_a_dead_process_was_writing_is_interrupted(any_settings: Settings) -> None:
    with asking(any_settings, endless=True) as (studio, _):
        begun = studio.chat.begin(OUTSIDE, OWNER)
        [side] = studio.chat.say(begun.id, OWNER, "Talk!")
        news_until(studio, side.turns[-1].id, lambda told: told.tokens > 3)
        studio.close()
        other = Studio(studio.settings)
        closed = other.chat.conversation(begun.id, OWNER).turns[1]
        assert closed.state is AnswerState.INTERRUPTED and len(closed.content) > 10
        with other.desk.store.engine.begin() as connection:
            left_behind = {"state": "writing", "saved_at": 1.0}
            connection.execute(sa.update(turns_table).values(**left_behind))
        assert other.chat.conversation(begun.id, OWNER).turns[1] == closed
        assert ending(other, closed.id).turn == closed
        other.close()


def test_a_database_without_conversations_gets_them(any_studio: Studio) -> None:
    engine = any_studio.desk.store.engine
    for table in (turns_table, conversations_table):
        table.drop(engine)
    studio = Studio(any_studio.settings)
    assert studio.chat.begin(OUTSIDE, OWNER).turns == ()
    studio.close()
