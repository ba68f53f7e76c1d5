"""The denoising loop around one and the same pipeline: the studio's, with its events, previews and
looks for a stop, against diffusers' own; and a prompt that was seen before against a new one."""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from backend.images.generate import Stopwatch, encode, paint, previews_of
from backend.images.parts import Parts
from backend.images.pipeline import load_pipeline
from backend.images.resident import Resident
from backend.jobs.context import JobContext
from backend.jobs.store import Store
from backend.jobs.worker import prepare_process
from backend.models.catalog import find_model
from backend.settings import Settings
from backend.studio import Studio
from benchmarks.measure import OWNER, Result, median, native_request

TURNS = 25
PROMPTS = 10


def measure() -> list[Result]:
    with TemporaryDirectory(prefix="studio-loop-") as home:
        settings = Settings(home=Path(home))
        prepare_process(settings, 0)
        torch.set_num_threads(1)
        studio = Studio(settings)
        try:
            return _measure(studio)
        finally:
            studio.close()


@torch.inference_mode()
def _measure(studio: Studio) -> list[Result]:
    settings = studio.settings
    request = native_request(studio)
    entry = find_model(settings, request.model)
    assert entry.folder is not None
    pipeline = load_pipeline(entry.folder, entry.id, request.precision, torch.device("cpu"))
    parts = Parts(lambda part: pipeline, lambda: None, torch.device("cpu"))
    held = Resident(parts, lambda part: nullcontext())
    store = Store(studio.desk.store.engine)
    row = store.find(studio.pictures.generate(request, OWNER))
    assert row is not None
    context = JobContext(row, store, lambda event: None, threading.Event())
    encoded = encode(held, request, entry.limits.max_prompt_tokens, Stopwatch())
    previews = previews_of(settings, entry, request, row.id, pipeline.vae_scale_factor)

    def own() -> Any:
        return pipeline(
            **encoded,
            height=request.height,
            width=request.width,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            generator=torch.Generator("cpu").manual_seed(request.seed),
        )

    def studios() -> Any:
        return paint(context, request, pipeline, encoded, previews, Stopwatch())

    ratios = []
    with context.watched():
        own(), studios()
        for _ in range(TURNS):
            bare_s = _seconds(own)
            ratios.append(_seconds(studios) / bare_s)
    new: list[float] = []
    seen: list[float] = []
    for number in range(PROMPTS):
        asked = request.model_copy(update={"prompt": f"{request.prompt}, number {number}"})
        for seconds in (new, seen):
            watch = Stopwatch()
            encode(held, asked, entry.limits.max_prompt_tokens, watch)
            seconds.append(watch.encode_s)
    return [
        Result("the studio's denoising loop over diffusers' own", median(ratios), "x", 1.02),
        Result(
            "encoding a prompt seen before over a new one", median(seen) / median(new), "x", 0.05
        ),
    ]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
