"""Writes answers, whoever looks: in one event loop in a thread of its own."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backend.chat.client.answer import Stop
from backend.chat.conversations.draft import Draft
from backend.chat.conversations.store import ConversationStore
from backend.chat.conversations.tables import turn_columns
from backend.contracts import AnswerState, ChatEvent, ChatRequest, Endpoint
from backend.errors import Code, ErrorInfo, StudioError

SAVE_S = 1.0
CLOSE_S, CLOSE_LOOK_S = 5.0, 0.02
T = TypeVar("T")
Ask = Callable[[Endpoint, ChatRequest, Stop], AsyncIterator[ChatEvent]]
Opening = Callable[[Draft], Awaitable[Endpoint]]
"""Brings about the server that a draft waits for. Raises StudioError."""


class Writer:
    """`memory` tells what each server holds, in bytes, by its key."""

    def __init__(
        self, store: ConversationStore, ask: Ask, memory: Callable[[], dict[str, int]]
    ) -> None:
        self._store, self._ask, self._memory = store, ask, memory
        self._lock, self._saving_now = threading.Lock(), threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drafts: dict[str, Draft] = {}
        self._closing = False
        self._saving: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Have the thread there and the client's library imported before the first question."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._serve, name="answers", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to in the writer's loop."""
        return self._submit(work).result()

    def begin(self, draft: Draft, opening: Opening | None = None) -> None:
        """Begin to write: at once, or when the server that is waited for is there."""
        self._drafts[draft.id] = draft
        self._submit(self._write(draft, opening))

    def draft(self, turn: str) -> Draft | None:
        """An answer that is being written here."""
        return self._drafts.get(turn)

    def close(self) -> None:
        """End the answers that are being written, keeping what came of them."""
        loop, closed = self._loop, self._closing
        self._closing = True
        if loop is None or closed:
            return
        for draft in tuple(self._drafts.values()):
            draft.stop.request()
        self._submit(self._all_ended()).result()
        loop.call_soon_threadsafe(loop.stop)

    # ---- in the thread ---------------------------------------------------------------------

    def _submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        self.warm_up()
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _serve(self) -> None:
        import openai  # noqa: F401

        assert self._loop is not None
        self._loop.run_forever()
        self._loop.close()

    async def _write(self, draft: Draft, opening: Opening | None) -> None:
        if self._saving is None or self._saving.done():
            self._saving = asyncio.ensure_future(self._keep_saving())
        try:
            endpoint = await self._opened(draft, opening)
            if endpoint is not None:
                async for event in self._ask(endpoint, draft.request, draft.stop):
                    draft.take(event)
        except StudioError as error:
            draft.end(AnswerState.FAILED, error.info)
        except Exception as error:
            logging.getLogger(__name__).exception("answer")
            info = ErrorInfo(code=Code.INTERNAL, detail=repr(error))
            draft.end(AnswerState.FAILED, info)
        if self._closing and draft.turn().state is AnswerState.STOPPED:
            draft.end(AnswerState.INTERRUPTED)
        await self._finish(draft)

    async def _opened(self, draft: Draft, opening: Opening | None) -> Endpoint | None:
        """The server, once it is there; None when the answer was stopped before."""
        if opening is None:
            return draft.asked.endpoint
        coming = asyncio.ensure_future(opening(draft))
        stopping = asyncio.ensure_future(draft.stop.wait())
        await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not coming.done():
            coming.cancel()
            draft.end(AnswerState.STOPPED)
            return None
        draft.serve_from(coming.result())
        return draft.asked.endpoint

    async def _finish(self, draft: Draft) -> None:
        """Keep how it ended, as often as the database must be asked to, and tell it."""
        while not await self._save([draft]):
            draft.publish_end()
            await asyncio.sleep(SAVE_S)
        draft.publish_end()
        del self._drafts[draft.id]

    async def _keep_saving(self) -> None:
        while self._drafts:
            await asyncio.sleep(SAVE_S)
            await self._save(list(self._drafts.values()))

    async def _save(self, drafts: list[Draft]) -> bool:
        return await asyncio.to_thread(self._save_now, drafts)

    def _save_now(self, drafts: list[Draft]) -> bool:
        """One save after the other, so that none overwrites a newer one."""
        try:
            held = self._memory()
            for draft in drafts:
                if memory_bytes := held.get(draft.asked.settings.server):
                    draft.sample(memory_bytes)
            with self._saving_now:
                unwanted = self._store.save({draft.id: _columns(draft) for draft in drafts})
        except SQLAlchemyError:
            logging.getLogger(__name__).exception("an answer could not be saved")
            return False
        for draft in drafts:
            if draft.id in unwanted:
                draft.stop.request()
        return True

    async def _all_ended(self) -> None:
        for _ in range(int(CLOSE_S / CLOSE_LOOK_S)):
            if not self._drafts:
                break
            await asyncio.sleep(CLOSE_LOOK_S)
        if self._saving is not None:
            self._saving.cancel()


def _columns(draft: Draft) -> dict[str, Any]:
    return turn_columns(draft.turn()) | {"asked": draft.asked.model_dump_json()}
