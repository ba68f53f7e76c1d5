"""Conversations through the facade, their answers written from a stand-in of a server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.contracts import (
    AnswerNews,
    AnswerState,
    Conversation,
    ConversationSettings,
    Sampling,
    ServerKind,
    Turn,
)
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
    [news] = studio.chat.say(conversation.id, OWNER, text, **more)
    return ending(studio, news.turn.id).turn


def contents(conversation: Conversation) -> list[str]:
    return [turn.content for turn in conversation.turns]


def test_a_question_is_answered_and_both_are_kept(any_settings: Settings) -> None:
    with asking(any_settings, reasoning=("Hm", "m")) as (studio, server):
        begun = studio.chat.begin(
            ConversationSettings(server="outside", system="Be brief.", sampling=Sampling(seed=3)),
            OWNER,
        )
        assert begun.turns == () and studio.chat.context(begun.id, OWNER) == (0, None)
        [first] = studio.chat.say(begun.id, OWNER, "How\nare \0you?")
        assert first.turn.state is AnswerState.WRITING
        assert first.turn.author and first.turn.author.model == server.model
        news = ending(studio, first.turn.id)
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
