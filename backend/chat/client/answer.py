"""Ask a server with the OpenAI API, and tell what comes as typed events."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from backend.chat.client.capabilities import CAPABILITIES, build_body, check_request
from backend.chat.client.failures import explain
from backend.chat.client.thinking import Part, StopCutter, ThinkSplitter
from backend.chat.client.tokens import fit_context
from backend.contracts import (
    AnswerMetrics,
    ChatEvent,
    ChatRequest,
    Endpoint,
    Failed,
    Finished,
    MovedToReasoning,
    PromptProgress,
    ReasoningDelta,
    ServerKind,
    Started,
    TextDelta,
    Thinking,
    Usage,
)
from backend.errors import Code, StudioError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

TICK_S = 0.2
CONNECT_S = 5.0
NO_KEY = "none"
STOPPED = "stopped"
SSE = "text/event-stream"


class Stop:
    """Ends an answer, from any thread."""

    def __init__(self) -> None:
        self.requested = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def request(self) -> None:
        self.requested = True
        for loop, event in self._waiting:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        event = asyncio.Event()
        self._waiting.append((asyncio.get_running_loop(), event))
        if not self.requested:
            await event.wait()


@cache
def _tls(checked: bool) -> ssl.SSLContext:
    """Made once: reading the certificate authorities takes some 20 ms."""
    import httpx

    return httpx.create_ssl_context(verify=checked)


@dataclass
class Clock:
    """What is measured of one answer; times in seconds since `sent_at` of the monotonic clock. The
    last token is that with which the server says why it ends: it may have no text."""

    sent_at: float = field(default_factory=time.perf_counter)
    first_at: float | None = None
    last_at: float | None = None
    reasoning_at: float | None = None
    text_at: float | None = None
    chunks: int = 0
    usage: Usage | None = None

    def now(self) -> float:
        return time.perf_counter() - self.sent_at

    def token(self) -> float:
        """A message with something in it has come."""
        now = self.now()
        self.first_at = now if self.first_at is None else self.first_at
        self.last_at = now
        self.chunks += 1
        return now

    def metrics(self, reason: str | None) -> AnswerMetrics:
        tokens = self.usage.completion_tokens if self.usage else self.chunks
        span = (self.last_at or 0.0) - (self.first_at or 0.0)
        reasoning = None
        if self.reasoning_at is not None:
            end = self.text_at if self.text_at is not None else self.last_at
            reasoning = (end or self.reasoning_at) - self.reasoning_at
        return AnswerMetrics(
            ttft_s=self.first_at,
            reasoning_s=reasoning,
            tokens_per_s=(tokens - 1) / span if tokens > 1 and span > 0 else None,
            total_s=self.now(),
            prompt_tokens=self.usage.prompt_tokens if self.usage else None,
            completion_tokens=tokens,
            counted="server" if self.usage else "chunks",
            finish_reason=reason,
        )


def open_client(endpoint: Endpoint, key: str = "") -> "AsyncOpenAI":
    """A client that neither retries nor follows redirects, and takes nothing from the environment:
    a proxy only for an outside server."""
    import openai

    outside = endpoint.kind is ServerKind.OUTSIDE
    return openai.AsyncOpenAI(
        base_url=f"{endpoint.url.rstrip('/')}/v1",
        api_key=key or NO_KEY,
        organization="",
        project="",
        max_retries=0,
        timeout=openai.Timeout(None, connect=CONNECT_S),
        http_client=openai.DefaultAsyncHttpxClient(
            verify=_tls(endpoint.url.startswith("https:")),
            trust_env=outside,
            follow_redirects=False,
        ),
    )


async def answer(
    endpoint: Endpoint, request: ChatRequest, key: str = "", stop: Stop | None = None
) -> AsyncIterator[ChatEvent]:
    """The answer as it comes, ending in Finished or Failed. Leaving it closes the connection, by
    which a server learns that nobody reads on; `stop` does so from outside.

    Raises StudioError, before anything is sent, as `check_request` and `fit_context` do.
    """
    check_request(request, endpoint)
    body = build_body(fit_context(request, endpoint), endpoint)
    yield Started(model_id=endpoint.model_id)
    reading = _Reading(endpoint, request)
    stream = _chunks(endpoint, body, key)
    stopping = asyncio.ensure_future((stop or Stop()).wait())
    pending: asyncio.Future[Any] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(stream.__anext__())
            tick = TICK_S if reading.clock.first_at is None else None
            await asyncio.wait(
                {pending, stopping}, timeout=tick, return_when=asyncio.FIRST_COMPLETED
            )
            if stopping.done():
                for event in reading.rest():
                    yield event
                yield Finished(reason=STOPPED, metrics=reading.clock.metrics(STOPPED))
                return
            if not pending.done():
                yield PromptProgress(elapsed_s=reading.clock.now())
                continue
            try:
                chunk, pending = pending.result(), None
            except StopAsyncIteration:
                pending = None
                break
            for event in reading.take(chunk):
                yield event
        for event in reading.rest():
            yield event
        yield reading.ending()
    except Exception as error:  # noqa: BLE001  whatever a server does is the answer's ending
        begun = reading.clock.chunks > 0
        for event in reading.rest():
            yield event
        yield Failed(
            error=explain(error, endpoint, begun), metrics=reading.clock.metrics(reading.reason)
        )
    finally:
        stopping.cancel()
        if pending is not None:
            pending.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await pending
        await stream.aclose()


async def _chunks(endpoint: Endpoint, body: dict[str, Any], key: str) -> Any:
    """The parsed messages of the stream."""
    path = "/completions" if "prompt" in body else "/chat/completions"
    async with open_client(endpoint, key) as client:
        import openai

        stream = await client.post(
            path,
            cast_to=object,
            body=body,
            stream=True,
            stream_cls=openai.AsyncStream[dict[str, Any]],
        )
        async with stream:
            if not stream.response.headers.get("content-type", "").startswith(SSE):
                raise StudioError(Code.NOT_A_SERVER, server=endpoint.url)
            async for chunk in stream:
                yield chunk


class _Reading:
    """Turns the messages of one stream into events."""

    def __init__(self, endpoint: Endpoint, request: ChatRequest) -> None:
        self.clock = Clock()
        self.reason: str | None = None
        self._endpoint = endpoint
        self._splits = endpoint.thinking is not Thinking.SERVER
        self._splitter = ThinkSplitter(endpoint.thinking is Thinking.OPENED)
        sends_stop = CAPABILITIES[endpoint.kind].sends_stop
        self._cutter = StopCutter(request.sampling.stop if sends_stop else ())

    def take(self, chunk: Any) -> list[ChatEvent]:
        if not isinstance(chunk, dict):
            raise StudioError(Code.NOT_A_SERVER, server=self._endpoint.url)
        events: list[ChatEvent] = []
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            text = delta.get("content") or choice.get("text")
            if reasoning or text:
                self.clock.token()
            if reasoning:
                self._splits = False
                events += self._tell([("reasoning", reasoning)])
            if text:
                text = self._cutter.feed(text)
                events += self._tell(
                    self._splitter.feed(text) if self._splits else self._text(text)
                )
            if choice.get("finish_reason"):
                self.reason = choice["finish_reason"]
                self.clock.last_at = self.clock.now()
        used = chunk.get("usage")
        if used:
            self.clock.usage = Usage(
                prompt_tokens=used.get("prompt_tokens") or 0,
                completion_tokens=used.get("completion_tokens") or 0,
            )
            events.append(self.clock.usage)
        return events

    def rest(self) -> list[ChatEvent]:
        """What was held back, when nothing more comes."""
        text = self._cutter.end()
        if not self._splits:
            return self._tell(self._text(text))
        return self._tell([*self._splitter.feed(text), *self._splitter.end()])

    def ending(self) -> Finished | Failed:
        """A stream that ends without saying why was cut off."""
        metrics = self.clock.metrics(self.reason)
        if self.reason is not None:
            return Finished(reason=self.reason, metrics=metrics)
        code = Code.SERVER_DIED if self.clock.chunks else Code.NOT_A_SERVER
        return Failed(error=StudioError(code, server=self._endpoint.url).info, metrics=metrics)

    def _text(self, text: str) -> list[Part]:
        """Where the server tells reasoning apart; blanks between reasoning and answer go."""
        if self.clock.reasoning_at is not None and self.clock.text_at is None:
            text = text.lstrip()
        return [("text", text)] if text else []

    def _tell(self, parts: list[Part]) -> list[ChatEvent]:
        clock, events = self.clock, list[ChatEvent]()
        for kind, text in parts:
            at = clock.last_at or clock.now()
            if kind == "moved":
                clock.reasoning_at, clock.text_at = clock.first_at, None
                events.append(MovedToReasoning())
            elif kind == "reasoning":
                clock.reasoning_at = at if clock.reasoning_at is None else clock.reasoning_at
                events.append(ReasoningDelta(text=text, at_s=at, chunks=clock.chunks))
            else:
                clock.text_at = at if clock.text_at is None else clock.text_at
                events.append(TextDelta(text=text, at_s=at, chunks=clock.chunks))
        return events
