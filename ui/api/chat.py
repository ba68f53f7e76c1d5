"""The public API's endpoint that asks language models."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.concurrency import run_in_threadpool

from backend.contracts import (
    AnswerNews,
    AnswerState,
    ConversationSettings,
    ServerKind,
    ServerPhase,
)
from backend.errors import Code, StudioError
from ui.access import owner_of
from ui.api.answers import told, valid

if TYPE_CHECKING:
    from backend.studio import Studio

Answers = AsyncIterator[dict[str, Any]]


def chat_endpoints(studio: "Studio") -> tuple[Callable[..., Answers], ...]:
    async def chat(
        request: gr.Request,
        prompt: str,
        model: str = "",
        system: str = "",
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        completion: bool = False,
        conversation: str = "",
    ) -> Answers:
        """Ask a language model that is being served. Yields the answer as it is written: its text
        and reasoning so far, and its metrics with the last.

        `model` is a model's name, a server's key, or `outside`; left out, the first that runs.
        `completion` goes on with the prompt as text, for models without a chat template.
        `conversation` goes on with one, by the id that an earlier answer told, with what is given
        here in place of its own settings. Cancelling the call stops the answer.
        """
        sampling = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
        }
        given = {"system": system, "completion": completion, "sampling": sampling}
        owner = owner_of(request)
        with told():
            asked, turn = await run_in_threadpool(
                _ask, studio, owner, prompt, conversation, model, given
            )
            try:
                async for each in studio.chat.watch(turn, owner):
                    yield _data(asked, each)
                    error = each.turn.error
                    if each.turn.state is AnswerState.FAILED and error is not None:
                        raise StudioError(error.code, error.detail, **error.values)
            finally:
                with suppress(StudioError):  # it was deleted
                    studio.chat.stop_answer(turn, owner)

    return (chat,)


def _ask(
    studio: "Studio",
    owner: str,
    prompt: str,
    conversation: str,
    model: str,
    given: dict[str, Any],
) -> tuple[str, str]:
    """Ask, in a conversation that is there or a new one; its id and that of the answer."""
    before = studio.chat.conversation(conversation, owner) if conversation else None
    settings = before.settings if before else ConversationSettings()
    own = settings.model_dump()
    sampling = {name: value for name, value in given["sampling"].items() if value is not None}
    changed = valid(
        ConversationSettings,
        own
        | {name: given[name] for name in ("system", "completion") if given[name]}
        | {"sampling": own["sampling"] | sampling}
        | {"server": _server(studio, model) if model or not before else settings.server},
    )
    if before and changed != settings:
        studio.chat.change(before.id, owner, settings=changed)
    first = studio.chat.say(conversation, owner, prompt, settings=() if before else [changed])[0]
    return conversation or first.id, first.turns[-1].id


def _server(studio: "Studio", model: str) -> str:
    """The key of a server of the model. Raises StudioError SERVER_NOT_RUNNING."""
    if model == ServerKind.OUTSIDE:
        return model
    for one in studio.chat.servers():
        if one.phase is ServerPhase.READY and model in ("", one.key, one.endpoint.model):
            return one.key
    if not model:
        raise StudioError(Code.SERVER_NOT_CHOSEN)
    raise StudioError(Code.SERVER_NOT_RUNNING, server=model[:200])


def _data(conversation: str, news: AnswerNews) -> dict[str, Any]:
    turn = news.turn
    return {
        "text": turn.content,
        "reasoning": turn.reasoning,
        "state": str(turn.state),
        "metrics": turn.metrics.model_dump(mode="json") if turn.metrics else None,
        "elapsed_s": news.elapsed_s,
        "model": turn.author.model if turn.author else None,
        "precision": turn.author.precision if turn.author else None,
        "conversation": conversation,
        "answer": turn.id,
    }
