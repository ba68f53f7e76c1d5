"""From `make run` to the first token of demo-chat, and how soon later answers begin."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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
from benchmarks.measure import OWNER, PATIENCE_S, ROOT, Result, await_answer, free_port, median

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
    with TemporaryDirectory() as home:
        port, started = free_port(), time.perf_counter()
        process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=os.environ | {"STUDIO_HOME": home, "STUDIO_PORT": str(port)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/healthz", '"ready"')
            studio = Studio(load_settings(home=Path(home)))
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
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    return [
        Result("make run to the first token of demo-chat", whole, "s", 20),
        Result("later answers, question to first token, median", 1000 * median(later), "ms", 300),
    ]
