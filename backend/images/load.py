"""The job that brings a variant into the worker's memory."""

from typing import Any

import torch

from backend.contracts import LoadRequest, LoadResult, Runtime
from backend.images.device import pick_device
from backend.images.resident import resident
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
    on_cpu = asked.runtime is Runtime.ONNXRUNTIME
    device = torch.device("cpu") if on_cpu else pick_device()
    seconds = [0.0]
    context.report("load")
    with resident(
        context,
        settings,
        pool,
        entry,
        asked.precision,
        asked.runtime,
        None,
        device,
        seconds.append,
    ):
        return LoadResult(load_s=seconds[-1]).model_dump(mode="json")
