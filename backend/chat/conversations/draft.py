"""One answer while it is written: folded from events, told to whoever watches."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from backend.chat.client.answer import STOPPED, Stop
from backend.chat.conversations.asking import author_of
from backend.chat.conversations.tables import Asked
from backend.contracts import (
    AnswerMetrics,
    AnswerNews,
    AnswerState,
    ChatEvent,
    ChatRequest,
    Endpoint,
    Failed,
    Finished,
    MovedToReasoning,
    ReasoningDelta,
    Started,
    TextDelta,
    Turn,
)
from backend.errors import ErrorInfo
from backend.language import Text

GAP_S = 0.05
"""Least time between two states with text that one watcher is told."""


class Draft:
    """Changed by the thread that writes it, read by any. Its end is first kept, then told."""

    def __init__(self, turn: Turn, request: ChatRequest, asked: Asked) -> None:
        self.id, self.request, self.asked = turn.id, request, asked
        self.stop = Stop()
        self._lock = threading.Lock()
        self._turn, self._end = turn, turn
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._sent_at: float | None = None
        self._first_s = self._last_s = self._text_s = 0.0
        self._tokens = 0
        self._waiting: Text | None = None
        self._ended = False
        self._watchers: list[_Watcher] = []

    # ---- written ---------------------------------------------------------------------------

    def take(self, event: ChatEvent) -> None:
        with self._lock:
            if isinstance(event, Started):
                self._sent_at, self._waiting = time.perf_counter(), None
            elif isinstance(event, ReasoningDelta | TextDelta):
                parts = self._text if isinstance(event, TextDelta) else self._reasoning
                if isinstance(event, TextDelta) and not parts:
                    self._text_s = event.at_s
                parts.append(event.text)
                self._first_s = event.at_s if self._tokens == 0 else self._first_s
                self._tokens, self._last_s = event.chunks, event.at_s
            elif isinstance(event, MovedToReasoning):
                self._reasoning, self._text = self._text, []
            elif isinstance(event, Finished):
                stopped = event.reason == STOPPED
                state = AnswerState.STOPPED if stopped else AnswerState.DONE
                self._finish(state, event.metrics, None)
            elif isinstance(event, Failed):
                self._finish(AnswerState.FAILED, event.metrics, event.error)
        self._tell()

    def end(self, state: AnswerState, error: ErrorInfo | None = None) -> None:
        """An end that is none of the server's."""
        with self._lock:
            self._finish(state, self._end.metrics, error)

    def serve_from(self, endpoint: Endpoint) -> None:
        """It is this server that writes it; the request's tokens were counted before."""
        endpoint = endpoint.model_copy(update={"tokenizer": None})
        with self._lock:
            self.asked = self.asked.model_copy(update={"endpoint": endpoint})
            author = author_of(endpoint, self.asked.settings.server)
            self._turn = self._turn.model_copy(update={"author": author})

    def wait_for(self, what: Text) -> None:
        with self._lock:
            self._waiting = what
        self._tell()

    def sample(self, memory_bytes: int) -> None:
        """The server's memory at one moment."""
        with self._lock:
            peak = max(memory_bytes, self._turn.peak_memory_bytes or 0)
            self._turn = self._turn.model_copy(update={"peak_memory_bytes": peak})

    def publish_end(self) -> None:
        with self._lock:
            self._ended = True
        self._tell()

    def _finish(
        self, state: AnswerState, metrics: AnswerMetrics | None, error: ErrorInfo | None
    ) -> None:
        self._end = self._turn.model_copy(
            update={"state": state, "metrics": metrics, "error": error}
        )

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher.tell(self._ended)

    @property
    def has_ended(self) -> bool:
        return self._ended

    # ---- read ------------------------------------------------------------------------------

    def turn(self, with_end: bool = True) -> Turn:
        """What there is of it; `with_end` also how it ended, where that is not told yet."""
        with self._lock:
            return self._whole(with_end)

    def news(self) -> AnswerNews:
        with self._lock:
            turn = self._whole(self._ended)
            span = self._last_s - self._first_s
            elapsed = 0.0 if self._sent_at is None else time.perf_counter() - self._sent_at
            if self._ended and turn.metrics is not None:
                elapsed = turn.metrics.total_s
            rate = (self._tokens - 1) / span if self._tokens > 1 and span > 0 else None
            return AnswerNews(
                turn=turn,
                elapsed_s=elapsed,
                tokens=self._tokens,
                tokens_per_s=rate,
                ttft_s=self._first_s if self._tokens else None,
                reasoning_s=self._text_s - self._first_s
                if turn.reasoning and turn.content
                else None,
                waiting=None if self._ended else self._waiting,
            )

    def _whole(self, with_end: bool) -> Turn:
        end = self._end if with_end else self._turn
        changes = {
            "content": "".join(self._text),
            "reasoning": "".join(self._reasoning),
            "state": end.state,
            "metrics": end.metrics,
            "error": end.error,
        }
        return self._turn.model_copy(update=changes)

    async def watch(self) -> AsyncIterator[AnswerNews]:
        """Its state now and after each change until its end, in the reader's own event loop."""
        watcher = _Watcher()
        self._watchers.append(watcher)
        try:
            while True:
                watcher.look()
                news = self.news()
                yield news
                if news.turn.state is not AnswerState.WRITING:
                    return
                await watcher.change(GAP_S if news.tokens else 0.0)
        finally:
            self._watchers.remove(watcher)


class _Watcher:
    """Wakes one reader, in whatever loop it runs, once for all changes since it looked."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed, self._ended = asyncio.Event(), asyncio.Event()
        self._told = False

    def look(self) -> None:
        self._told = False
        self._changed.clear()

    def tell(self, ended: bool) -> None:
        if self._told and not ended:
            return
        self._told = True
        with suppress(RuntimeError):  # the reader's loop has gone
            self._loop.call_soon_threadsafe(self._changed.set)
            if ended:
                self._loop.call_soon_threadsafe(self._ended.set)

    async def change(self, gap_s: float) -> None:
        """The next change, not before `gap_s` seconds unless it is the end."""
        if gap_s:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended.wait(), gap_s)
        await self._changed.wait()
