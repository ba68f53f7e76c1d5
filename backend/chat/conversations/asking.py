"""What is sent for a conversation."""

from collections.abc import Sequence

from backend.chat.client.capabilities import check_request
from backend.chat.client.tokens import fit_context
from backend.contracts import (
    Author,
    ChatRequest,
    ConversationSettings,
    Endpoint,
    Message,
    Turn,
)


def request_of(turns: Sequence[Turn], settings: ConversationSettings) -> ChatRequest:
    """The request that asks for what comes after these turns, the last of which is a question."""
    if settings.completion:
        return ChatRequest(prompt=_prompt(turns, settings), sampling=settings.sampling)
    system = (Message(role="system", content=settings.system),) if settings.system.strip() else ()
    return ChatRequest(messages=(*system, *_messages(turns)), sampling=settings.sampling)


def fitted(request: ChatRequest, endpoint: Endpoint) -> tuple[ChatRequest, Endpoint]:
    """The request, kept within the context, and the endpoint as it is asked then: it need not have
    the tokens counted again.

    Raises StudioError as `check_request` and `fit_context` do.
    """
    check_request(request, endpoint)
    return fit_context(request, endpoint), endpoint.model_copy(update={"tokenizer": None})


def author_of(endpoint: Endpoint, server: str) -> Author:
    return Author(
        model=endpoint.model,
        precision=endpoint.precision,
        server=server,
        kind=endpoint.kind,
        simulated=endpoint.simulated,
        context_tokens=endpoint.context_tokens,
    )


def _messages(turns: Sequence[Turn]) -> list[Message]:
    """Templates want questions and answers by turns: a question that nothing came of is sent
    together with the next one."""
    messages: list[Message] = []
    for turn in turns:
        if turn.role == "assistant" and not turn.content.strip():
            continue
        message = Message(role=turn.role, content=turn.content, images=turn.images)
        if messages and messages[-1].role == "user" == turn.role:
            before = messages.pop()
            message = Message(
                role="user",
                content=f"{before.content}\n\n{message.content}",
                images=before.images + message.images,
            )
        messages.append(message)
    return messages


def _prompt(turns: Sequence[Turn], settings: ConversationSettings) -> str:
    """An answer goes on where its question ends; a later question begins a new line."""
    pieces = [settings.system] if settings.system else []
    for turn in turns:
        if turn.role == "user":
            pieces.append(turn.content)
        else:
            pieces[-1] += turn.content
    return "\n".join(pieces)
