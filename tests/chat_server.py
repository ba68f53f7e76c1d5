"""A stand-in for servers with the OpenAI API, stricter than they are.

It replays the documented protocol of TensorRT-LLM, vLLM and transformers: what a request may hold,
when usage is told, how reasoning arrives, how errors look. In a thread (`running`), or as a process
with a log (`python -m tests.chat_server`).
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn

from backend.contracts import ServerKind

FIELDS = frozenset(
    {"model", "messages", "prompt", "stream", "temperature", "top_p", "seed", "stop"}
)
KNOWN: dict[str, frozenset[str]] = {
    ServerKind.TENSORRT_LLM: FIELDS
    | {"stream_options", "max_completion_tokens", "max_tokens", "top_k", "min_p"}
    | {"repetition_penalty", "chat_template_kwargs"},
    ServerKind.VLLM: FIELDS
    | {"stream_options", "max_completion_tokens", "max_tokens", "top_k", "min_p"}
    | {"repetition_penalty", "chat_template_kwargs"},
    ServerKind.TRANSFORMERS: FIELDS | {"max_tokens", "generation_config", "chat_template_kwargs"},
    ServerKind.OUTSIDE: FIELDS | {"stream_options", "max_tokens"},
}
"""Of each kind, and nothing else: what transformers would ignore is refused here, too."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class StandIn:
    """How the server behaves, and what it has seen."""

    kind: ServerKind = ServerKind.TENSORRT_LLM
    model: str = "stand-in"
    tokens: tuple[str, ...] = ("Hello", ",", " world", ".")
    reasoning: tuple[str, ...] = ()
    """Told as `reasoning_field`."""
    reasoning_field: str = "reasoning_content"
    context: int = 1000
    """In characters: one is a token here."""
    key: str = ""
    die_after: int | None = None
    """Drop the connection after so many tokens."""
    exits: bool = False
    """And end the process with it."""
    endless: bool = False
    """Repeat the last token until nobody reads any more."""
    hold: bool = False
    """Say nothing until `release` is set."""
    done_line: bool = True
    stream_error: str = ""
    """Sent as transformers does, without escaping what is in it, after the tokens."""
    refusal: tuple[int, str] | None = None
    """Status and body of every answer."""
    content_type: str = "text/event-stream"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    disconnected: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        body = await _body(receive)
        path = scope["path"]
        if self.refusal is not None:
            await _answer(send, *self.refusal)
        elif path in ("/health", "/health_generate"):
            await _answer(send, 200, "")
        elif self.key and self.headers[-1].get("authorization") != f"Bearer {self.key}":
            await _answer(send, 401, json.dumps({"error": {"message": "Incorrect API key"}}))
        elif path == "/v1/models":
            await _answer(send, 200, json.dumps({"object": "list", "data": [{"id": self.model}]}))
        elif path in ("/v1/chat/completions", "/v1/completions"):
            await self._complete(json.loads(body), path == "/v1/completions", receive, send)
        else:
            await _answer(send, 404, json.dumps({"detail": "Not Found"}))

    async def _complete(self, body: dict[str, Any], plain: bool, receive: Any, send: Send) -> None:
        self.bodies.append(body)
        problem = self._problem(body, plain)
        if problem is not None:
            status, message = problem
            error = {"object": "error", "message": message, "type": "BadRequestError"}
            await _answer(send, status, json.dumps(error))
            return
        if not body.get("stream"):
            await _answer(send, 200, json.dumps({"choices": [{"text": self.tokens[0]}]}))
            return
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await self._stream(body, plain, send, gone)
        finally:
            gone.cancel()

    def _problem(self, body: dict[str, Any], plain: bool) -> tuple[int, str] | None:
        unknown = body.keys() - KNOWN[self.kind] - ({"messages"} if plain else {"prompt"})
        if unknown:
            return 400, f"[{{'type': 'extra_forbidden', 'loc': ('body', {unknown})}}]"
        if body.get("model") != self.model:
            return 404, f"The model `{body.get('model')}` does not exist."
        if ("prompt" in body) != plain or ("messages" in body) == plain:
            return 400, "messages for chat, prompt for completions"
        if _length(body) > self.context:
            return 400, f"This model's maximum context length is {self.context} tokens."
        return None

    async def _stream(
        self, body: dict[str, Any], plain: bool, send: Send, gone: "asyncio.Future[None]"
    ) -> None:
        headers = [(b"content-type", self.content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def tell(chunk: dict[str, Any] | str) -> None:
            line = chunk if isinstance(chunk, str) else json.dumps({"model": self.model} | chunk)
            await send(_part(f"data: {line}\n\n"))

        if not plain:
            await tell({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
        if self.hold:
            released = asyncio.ensure_future(asyncio.to_thread(self.release.wait, 30.0))
            either: set[asyncio.Future[Any]] = {released, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        count = 0
        async for name, token in self._tokens(gone):
            choice = {"text": token} if plain else {"delta": {name: token}}
            await tell({"choices": [{"index": 0} | choice]})
            count += 1
            if count == self.die_after:
                if self.exits:
                    os._exit(1)
                raise ConnectionAbortedError
        if gone.done():
            self.disconnected.set()
            return
        if self.stream_error:
            await tell(f'{{"error": "{self.stream_error}"}}')
            await send(_part("", more=False))
            return
        last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        used = {"prompt_tokens": _length(body), "completion_tokens": count}
        if self.kind is ServerKind.TRANSFORMERS:
            await tell(last | {"usage": used})
        else:
            await tell(last)
            if (body.get("stream_options") or {}).get("include_usage"):
                await tell({"choices": [], "usage": used})
        await send(_part("data: [DONE]\n\n" if self.done_line else "", more=False))

    async def _tokens(self, gone: "asyncio.Future[None]") -> AsyncIterator[tuple[str, str]]:
        for token in self.reasoning:
            yield self.reasoning_field, token
        for token in self.tokens:
            yield "content", token
        while self.endless and not gone.done():
            yield "content", self.tokens[-1]
            await asyncio.sleep(0.002)


def _length(body: dict[str, Any]) -> int:
    """Characters of what was said; a picture has none."""
    if "prompt" in body:
        return len(body["prompt"])
    contents = [each["content"] for each in body["messages"]]
    parts = [[{"text": each}] if isinstance(each, str) else each for each in contents]
    return sum(len(part.get("text", "")) for each in parts for part in each)


def _part(text: str, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": more}


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, text: str) -> None:
    kind = b"text/html" if text.startswith("<") else b"application/json"
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send(_part(text, more=False))


async def _lifespan(receive: Any, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class _Host:
    """One real HTTP server for all stand-ins of a test run, in a thread."""

    def __init__(self) -> None:
        self.current: StandIn | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        server = uvicorn.Server(
            uvicorn.Config(self._call, interface="asgi3", log_level="critical", ws="none")
        )
        threading.Thread(
            target=server.run, kwargs={"sockets": [self._listener]}, daemon=True
        ).start()

    async def _call(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        await (self.current or StandIn(refusal=(503, "")))(scope, receive, send)


_host = cache(_Host)


@contextmanager
def running(stand_in: StandIn, beside: bool = False) -> Iterator[StandIn]:
    """The server, as long as the block runs: at the address that all have, or at one of its own
    `beside` another."""
    host = _Host() if beside else _host()
    host.current, stand_in.url = stand_in, host.url
    try:
        yield stand_in
    finally:
        stand_in.release.set()
        host.current = None


LOADING = "Loading weights: 50%"
DEATHS = {
    "memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    "architecture": "ValueError: Model architectures ['FooForCausalLM'] are not supported for now.",
    "port": "OSError: [Errno 98] error while attempting to bind: address already in use",
    "driver": "RuntimeError: The NVIDIA driver on your system is too old (found version 12040).",
    "other": "ValueError: rope_scaling must be a dictionary",
}
COMPANION = "import time; print('companion', flush=True); time.sleep(600)"


def main() -> None:
    """A server as a process: loads, and then serves, dies as told, or never gets ready."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", type=ServerKind, default=ServerKind.VLLM)
    parser.add_argument("--death", choices=DEATHS)
    parser.add_argument("--once", type=Path, help="die so only while this file does not exist")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--gate-fails", action="store_true")
    parser.add_argument(
        "--companion", action="store_true", help="start a process in its own session"
    )
    parser.add_argument("--reasoning", default="", help="a character is a token, here and below")
    parser.add_argument("--answer", default="Hello, world.")
    parser.add_argument("--endless", action="store_true")
    parser.add_argument("--exit-after", type=int, help="end after so many tokens of an answer")
    arguments = parser.parse_args()
    print(LOADING, flush=True)
    if arguments.companion:
        subprocess.Popen([sys.executable, "-c", COMPANION], start_new_session=True)
    if arguments.death and not (arguments.once and arguments.once.exists()):
        if arguments.once:
            arguments.once.touch()
        print(DEATHS[arguments.death], file=sys.stderr, flush=True)
        sys.exit(1)
    if arguments.never_ready:
        threading.Event().wait()
    stand_in = StandIn(
        arguments.kind,
        tokens=tuple(arguments.answer),
        reasoning=tuple(arguments.reasoning),
        endless=arguments.endless,
        die_after=arguments.exit_after,
        exits=True,
    )
    if arguments.gate_fails:
        stand_in.key = "secret"
    uvicorn.run(stand_in, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
