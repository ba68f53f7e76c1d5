"""`chat` and `servers`."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, NoReturn

import typer

from backend.chat.client.exchange import question
from backend.commands.output import answer, error_data, fail, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.session import follow, with_worker
from backend.contracts import (
    ChatEvent,
    ChatRequest,
    Endpoint,
    Failed,
    Finished,
    MovedToReasoning,
    ReasoningDelta,
    Sampling,
    ServeRequest,
    ServerKind,
    ServerPhase,
    TextDelta,
)
from backend.errors import Code, ErrorInfo, StudioError
from backend.language import human_bytes, human_seconds
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="Servers of language models.", no_args_is_help=True)
Kind = Annotated[
    ServerKind | None, typer.Option("--server", help="Left out: one that runs, else the first.")
]


class Telling:
    """An answer as it comes: its text on standard output, its reasoning on standard error, unless
    `quiet`."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.text = self.reasoning = ""
        self.end: Finished | Failed | None = None

    def take(self, event: ChatEvent) -> None:
        if isinstance(event, TextDelta):
            self.text += event.text
            self._show(event.text, sys.stdout)
        elif isinstance(event, ReasoningDelta):
            self.reasoning += event.text
            self._show(event.text, sys.stderr)
        elif isinstance(event, MovedToReasoning):
            self.text, self.reasoning = "", self.text
            self._show("\n</think>\n", sys.stdout)
        elif isinstance(event, Finished | Failed):
            self.end = event
            self._show("\n", sys.stdout)

    def data(self, endpoint: Endpoint) -> dict[str, object]:
        assert self.end is not None
        return {
            "text": self.text,
            "reasoning": self.reasoning,
            "metrics": self.end.metrics.model_dump(mode="json"),
            "model": endpoint.model,
            "precision": endpoint.precision,
            "simulated": endpoint.simulated,
            "server": str(endpoint.kind),
        }

    def _show(self, text: str, place: object) -> None:
        if not self.quiet:
            print(text, end="", flush=True, file=place)  # type: ignore[call-overload]


