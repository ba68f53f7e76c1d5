"""Quantising picture models: `Studio.quantize_images`."""

from backend.contracts import (
    EngineRequest,
    FetchPlan,
    ImagePrompts,
    ImageQuantizePlan,
    ImageRecipes,
    JobKind,
    JobState,
    QuantizedPictures,
    QuantizeImagesRequest,
)
from backend.engines.host import this_host
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.jobs.store import jobs
from backend.models.catalog import variant_key
from backend.models.files import corrupted
from backend.quantize.images.choices import Here, image_recipes
from backend.quantize.images.order import (
    find_picture_model,
    make_order,
    prompts_for,
    the_picture_model,
)
from backend.quantize.images.phases import checkpoint_of, read_manifest
from backend.quantize.images.plan import Asked, check_disk, check_memory, plan_images
from backend.studio.desk import Desk
from backend.studio.engines import Engines
from backend.studio.models import Models

MEASURED_LOOKED_AT = 100
"""The newest results, from which the quality of a recipe is told."""


class QuantizeImages:
    def __init__(self, desk: Desk, models: Models, engines: Engines) -> None:
        self._desk = desk
        self._models = models
        self._engines = engines
        self._told: dict[str, FetchPlan] = {}
        """What the hub said, by model."""

    def knows(self, name: str) -> bool:
        """Whether a name is that of a picture model, or of its repository on the hub."""
        return find_picture_model(self._desk.settings, name) is not None

    def choices(self, model: str, owner: str | None) -> ImageRecipes:
        """Every precision with its levels and sizes, those that cannot be made here with why.

        Raises StudioError MODEL_UNKNOWN, MODEL_FILES_CORRUPTED.
        """
        mine = [] if owner is None else [jobs.c.owner == owner]
        measured = self._desk.store.select(
            jobs.c.kind == str(JobKind.QUANTIZE_IMAGES),
            jobs.c.state == str(JobState.SUCCEEDED),
            *mine,
            order=(jobs.c.finished_at.desc(),),
            limit=MEASURED_LOOKED_AT,
        )
        limit = self._desk.memory_limit_bytes()
        here = Here(this_host(), limit, tuple(measured))
        return image_recipes(the_picture_model(self._desk.settings, model), here)

    def prompts(self, request: QuantizeImagesRequest) -> ImagePrompts:
        """What a job would calibrate on, and compare pictures of.

        Raises StudioError MODEL_UNKNOWN, and what `quantize` raises of prompts and numbers.
        """
        return prompts_for(self._desk.settings, request, this_host())

    def plan(self, request: QuantizeImagesRequest, ask: bool = True) -> ImageQuantizePlan:
        """What a job would do and what is in its way; raises nothing. Where the model is not here
        the hub is asked, unless `ask` says that what it said before is enough."""
        asked = Asked(
            host=this_host(),
            memory=memory.sample(),
            limit_bytes=self._desk.memory_limit_bytes(),
            estimate=self._engines.estimate,
            fetch=self._ask if ask else lambda engines: self._told.get(engines.model),
        )
        return plan_images(self._desk.settings, request, asked)

    def _ask(self, request: EngineRequest) -> FetchPlan:
        plan = self._models.plan_fetch(request)
        self._told[request.model] = plan
        return plan

    def quantize(self, request: QuantizeImagesRequest, owner: str | None) -> str:
        """Queue the quantising of a picture model, and first the fetching of one that is not here;
        the job's id, whose result is a QuantizeImagesResult.

        Raises StudioError MODEL_UNKNOWN, MODEL_FILES_CORRUPTED, QUANTIZE_RECIPE_UNKNOWN,
        QUANTIZE_RECIPE_UNAVAILABLE, RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN,
        PROMPTS_UNREADABLE, PICTURE_PROMPTS_MISSING, EVALUATION_OVERLAPS, TARGET_UNSUPPORTED,
        TENSORRT_MISSING, SIZE_*, *_OUT_OF_RANGE, ENGINE_DISK_SPACE_LOW, BUILD_MEMORY_LOW,
        TOO_MANY_WAITING.
        """
        settings = self._desk.settings
        order = make_order(settings, request, this_host())
        estimate = self._engines.estimate(order.request.engines)
        check_disk(settings, order, estimate)
        check_memory(order, estimate, self._desk.memory_limit_bytes())
        key = order.denoiser.key
        variant = variant_key(order.entry.id, key.precision, key.runtime)
        title = f"{order.entry.name} {key.precision} {key.runtime} {key.target}"
        work = float(len(order.builds) + order.request.count)
        return self._desk.submit(
            JobKind.QUANTIZE_IMAGES, owner, title, variant, order.request, work
        )

    def result(self, job_id: str, owner: str | None) -> QuantizedPictures:
        """All that came of a job: figures, pictures (files in `folder`), sensitivity.

        Raises StudioError JOB_NOT_FOUND, JOB_STILL_RUNNING, JOB_STOPPED, MODEL_FILES_CORRUPTED
        (its files have gone).
        """
        row = self._desk.store.find(job_id)
        if row is None or owner not in (None, row.owner):
            raise StudioError(Code.JOB_NOT_FOUND)
        if row.kind is not JobKind.QUANTIZE_IMAGES:
            raise StudioError(Code.JOB_NOT_FOUND)
        if row.state.is_live:
            raise StudioError(Code.JOB_STILL_RUNNING)
        if row.state is not JobState.SUCCEEDED:
            raise StudioError(Code.JOB_STOPPED, state=str(row.state))
        folder = self._desk.settings.outputs / row.id
        try:
            manifest = read_manifest(folder)
        except (OSError, ValueError) as error:
            raise corrupted(row.title, "its result has been deleted", repr(error)) from error
        return QuantizedPictures(
            job=row.id,
            folder=str(folder),
            checkpoint=checkpoint_of(manifest, folder),
            manifest=manifest,
        )
