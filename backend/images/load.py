"""The job that brings a variant into the worker's memory."""

from typing import Any

import torch

from backend.contracts import GenerateRequest, LoadRequest, LoadResult, Runtime
from backend.images.device import pick_device
from backend.images.generate import Stopwatch, resident_pipeline
from backend.jobs.context import JobContext
from backend.models.catalog import find_model
from backend.models.pool import ModelPool
from backend.settings import Settings


@torch.inference_mode()
def load(context: JobContext, settings: Settings, pool: ModelPool) -> dict[str, Any]:
    """Load the variant of the job's request and leave it in the pool; a `LoadResult` as data.

    Raises StudioError, and what torch raises.
    """
    asked = LoadRequest.model_validate(context.row.request)
    entry = find_model(settings, asked.model)
    limits = entry.limits
    request = GenerateRequest(
        **asked.model_dump(),
        prompt="",
        seed=0,
        steps=limits.default_steps,
        guidance=limits.default_guidance,
        width=limits.native_width,
        height=limits.native_height,
    )
    on_cpu = asked.runtime is Runtime.ONNXRUNTIME
    device = torch.device("cpu") if on_cpu else pick_device()
    watch = Stopwatch()
    context.report("load")
    with resident_pipeline(context, settings, pool, entry, request, device, watch):
        return LoadResult(load_s=watch.load_s).model_dump(mode="json")
