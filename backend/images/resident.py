"""The variant that a job makes pictures with, from the worker's memory or loaded into it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline

from backend.contracts import Engine, Precision, Runtime
from backend.engines.cache import folder_of, list_engines
from backend.engines.host import this_host
from backend.engines.variants import WORKING_SHARE, Size, engines_of
from backend.errors import Code, StudioError
from backend.images.engine_pipeline import EngineFile, load_engine_pipeline
from backend.images.parts import Heard, Part, Parts
from backend.images.pipeline import load_pipeline
from backend.images.prompt_cache import Embeddings
from backend.jobs.context import JobContext
from backend.language import text
from backend.models.catalog import Entry, variant_key
from backend.models.families import component_of
from backend.models.pool import ModelPool
from backend.settings import Settings, TextEncoders


@dataclass(frozen=True)
class Resident:
    """A variant for the length of a job."""

    parts: Parts
    heard: Heard

    def encode(
        self, key: tuple[str, ...], encode: Callable[[DiffusionPipeline], Embeddings]
    ) -> Embeddings:
        """What `encode` makes of a prompt with the text encoders, or made of it before."""
        return self.parts.prompts.embeddings(key, lambda: encode(self.parts.encoders(self.heard)))

    def painter(self) -> DiffusionPipeline:
        """The pipeline for prompts that are encoded; the text encoders go first where they must."""
        return self.parts.painter(self.heard)


def takes_turns(policy: TextEncoders, whole_bytes: int, budget_bytes: int) -> bool:
    """Whether text encoders are let go once prompts are encoded: as the setting says, else where
    all parts together do not fit in what models may hold."""
    if policy == "auto":
        return whole_bytes > budget_bytes
    return policy == "unload"


@contextmanager
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
    encodes: bool = True,
) -> Iterator[Resident]:
    """The variant, held while the block runs. `on_loaded` hears the seconds that each loading took.
    Without `encodes` text encoders that take turns with the rest are not loaded.

    Raises StudioError VARIANT_UNAVAILABLE when its engines have gone since the job was queued,
    MODEL_TOO_LARGE, and what loading raises.
    """
    key = variant_key(entry.id, precision, runtime)
    engines = _engines(settings, entry, precision, runtime, size)
    made = frozenset((one.manifest.id, one.manifest.created_at) for one in engines.values())
    needed = part_bytes(entry, precision, engines)
    in_turns = takes_turns(settings.text_encoders, needed[Part.WHOLE], pool.budget_bytes)
    estimate = max(needed[Part.ENCODERS], needed[Part.PAINTER]) if in_turns else needed[Part.WHOLE]

    def heard_in(phase: str) -> Heard:
        @contextmanager
        def heard(part: Part) -> Iterator[None]:
            message = text(MESSAGES[part], variant=key, memory_bytes=needed[part])
            context.report(phase, message=message)
            started = time.perf_counter()
            yield
            on_loaded(time.perf_counter() - started)

        return heard

    def begin() -> Parts:
        load = _loader(settings, entry, precision, engines, device)
        parts = Parts(load, pool.collect, device, made, in_turns)
        (parts.encoders if encodes else parts.painter)(heard_in("load"))
        return parts

    def evicted(other: str, freed: int) -> None:
        context.report("load", message=text("job.evicted", variant=other, memory_bytes=freed))

    with pool.use(key, estimate, begin, evicted, lambda parts: parts.engines == made) as parts:
        yield Resident(parts, heard_in("encode"))


MESSAGES = {
    Part.WHOLE: "job.loading",
    Part.ENCODERS: "job.loading_encoders",
    Part.PAINTER: "job.loading_painter",
}


def part_bytes(entry: Entry, precision: Precision, engines: dict[str, Engine]) -> dict[Part, int]:
    """What each part of a variant takes in memory, about: by its engines where it has some."""
    if engines:
        sizes = {
            module: int(one.manifest.size_bytes * WORKING_SHARE) for module, one in engines.items()
        }
        whole = sum(sizes.values())
        encoders = sum(sizes[module] for module in entry.family.text_encoders)
    else:
        whole, encoders = entry.memory_bytes(precision), entry.encoder_bytes(precision)
    return {Part.WHOLE: whole, Part.ENCODERS: encoders, Part.PAINTER: whole - encoders}


def _loader(
    settings: Settings,
    entry: Entry,
    precision: Precision,
    engines: dict[str, Engine],
    device: torch.device,
) -> Callable[[Part], DiffusionPipeline]:
    encoders = entry.family.text_encoders

    def load(part: Part) -> DiffusionPipeline:
        left_out = {
            Part.WHOLE: (),
            Part.ENCODERS: (entry.family.denoiser, "vae"),
            Part.PAINTER: encoders,
        }[part]
        if not engines:
            assert entry.folder is not None
            return load_pipeline(entry.folder, entry.id, precision, device, left_out)
        assert entry.settings_folder is not None
        files = {
            module: EngineFile(
                one.manifest, folder_of(settings, one.manifest.id) / one.manifest.file
            )
            for module, one in engines.items()
            if component_of(module) not in left_out
        }
        return load_engine_pipeline(
            entry.settings_folder, entry.family, files, device, settings.home / "timing"
        )

    return load


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
