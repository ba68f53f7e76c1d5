"""Engines of models: asked for, estimated, listed, looked into. `Studio.engines`."""

from typing import Any

from backend.contracts import (
    BuildEstimate,
    BuildTarget,
    CalibrationChoices,
    Engine,
    EngineGroup,
    EngineProfile,
    EngineRequest,
    EngineView,
    JobKind,
    JobState,
    Runtime,
    TimesRequest,
)
from backend.engines.cache import delete_engine, find_engine, list_engines
from backend.engines.estimate import estimate_build, targets
from backend.engines.groups import engine_groups
from backend.engines.host import this_host
from backend.engines.options import calibration_choices, profile_of, settled
from backend.engines.times import timeable
from backend.engines.view import view_of
from backend.errors import Code, StudioError
from backend.jobs.store import jobs
from backend.models.catalog import find_model, find_models, variant_key
from backend.quantize.prompts import keep_prompts, parse_prompts
from backend.studio.desk import Desk
from backend.studio.models import Models

BUILDS_LOOKED_AT = 100
"""The newest builds, from which the next one's time is guessed."""


class Engines:
    """Raises StudioError MODEL_UNKNOWN, and ENGINE_NOT_FOUND where an engine's id is given."""

    def __init__(self, desk: Desk, models: Models) -> None:
        self._desk = desk
        self._models = models

    def all(self) -> tuple[Engine, ...]:
        """Every engine on disk and where it stands, newest first."""
        return list_engines(self._desk.settings, this_host())

    def groups(self) -> tuple[EngineGroup, ...]:
        """The same, by the variants that they make up."""
        return engine_groups(self._models.all(), self.all(), this_host(), self._desk.resident())

    def inspect(self, engine_id: str) -> EngineView:
        """Its layers before and after fusion. Opens a TensorRT engine in a child process, once,
        where it runs here."""
        found = find_engine(self._desk.settings, engine_id, this_host())
        return view_of(self._desk.settings, found)

    def time_layers(self, engine_id: str, owner: str | None) -> str:
        """Queue the timing of an engine's layers, which `inspect` then shows; the job's id.

        Raises StudioError ENGINE_NOT_RUNNABLE, TOO_MANY_WAITING.
        """
        made = timeable(self._desk.settings, engine_id)
        title, request = f"{made.model} {made.module}", TimesRequest(engine=engine_id)
        return self._desk.submit(JobKind.TIMES, owner, title, engine_id, request, 1.0)

    def delete(self, engine_id: str) -> int:
        """Delete an engine; the bytes freed."""
        return delete_engine(self._desk.settings, engine_id)

    def build(self, request: EngineRequest, owner: str | None) -> str:
        """Queue the building of engines, and first the fetching of what they are built from where
        that is not here; the job's id.

        Raises StudioError VARIANT_UNKNOWN, MODEL_FILES_CORRUPTED, PROFILE_INVALID, INVALID_REQUEST,
        RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN, PROMPTS_UNREADABLE, TARGET_UNSUPPORTED,
        TENSORRT_MISSING, PREEXPORTED_MISSING, ENGINE_DISK_SPACE_LOW, BUILD_MEMORY_LOW,
        TOO_MANY_WAITING.
        """
        entry = find_model(self._desk.settings, request.model)
        request = settled(self._desk.settings, request, entry)
        needs = self.estimate(request)
        if needs.problem is not None:
            raise StudioError(needs.problem.code, needs.problem.detail, **needs.problem.values)
        key = variant_key(request.model, request.precision, request.runtime)
        title = f"{entry.name} {request.precision} {request.runtime} {needs.target}"
        work = float(len(needs.engines))
        return self._desk.submit(JobKind.ENGINE, owner, title, key, request, work)

    def rebuild(self, engine_id: str, owner: str | None) -> str:
        """Queue the building of an engine anew, as it was asked for; the old one stays until the
        new one is whole. The job's id.

        Raises StudioError ENGINE_NOT_REBUILDABLE, and what `build` raises.
        """
        made = find_engine(self._desk.settings, engine_id, this_host()).manifest
        if made.request is None:
            raise StudioError(Code.ENGINE_NOT_REBUILDABLE, engine=engine_id[:120])
        return self.build(made.request.model_copy(update={"again": True}), owner)

    def estimate(self, request: EngineRequest) -> BuildEstimate:
        """What `build` will need, and why it would refuse."""
        settings = self._desk.settings
        built = self._desk.store.select(
            jobs.c.kind == str(JobKind.ENGINE),
            jobs.c.state == str(JobState.SUCCEEDED),
            order=(jobs.c.finished_at.desc(),),
            limit=BUILDS_LOOKED_AT,
        )
        return estimate_build(
            settings,
            request,
            find_model(settings, request.model),
            this_host(),
            self.all(),
            built,
            {each.id: each.parameters for each in find_models(settings).values()},
            self._desk.memory_limit_bytes(),
        )

    def calibration(self, request: EngineRequest) -> CalibrationChoices | None:
        """What can be chosen of the request's calibration, whatever it has chosen of it; None where
        nothing is calibrated."""
        entry = find_model(self._desk.settings, request.model)
        return calibration_choices(self._desk.settings, request, entry)

    def targets(self, runtime: Runtime) -> tuple[BuildTarget, ...]:
        """The GPUs that engines can be built for here, this machine's own first."""
        return targets(runtime, this_host())

    def profile(self, model_id: str, **sizes: Any) -> EngineProfile | None:
        """Sizes of an engine of a model from those asked for, see `options.profile_of`.

        Raises StudioError PROFILE_INVALID.
        """
        return profile_of(find_model(self._desk.settings, model_id).limits, **sizes)

    def keep_prompts(self, content: bytes, name: str) -> str:
        """Keep a text file's prompts, one a line, to calibrate with: `EngineRequest.prompts`.

        Raises StudioError PROMPTS_UNREADABLE.
        """
        return keep_prompts(self._desk.settings.home, parse_prompts(content, name))