def chat(
    model: Annotated[str, typer.Option(help="Its name, folder or repository.")] = "",
    prompt: Annotated[str, typer.Option(help="Left out: what standard input says.")] = "",
    server: Kind = None,
    system: str = "",
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    seed: int | None = None,
    stop: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    completion: Annotated[
        bool, typer.Option("--completion", help="Go on with the text, without a chat template.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask a language model. Its server is one that runs, else one as long as the answer takes."""
    sampling = Sampling(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        stop=tuple(stop or ()),
    )
    if not model and server is not ServerKind.OUTSIDE:
        raise typer.BadParameter("which one?", param_hint="--model")
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        text = prompt or ("" if sys.stdin.isatty() else sys.stdin.read())
        request = question(text, sampling, chat=not completion, system=system)
        if not text.strip():
            raise StudioError(Code.MESSAGE_EMPTY)
        with served(studio, model, server) as endpoint:
            told = asyncio.run(_ask(studio, endpoint, request, as_json))
        _end(told, endpoint, as_json)


async def _ask(studio: Studio, endpoint: Endpoint, request: ChatRequest, quiet: bool) -> Telling:
    """The answer, told as it comes. Ctrl+C ends it, and what came stays."""
    from backend.chat.client.answer import Stop

    stop, told = Stop(), Telling(quiet)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.request)
    try:
        async for event in studio.chat.answer(endpoint, request, stop):
            told.take(event)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return told


def _end(told: Telling, endpoint: Endpoint, as_json: bool) -> None:
    data = told.data(endpoint)
    if isinstance(told.end, Failed):
        _fail(told.end.error, data, as_json)
    if as_json:
        answer(as_json, data, "")
        return
    assert told.end is not None
    metrics = told.end.metrics
    parts = [f"{endpoint.model}, {endpoint.precision or '?'} through {endpoint.kind}"]
    if metrics.completion_tokens is not None:
        parts.append(f"{metrics.completion_tokens} tokens")
    if metrics.ttft_s is not None:
        parts.append(f"first after {human_seconds(metrics.ttft_s)}")
    if metrics.tokens_per_s is not None:
        parts.append(f"{metrics.tokens_per_s:.1f} tokens/s")
    parts.append(f"ended by {metrics.finish_reason}")
    print(", ".join(parts), file=sys.stderr)


def _fail(error: ErrorInfo, data: dict[str, object], as_json: bool) -> NoReturn:
    """With what had come of the answer."""
    if not as_json:
        fail(as_json, error)
    print(json.dumps({"error": error_data(error)} | data, ensure_ascii=False))
    print(f"{error.code}: {error.message()}\n{error.hint()}", file=sys.stderr)
    raise typer.Exit(1)


@contextmanager
def served(studio: Studio, model: str, kind: ServerKind | None) -> Iterator[Endpoint]:
    """A server of the model: one that runs, else one of our own while the block runs.

    Raises StudioError as `Chat.serve`, `Chat.outside` and the job that starts it do.
    """
    if kind is ServerKind.OUTSIDE:
        found = asyncio.run(studio.chat.outside())
        if model not in ("", found.model):
            raise StudioError(Code.SERVED_MODEL_UNKNOWN, server=found.url, model=model[:200])
        yield found
        return
    running = _running(studio, model, kind)
    if running is not None:
        yield running
        return
    request = ServeRequest(model=model, kind=kind or _first_kind(studio, model))
    with with_worker(studio):
        job = follow(studio, studio.chat.serve(request, None))
        assert job.result is not None
        key = job.result["key"]
        try:
            yield Endpoint.model_validate(job.result["endpoint"])
        finally:
            with suppress(StudioError):
                studio.chat.stop(key)


def _running(studio: Studio, model: str, kind: ServerKind | None) -> Endpoint | None:
    for one in studio.chat.servers():
        named = model in (one.endpoint.model, one.key, one.endpoint.model_id)
        if named and one.phase is ServerPhase.READY and kind in (None, one.endpoint.kind):
            return one.endpoint
    return None


def _first_kind(studio: Studio, model: str) -> ServerKind:
    """The first server that can serve it here. Raises StudioError CHAT_MODEL_NOT_FOUND and its
    like, SERVER_UNSUITABLE."""
    choices = studio.chat.choices(model, None)
    for choice in choices:
        if choice.possible:
            return choice.kind
    last = choices[-1]
    raise StudioError(
        Code.SERVER_UNSUITABLE, server=last.title, model=model[:200], reason=last.reason
    )


@app.command("list")
def list_servers(as_json: Json = False) -> None:
    """The servers that run, and those that failed."""
    with failing_plainly(as_json):
        servers = Studio(load_settings()).chat.servers()
        data = {
            "servers": [
                {
                    "key": one.key,
                    "model": one.endpoint.model,
                    "precision": one.endpoint.precision,
                    "simulated": one.endpoint.simulated,
                    "kind": str(one.endpoint.kind),
                    "phase": str(one.phase),
                    "url": one.endpoint.url,
                    "memory_bytes": one.memory_bytes,
                    "error": str(one.error.code) if one.error else None,
                }
                for one in servers
            ]
        }
        rows = [(one.key, str(one.phase), human_bytes(one.memory_bytes)) for one in servers]
        answer(as_json, data, table(rows))


@app.command()
def start(model: str, server: Kind = None, as_json: Json = False) -> None:
    """Start a server and wait until it is ready; it stays as long as the studio that runs."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if studio.machine.health().worker != "ready":
            raise StudioError(Code.SERVER_WITHOUT_STUDIO)
        request = ServeRequest(model=model, kind=server or _first_kind(studio, model))
        job = follow(studio, studio.chat.serve(request, None))
        assert job.result is not None
        words = f"{job.result['key']} is ready after {human_seconds(job.result['ready_s'])}."
        answer(as_json, {"job": job.id, "server": job.result}, words)


@app.command("stop")
def stop_server(key: str, as_json: Json = False) -> None:
    """End a server and free its memory."""
    with failing_plainly(as_json):
        Studio(load_settings()).chat.stop(key)
        answer(as_json, {"key": key}, f"{key} is being stopped.")
