"""The job that makes pictures: one diffusers call a picture, with progress, previews and a stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from backend.contracts import GenerateMetrics, GenerateRequest, GenerateResult, ImageResult, Runtime
from backend.images.device import device_name, peak_bytes, pick_device, reset_peak, synchronize
from backend.images.png import save_png
from backend.images.preview import Previews
from backend.images.prompts import encode_prompt
from backend.images.resident import Resident, resident
from backend.jobs.context import JobContext
from backend.language import text
from backend.models.catalog import Entry, find_model
from backend.models.pool import ModelPool
from backend.models.requests import MAX_SEED, check_negative_prompt, check_prompt
from backend.settings import Settings


@dataclass
class Stopwatch:
    """Seconds spent in the parts of a job."""

    started: float = field(default_factory=time.perf_counter)
    load_s: float = 0.0
    encode_s: float = 0.0
    denoise_s: float = 0.0
    decode_s: float = 0.0

    def loaded(self, seconds: float) -> None:
        self.load_s += seconds

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self.started


@torch.inference_mode()
def generate(context: JobContext, settings: Settings, pool: ModelPool) -> dict[str, Any]:
    """Make the pictures of the job's request; a `GenerateResult` as data.

    Raises StudioError, JobCancelled, JobRequeued, and what torch raises.
    """
    request = GenerateRequest.model_validate(context.row.request)
    entry = find_model(settings, request.model)
    # the model may have been fetched since the request was made, and its tokenizers with it
    check_prompt(request.prompt, entry)
    check_negative_prompt(request, entry)
    on_cpu = request.runtime is Runtime.ONNXRUNTIME
    device = torch.device("cpu") if on_cpu else pick_device()
    watch = Stopwatch()
    reset_peak(device)
    with resident(
        context,
        settings,
        pool,
        entry,
        request.precision,
        request.runtime,
        (request.width, request.height),
        device,
        watch.loaded,
    ) as held:
        context.report("encode")
        encoded = encode(held, request, entry.limits.max_prompt_tokens, watch)
        pipeline = held.painter()
        scale = pipeline.vae_scale_factor
        previews = previews_of(settings, entry, request, context.row.id, scale)
        try:
            images = _paint_all(
                context, settings, entry, request, pipeline, encoded, previews, watch
            )
        finally:
            previews.clean_up()
        unloaded = held.parts.in_turns
        if device.type == "cuda":
            context.peak_memory_bytes = peak_bytes(device)
    return GenerateResult(
        images=tuple(images), metrics=_metrics(context, request, watch, device, unloaded)
    ).model_dump(mode="json")


def previews_of(
    settings: Settings, entry: Entry, request: GenerateRequest, job_id: str, scale: int
) -> Previews:
    assert entry.settings_folder is not None
    return Previews(
        folder=settings.previews / job_id,
        shipped=entry.settings_folder / "preview.json",
        learned=settings.home / "preview_colours" / f"{entry.id}.json",
        size=(request.height // scale, request.width // scale),
        interval_s=settings.preview_interval_s,
    )


def _paint_all(
    context: JobContext,
    settings: Settings,
    entry: Entry,
    request: GenerateRequest,
    pipeline: DiffusionPipeline,
    encoded: dict[str, torch.Tensor],
    previews: Previews,
    watch: Stopwatch,
) -> list[ImageResult]:
    images: list[ImageResult] = []
    for index in range(request.count):
        seed = (request.seed + index) % (MAX_SEED + 1)
        one = request.model_copy(update={"seed": seed, "count": 1})
        if request.count > 1:
            place = text("job.image", index=index + 1, count=request.count, seed=str(seed))
            context.report("denoise", 0, request.steps, message=place)
        picture = paint(context, one, pipeline, encoded, previews, watch)
        context.report("save")
        file = settings.outputs / context.row.id / f"{entry.id}-{seed}.png"
        save_png(picture, file, one)
        result = ImageResult(path=str(file), seed=seed, width=picture.width, height=picture.height)
        context.report("save", image=result)
        images.append(result)
    return images


def encode(
    held: Resident, request: GenerateRequest, max_tokens: int, watch: Stopwatch
) -> dict[str, torch.Tensor]:
    started, loaded_s = time.perf_counter(), watch.load_s
    guided = request.guidance > 1
    encoded = held.encode(
        (request.prompt, request.negative_prompt, str(guided)),
        lambda pipeline: encode_prompt(
            pipeline, request.prompt, request.negative_prompt, request.guidance, max_tokens
        ),
    )
    synchronize(held.parts.device)
    watch.encode_s = time.perf_counter() - started - (watch.load_s - loaded_s)
    return encoded


def paint(
    context: JobContext,
    request: GenerateRequest,
    pipeline: DiffusionPipeline,
    encoded: dict[str, torch.Tensor],
    previews: Previews,
    watch: Stopwatch,
) -> Image.Image:
    """One picture, with progress, previews and a stop."""

    def after_step(pipe: Any, step: int, latents: torch.Tensor) -> None:
        context.check()
        sigmas = pipe.scheduler.sigmas
        preview = previews.make(latents, float(sigmas[step]), float(sigmas[step + 1]))
        if step + 1 < request.steps:
            context.report("denoise", step + 1, request.steps, preview=preview)
        else:
            context.report("denoise", request.steps, request.steps)
            context.report("decode")

    context.check()
    context.report("denoise", 0, request.steps)
    previews.begin()
    drawn = draw(pipeline, request, encoded, after_step)
    watch.denoise_s += drawn.denoise_s
    watch.decode_s += drawn.decode_s
    previews.learn(drawn.picture)
    return drawn.picture


@dataclass(frozen=True)
class Drawn:
    picture: Image.Image
    denoise_s: float
    decode_s: float


def draw(
    pipeline: DiffusionPipeline,
    request: GenerateRequest,
    encoded: dict[str, torch.Tensor],
    after_step: Callable[[Any, int, torch.Tensor], None],
) -> Drawn:
    """One picture, bit for bit that of the plain diffusers call with the same seed. `after_step`
    gets the pipeline, the step and its latents; what it raises ends the call."""
    denoised_at = 0.0

    def on_step_end(pipe: Any, step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        nonlocal denoised_at
        if step + 1 == request.steps:
            synchronize(pipe.device)
            denoised_at = time.perf_counter()
        after_step(pipe, step, values["latents"])
        return {}

    started = time.perf_counter()
    picture: Image.Image = pipeline(
        **encoded,
        height=request.height,
        width=request.width,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        callback_on_step_end=on_step_end,
    ).images[0]
    return Drawn(picture, denoised_at - started, time.perf_counter() - denoised_at)


def _metrics(
    context: JobContext,
    request: GenerateRequest,
    watch: Stopwatch,
    device: torch.device,
    encoders_unloaded: bool,
) -> GenerateMetrics:
    step_s = watch.denoise_s / (request.steps * request.count)
    first_event_at = context.first_event_at or time.time()
    return GenerateMetrics(
        total_s=watch.total_s,
        first_event_s=first_event_at - context.row.queued_at,
        load_s=watch.load_s,
        step_ms=step_s * 1000,
        steps_per_s=1 / step_s,
        text_encode_ms=watch.encode_s * 1000,
        decode_ms=watch.decode_s * 1000 / request.count,
        peak_memory_bytes=context.peak_memory_bytes,
        memory_kind="gpu" if device.type == "cuda" else "cpu",
        encoders_unloaded=encoders_unloaded,
        runtime=request.runtime,
        precision=request.precision,
        device=device_name(device),
    )
