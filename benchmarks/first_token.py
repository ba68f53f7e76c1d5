"""From `make run` to the first token of demo-chat, and how soon later answers begin."""

import asyncio
import time

from backend.contracts import (
    ChatRequest,
    Endpoint,
    Message,
    ReasoningDelta,
    Sampling,
    ServeRequest,
    ServerKind,
    TextDelta,
)
from backend.errors import StudioError
from backend.settings import load_settings
from backend.studio import Studio
from benchmarks.measure import OWNER, PATIENCE_S, Result, await_answer, made_run, median

MODEL = "demo-chat"
ANSWERS = 5
LOOK_S = 0.02
QUESTION = ChatRequest(
    messages=(Message(role="user", content="What is NVFP4?"),), sampling=Sampling(max_tokens=16)
)


async def first_token(studio: Studio, endpoint: Endpoint) -> float:
    """Seconds from the question to its first text or reasoning."""
    began = time.perf_counter()
    async for event in studio.chat.answer(endpoint, QUESTION):
        if isinstance(event, TextDelta | ReasoningDelta):
            return time.perf_counter() - began
    raise RuntimeError("no answer")


def ready(studio: Studio, key: str) -> Endpoint:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            return studio.chat.endpoint(key)
        except StudioError:
            time.sleep(LOOK_S)
    raise TimeoutError(key)


def measure() -> list[Result]:
    request = ServeRequest(model=MODEL, kind=ServerKind.TRANSFORMERS)
    started = time.perf_counter()
    with made_run() as (address, home):
        await_answer(f"{address}/healthz", '"ready"')
        studio = Studio(load_settings(home=home))
        studio.serving.prepare()
        job = studio.chat.serve(request, OWNER)
        done = studio.jobs.wait(job, OWNER, PATIENCE_S)
        if done.error is not None:
            raise RuntimeError(done.error.message())
        endpoint = ready(studio, f"{MODEL}/{ServerKind.TRANSFORMERS}")
        asyncio.run(first_token(studio, endpoint))
        whole = time.perf_counter() - started
        later = [asyncio.run(first_token(studio, endpoint)) for _ in range(ANSWERS)]
        studio.close()
    return [
        Result("make run to the first token of demo-chat", whole, "s", 20),
        Result("later answers, question to first token, median", 1000 * median(later), "ms", 300),
    ]
