"""Answers through the page's own path against the same request sent straight to the server.

The page's path is what a browser does: send the message, open the stream of the answer that this
names, read what is to be drawn. Straight is the openai package. Both in turns, within one run; at
one conversation with a real `transformers serve`, at one and at eight with a server that keeps a
set pace for each. The eight are asked a tenth of a second apart, as different people would, and all
are answered together; asked in the very same instant, they are measured without a bar.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai

from backend.chat.client.capabilities import build_body
from backend.contracts import (
    ChatRequest,
    ConversationSettings,
    Endpoint,
    Message,
    Sampling,
    ServeRequest,
    ServerKind,
    ServerPhase,
)
from backend.studio import Studio
from benchmarks.measure import (
    OWNER,
    PATIENCE_S,
    ROOT,
    Result,
    await_answer,
    free_port,
    median,
    served,
)
from benchmarks.viewers import visitor

ROUNDS = 5
AT_ONCE = 8
APART_S = 0.1
QUESTION = "Tell me about the fox."
REAL_TOKENS = 800
TTFT_MS, RATE = 30, 0.97
LIMITS = httpx.Limits(keepalive_expiry=1.0)
"""Idle connections are let go before the page's server does, which closes them after 5 s."""
WRITING = re.compile(r'data-turn="(\w+)" data-state="writing"')


@dataclass(frozen=True)
class Seen:
    """What one reader saw of one answer."""

    ttft_s: float
    written_s: float
    """From the first text or reasoning to the end. Both read the same tokens."""


Ask = Callable[[], Awaitable[Seen]]


@dataclass(frozen=True)
class Page:
    """The studio as a browser reaches it."""

    address: str
    cookie: str
    server: str
    sampling: dict[str, Any]

    async def ask(self, client: httpx.AsyncClient) -> Seen:
        """In a new conversation."""
        began = time.perf_counter()
        body = {"servers": [self.server], "text": QUESTION, "sampling": self.sampling}
        told = await client.post(f"{self.address}/studio/chat/say", json=body)
        told.raise_for_status()
        [turn] = WRITING.findall(told.json()["columns"][0]["html"])
        first = None
        stream = client.stream("GET", f"{self.address}/studio/chat/answers/{turn}")
        async with stream as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                news = json.loads(line.removeprefix("data: "))
                begun = "end" in news or news["text"]["blocks"] or news["reasoning"]["blocks"]
                if first is None and begun:
                    first = time.perf_counter()
        return _seen(began, first)


async def straight(client: openai.AsyncOpenAI, body: dict[str, Any]) -> Seen:
    began, first = time.perf_counter(), None
    given = {name: body[name] for name in ("model", "messages", "stream")}
    extra = {name: value for name, value in body.items() if name not in given}
    async for chunk in await client.chat.completions.create(**given, extra_body=extra):
        delta = chunk.choices[0].delta if chunk.choices else None
        told = delta and (delta.content or getattr(delta, "reasoning_content", None))
        if first is None and told:
            first = time.perf_counter()
    return _seen(began, first)


def _seen(began: float, first: float | None) -> Seen:
    if first is None:
        raise RuntimeError("no text came")
    return Seen(first - began, time.perf_counter() - first)


async def compare(
    page: Page, endpoint: Endpoint, at_once: int, apart_s: float = 0.0
) -> tuple[float, float]:
    """Milliseconds that the first text comes later through the page, and the ratio of its tokens
    per second; each the median over the rounds. Conversations begin `apart_s` after each other."""
    request = ChatRequest(
        messages=(Message(role="user", content=QUESTION),),
        sampling=Sampling.model_validate(page.sampling),
    )
    body = build_body(request, endpoint)
    headers = {"Cookie": page.cookie, "X-Studio-Page": "1"}
    over_ms, ratios = [], []
    async with (
        openai.AsyncOpenAI(base_url=f"{endpoint.url}/v1", api_key="none") as client,
        httpx.AsyncClient(headers=headers, timeout=PATIENCE_S, limits=LIMITS) as browser,
    ):
        both: tuple[Ask, Ask] = (
            lambda: straight(client, body),
            lambda: page.ask(browser),
        )
        for ask in both:
            await ask()
        for _ in range(ROUNDS):
            own, through = [
                await asyncio.gather(*(_later(ask, n * apart_s) for n in range(at_once)))
                for ask in both
            ]
            over_ms.append(1000 * (_median(through, "ttft_s") - _median(own, "ttft_s")))
            ratios.append(_median(own, "written_s") / _median(through, "written_s"))
    return median(over_ms), median(ratios)


