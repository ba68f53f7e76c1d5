"""Servers asked the same: one after the other, or all at once."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any

from backend.chat.client.answer import answer
from backend.chat.client.exchange import Said, question
from backend.compare.text.ledger import Ledger
from backend.compare.text.sides import Asked, Worker
from backend.contracts import (
    AnswerMetrics,
    CompareTextRequest,
    Failed,
    Finished,
    MovedToReasoning,
    ReasoningDelta,
    ServerKind,
    TextDelta,
)
from backend.errors import Code, ErrorInfo, StudioError

LOOK_S = 0.05
REASON_LOOKS = 40
"""How often a server that went is looked at for the reason: two seconds."""
MEASURED = {"ttft_s", "tokens_per_s", "completion_tokens", "total_s", "finish_reason"}
GONE = frozenset(
    {
        Code.SERVER_DIED,
        Code.SERVER_UNREACHABLE,
        Code.SERVER_NOT_READY,
        Code.SERVER_KEY_REFUSED,
        Code.SERVED_MODEL_UNKNOWN,
        Code.NOT_A_SERVER,
    }
)
"""After these the next prompt would fare no better."""


class Asking:
    """The prompts of one comparison, and whoever is writing an answer to one."""

    def __init__(
        self, worker: Worker, request: CompareTextRequest, chat: bool, ledger: Ledger
    ) -> None:
        """`chat`: through the chat template, which all sides have."""
        self._worker, self._request, self._chat, self._ledger = worker, request, chat, ledger
        self._writing: set[tuple[int, int]] = set()

    def run(self, sides: Sequence[Asked]) -> None:
        """Put every prompt to all `sides` at once, and then the next one. Raises JobCancelled and
        JobRequeued, all connections being closed."""
        asyncio.run(self._watched(sides, self._all(sides)))

    async def _all(self, sides: Sequence[Asked]) -> None:
        for prompt in range(len(self._request.prompts)):
            asked = [one for one in sides if prompt in self._ledger.to_ask(one.side.place)]
            await asyncio.gather(*(self._ask(one, prompt) for one in asked))

    async def _watched(self, sides: Sequence[Asked], work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_S)
                await self._look(sides)
            task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _look(self, sides: Sequence[Asked]) -> None:
        """What waits for database and disk is done beside the answers, which are being timed."""
        context, ledger = self._worker.context, self._ledger
        for one in sides:
            if one.server is not None:
                ledger.held(one.side.place, one.server.status().memory_bytes)
        await asyncio.to_thread(context.report, "answer", ledger.ended(), self._total)
        await ledger.save_if_due()
        context.check()

    @property
    def _total(self) -> int:
        return len(self._request.variants) * len(self._request.prompts)

    async def _ask(self, asked: Asked, prompt: int) -> None:
        place = (asked.side.place, prompt)
        self._ledger.begin(*place)
        for other in self._writing:
            self._ledger.share(*other)
            self._ledger.share(*place)
        self._writing.add(place)
        try:
            error = await self._read(asked, prompt)
        except StudioError as failure:
            error = failure.info
        finally:
            self._writing.discard(place)
        if error is None:
            return
        if error.code in GONE:
            error = await _reason(asked, error)
            self._ledger.fail(*place, error)
            self._ledger.give_up(asked.side.place, error)
        else:
            self._ledger.fail(*place, error)

    async def _read(self, asked: Asked, prompt: int) -> ErrorInfo | None:
        """Why the answer failed. Raises StudioError for what cannot be asked."""
        request = self._request
        place, said = (asked.side.place, prompt), Said()
        outside = asked.endpoint.kind is ServerKind.OUTSIDE
        key = self._worker.settings.chat_key.get_secret_value() if outside else ""
        put = question(request.prompts[prompt], request.sampling, self._chat, request.system)
        error: ErrorInfo | None = None
        async for event in answer(asked.endpoint, put, key):
            said.take(event)
            if isinstance(event, TextDelta | ReasoningDelta | MovedToReasoning):
                self._ledger.write(*place, said)
            elif isinstance(event, Failed):
                error = event.error
            elif isinstance(event, Finished):
                self._ledger.finish(*place, **_measured(event.metrics))
        return error


def _measured(metrics: AnswerMetrics) -> dict[str, Any]:
    return metrics.model_dump(include=MEASURED)


async def _reason(asked: Asked, error: ErrorInfo) -> ErrorInfo:
    """Why a server went, as its log says; else what its reader saw of it."""
    for _ in range(REASON_LOOKS):
        status = asked.server.status() if asked.server else None
        if status is None or status.error is not None or not status.phase.is_live:
            return (status.error if status else None) or error
        await asyncio.sleep(LOOK_S)
    return error
