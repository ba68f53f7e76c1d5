"""The variant that a job makes pictures with, from the worker's memory or loaded into it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from diffusers import DiffusionPipeline

from backend.contracts import Engine, Precision, Runtime
from backend.engines.cache import folder_of, list_engines
from backend.engines.host import this_host
from backend.engines.variants import WORKING_SHARE, Size, engines_of
from backend.errors import Code, StudioError
from backend.images.engine_pipeline import EngineFile, load_engine_pipeline
from backend.images.pipeline import load_pipeline
from backend.images.prompt_cache import PromptCache
from backend.jobs.context import JobContext
from backend.language import text
from backend.models.catalog import Entry, variant_key
from backend.models.pool import ModelPool
from backend.settings import Settings


@dataclass(frozen=True)
class Resident:
    """A loaded pipeline, and what is kept with it."""

    pipeline: DiffusionPipeline
    device: torch.device
    engines: frozenset[tuple[str, float]]
    """Ids of its engines and when they were built; none for torch."""
    prompts: PromptCache = field(default_factory=PromptCache)


def resident(
    context: JobContext,
    settings: Settings,
    pool: ModelPool,
    entry: Entry,
    precision: Precision,
    runtime: Runtime,
    size: Size | None,
    device: torch.device,
    on_loaded: Callable[[float], None],
) -> AbstractContextManager[Resident]:
    """The variant, held while the block runs. `on_loaded` hears the seconds that loading took.

    Raises StudioError VARIANT_UNAVAILABLE when its engines have gone since the job was queued,
    MODEL_TOO_LARGE, and what loading raises.
    """
    key = variant_key(entry.id, precision, runtime)
    engines = _engines(settings, entry, precision, runtime, size)
    made = frozenset((one.manifest.id, one.manifest.created_at) for one in engines.values())
    estimate = (
        int(sum(one.manifest.size_bytes for one in engines.values()) * WORKING_SHARE)
        if engines
        else entry.memory_bytes(precision)
    )

    def load() -> Resident:
        context.report("load", message=text("job.loading", variant=key, memory_bytes=estimate))
        started = time.perf_counter()
        if engines:
            assert entry.settings_folder is not None
            files = {
                module: EngineFile(
                    one.manifest, folder_of(settings, one.manifest.id) / one.manifest.file
                )
                for module, one in engines.items()
            }
            pipeline = load_engine_pipeline(
                entry.settings_folder, entry.family, files, device, settings.home / "timing"
            )
        else:
            assert entry.folder is not None
            pipeline = load_pipeline(entry.folder, entry.id, precision, device)
        on_loaded(time.perf_counter() - started)
        return Resident(pipeline, device, made)

    def evicted(other: str, freed: int) -> None:
        context.report("load", message=text("job.evicted", variant=other, memory_bytes=freed))

    return pool.use(key, estimate, load, evicted, lambda held: held.engines == made)


def _engines(
    settings: Settings, entry: Entry, precision: Precision, runtime: Runtime, size: Size | None
) -> dict[str, Engine]:
    """The engines that a variant runs on; none for torch."""
    if runtime is Runtime.TORCH:
        return {}
    here = list_engines(settings, this_host())
    found = engines_of(entry, precision, runtime, here, size)
    if len(found) == len(entry.family.engine_modules):
        return found
    reason = text(
        "variant.engines_missing", model=entry.id, precision=str(precision), runtime=str(runtime)
    )
    key = variant_key(entry.id, precision, runtime)
    raise StudioError(Code.VARIANT_UNAVAILABLE, variant=key, reason=reason)