async def _later(ask: Ask, wait_s: float) -> Seen:
    await asyncio.sleep(wait_s)
    return await ask()


def _median(seen: list[Seen], name: str) -> float:
    return median([getattr(each, name) for each in seen])


@contextmanager
def paced() -> Iterator[str]:
    """The address of a server that keeps its pace."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.paced", str(port)], cwd=ROOT)
    try:
        await_answer(f"http://127.0.0.1:{port}/v1/models")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def endless_model(studio: Studio) -> str:
    """Tiny, with random weights: it never ends an answer by itself, so that its rate is one of many
    tokens and not of how an answer ends."""
    from tests.tiny_llama import make_tiny_llama

    make_tiny_llama(studio.settings.home / "checkpoints" / "tiny")
    return "tiny"


def serve_real(studio: Studio) -> tuple[str, Endpoint]:
    """A `transformers serve` of the studio, and its key."""
    request = ServeRequest(model=endless_model(studio), kind=ServerKind.TRANSFORMERS)
    job = studio.jobs.wait(studio.chat.serve(request, OWNER), OWNER, PATIENCE_S)
    if job.error is not None:
        raise RuntimeError(job.error.message())
    while True:
        for one in studio.chat.servers():
            if one.phase is ServerPhase.READY:
                return one.key, one.endpoint
        time.sleep(0.05)


def measure() -> list[Result]:
    from benchmarks.paced import MODEL

    results = []
    with paced() as url, served(STUDIO_CHAT_URL=url) as (studio, address, _):
        cookie, _owner = visitor(address)
        endpoint = Endpoint(kind=ServerKind.OUTSIDE, url=url, model_id=MODEL, model=MODEL)
        page = Page(address, cookie, "outside", {})
        for at_once in (1, AT_ONCE):
            name = f"{at_once} at once, a server with a pace"
            results += _results(name, asyncio.run(compare(page, endpoint, at_once, APART_S)))
        same_instant, _ratio = asyncio.run(compare(page, endpoint, AT_ONCE))
        name = f"chat, {AT_ONCE} in the same instant: first text later by"
        results.append(Result(name, same_instant, "ms"))
        key, real = serve_real(studio)
        page = Page(address, cookie, key, {"max_tokens": REAL_TOKENS, "temperature": 0})
        results += _results(f"1, {key}", asyncio.run(compare(page, real, 1)))
        results.append(Result("200 messages opened", 1000 * open_long(studio), "ms", 1000))
    return results


def _results(name: str, measured: tuple[float, float]) -> list[Result]:
    over_ms, ratio = measured
    return [
        Result(f"chat, {name}: first text later by", over_ms, "ms", TTFT_MS),
        Result(f"chat, {name}: straight over page, tokens/s", 1 / ratio, "x", 1 / RATE),
    ]


def open_long(studio: Studio) -> float:
    """Seconds to read a conversation of 200 messages."""
    turns = [
        {
            "id": str(number),
            "parent": str(number - 1) if number else None,
            "role": "assistant" if number % 2 else "user",
            "content": "Some **words** of it. " * 40,
            "created_at": float(number),
            "shown": True,
            "state": "done" if number % 2 else None,
        }
        for number in range(200)
    ]
    side = {"settings": ConversationSettings().model_dump(mode="json"), "turns": turns}
    file = {"spark_studio_conversation": 1, "title": "long", "created_at": 0.0, "sides": [side]}
    made = studio.chat.import_(json.dumps(file).encode(), OWNER)
    began = time.perf_counter()
    assert len(studio.chat.conversation(made.id, OWNER).turns) == len(turns)
    return time.perf_counter() - began
