"""Whether a server of a checkpoint answers as one of its original does: the same prompts, greedily.

A second tier beside the score: the server's own kernels, cache and sampling are in it.
"""

import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pydantic import ValidationError

from backend.chat.client.exchange import Said, leading, parts_at, question
from backend.contracts import (
    Agreement,
    AgreementAnswer,
    ChatEvent,
    ChatRequest,
    Endpoint,
    Failed,
    Sampling,
    ServerPhase,
    ServerStatus,
)
from backend.errors import Code, StudioError
from backend.models.families.tokens import token_ids
from backend.quantize.language.questions import QUESTIONS
from backend.quantize.language.results import AGREEMENT

TOKENS = 64
SAMPLING = Sampling(temperature=0.0, max_tokens=TOKENS)
Ask = Callable[[Endpoint, ChatRequest], AsyncIterator[ChatEvent]]
Told = Callable[[int, int], None]


async def compare(
    ask: Ask, server: ServerStatus, reference: ServerStatus, folder: Path, on_done: Told
) -> Agreement:
    """Put all prompts to both, one after the other. `folder` has the tokenizer.

    Raises StudioError as the servers' answers end.
    """
    ends = (server.endpoint, reference.endpoint)
    chat = all(end.has_template for end in ends)
    found = []
    for index, asked in enumerate(QUESTIONS):
        on_done(index, len(QUESTIONS))
        request = question(asked.prompt, SAMPLING, chat)
        answer, wanted = [await _whole(ask(end, request)) for end in ends]
        found.append(_answer(asked.language, asked.prompt, wanted, answer, folder))
    shares = [each.leading_tokens for each in found if each.leading_tokens is not None]
    return Agreement(
        server=server.key,
        reference=reference.key,
        simulated=server.endpoint.simulated,
        tokens=TOKENS,
        at=time.time(),
        leading_characters=_mean([each.leading_characters for each in found]),
        leading_tokens=_mean(shares) if shares else None,
        same=sum(each.first_difference is None for each in found),
        answers=tuple(found),
    )


async def _whole(events: AsyncIterator[ChatEvent]) -> str:
    """Reasoning and text of an answer, one after the other."""
    said = Said()
    async for event in events:
        said.take(event)
        if isinstance(event, Failed):
            raise StudioError(event.error.code, event.error.detail, **event.error.values)
    return "\n\n".join(part.strip() for part in (said.reasoning, said.text) if part.strip())


def _answer(language: str, prompt: str, wanted: str, answer: str, folder: Path) -> AgreementAnswer:
    tokens = None
    if (folder / "tokenizer.json").is_file():
        tokens = leading(token_ids(folder, wanted), token_ids(folder, answer))
    return AgreementAnswer(
        language=language,
        prompt=prompt,
        reference=wanted,
        answer=answer,
        leading_characters=leading(wanted, answer),
        leading_tokens=tokens,
        first_difference=None if wanted == answer else parts_at(wanted, answer),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def find_server(
    servers: tuple[ServerStatus, ...], key: str | None, models: tuple[str, ...]
) -> ServerStatus:
    """The ready server of this key, or else the first of one of the models. Raises StudioError
    AGREEMENT_SERVER_MISSING."""
    for one in servers:
        fits = one.key == key if key else one.endpoint.model in models
        if fits and one.phase is ServerPhase.READY:
            return one
    raise StudioError(Code.AGREEMENT_SERVER_MISSING, model=key or models[0])


def keep_agreement(folder: Path, found: Agreement) -> None:
    """Beside the checkpoint's files. Raises OSError."""
    draft = folder / f".{AGREEMENT}.{os.getpid()}"
    draft.write_text(found.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(folder / AGREEMENT)


def kept_agreement(folder: Path) -> Agreement | None:
    """None where there is none, or one that cannot be read."""
    try:
        return Agreement.model_validate_json((folder / AGREEMENT).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
