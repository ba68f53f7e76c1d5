"""A request to quantise a picture model made definite on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backend.contracts import (
    DenoiserSize,
    GenerateRequest,
    ImagePrompts,
    Precision,
    QuantizeImagesRequest,
    Runtime,
)
from backend.engines.cache import Host
from backend.engines.host import CPU
from backend.engines.options import prompts_of, recipe_of, settled
from backend.engines.plan import ModuleBuild, engine_runtimes, plan_builds
from backend.errors import Code, StudioError
from backend.language import text
from backend.models.catalog import Entry, find_models
from backend.models.requests import MAX_SEED, check_numbers, check_prompt
from backend.quantize.images.sizes import denoiser_of, size_of
from backend.quantize.prompts import kept_prompts, read_prompts
from backend.quantize.recipes import QUANTISED, Recipe
from backend.settings import Settings

MAX_COUNT = 64
"""Pictures to compare."""


@dataclass(frozen=True)
class ImageOrder:
    """What is quantised how, and what is then painted twice."""

    request: QuantizeImagesRequest
    """Filled in."""
    entry: Entry
    recipe: Recipe
    builds: tuple[ModuleBuild, ...]
    prompts: tuple[str, ...]
    """One a picture."""
    simulated: bool
    reference: Precision
    """Of the pictures to compare with: on a CPU torch computes in FP32."""

    @property
    def denoiser(self) -> ModuleBuild:
        name = self.entry.family.denoiser
        return next(build for build in self.builds if build.key.module == name)

    @property
    def size(self) -> DenoiserSize:
        """Raises StudioError MODEL_FILES_CORRUPTED."""
        denoiser = denoiser_of(self.entry)
        return size_of(denoiser, self.entry.family.name, self.recipe, self.denoiser.base)

    def picture(self, index: int, precision: Precision, runtime: Runtime) -> GenerateRequest:
        """The request of one picture to compare, in one of its precisions."""
        return picture_request(self.request, self.entry, index).model_copy(
            update={"prompt": self.prompts[index], "precision": precision, "runtime": runtime}
        )


def find_picture_model(settings: Settings, name: str) -> Entry | None:
    """By its id, or by its repository on the hub."""
    models = find_models(settings)
    return models.get(name) or next((one for one in models.values() if name == one.repo), None)


def the_picture_model(settings: Settings, name: str) -> Entry:
    """Raises StudioError MODEL_UNKNOWN, MODEL_FILES_CORRUPTED."""
    entry = find_picture_model(settings, name)
    if entry is None:
        raise StudioError(Code.MODEL_UNKNOWN, model=name[:80])
    if entry.problem:
        raise StudioError(Code.MODEL_FILES_CORRUPTED, model=entry.id, problem=entry.problem)
    return entry


def make_order(settings: Settings, request: QuantizeImagesRequest, host: Host) -> ImageOrder:
    """Raises StudioError MODEL_UNKNOWN, MODEL_FILES_CORRUPTED, and what `filled`, `plan_builds`,
    `check_pictures` and `chosen_prompts` raise."""
    entry = the_picture_model(settings, request.model)
    request = filled(settings, request, entry, host)
    builds = plan_builds(request.engines, entry, host)
    check_pictures(request, entry)
    return ImageOrder(
        request=request,
        entry=entry,
        recipe=recipe_of(request.engines, entry),
        builds=builds,
        prompts=chosen_prompts(settings, request, entry),
        simulated=is_simulated(builds, host),
        reference=_reference(builds, entry, host),
    )


def is_simulated(builds: tuple[ModuleBuild, ...], host: Host) -> bool:
    """Whether these engines cannot run on this machine."""
    return builds[0].key.target not in (CPU, host.target)


def _reference(builds: tuple[ModuleBuild, ...], entry: Entry, host: Host) -> Precision:
    if host.gpu is None:
        return Precision.FP32
    return next(one.base for one in builds if one.key.module == entry.family.denoiser)


def filled(
    settings: Settings, request: QuantizeImagesRequest, entry: Entry, host: Host
) -> QuantizeImagesRequest:
    """The request with what it leaves out. Raises StudioError QUANTIZE_RECIPE_UNKNOWN,
    QUANTIZE_RECIPE_UNAVAILABLE, PROMPTS_UNREADABLE, RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN."""
    precision, limits = find_precision(entry, request.recipe), entry.limits
    runtimes = runtimes_of(precision, host)
    if request.runtime not in (None, *runtimes):
        reason = text("quantize_images.not_in_runtime", runtime=str(request.runtime))
        raise StudioError(Code.QUANTIZE_RECIPE_UNAVAILABLE, recipe=precision.upper(), reason=reason)
    usual = {
        "runtime": runtimes[0],
        "steps": limits.default_steps,
        "guidance": limits.default_guidance,
        "width": limits.native_width,
        "height": limits.native_height,
    }
    absent = {name: value for name, value in usual.items() if getattr(request, name) is None}
    known = request.model_copy(update={"model": entry.id} | absent)
    engines = settled(settings, known.engines, entry)
    known = known.model_copy(update={"samples": engines.calibration_prompts})
    recipe = recipe_of(known.engines, entry)
    told = {"level": recipe.level, "samples": recipe.samples, "calibration_steps": recipe.steps}
    return known.model_copy(update=told)


def find_precision(entry: Entry, name: str) -> Precision:
    """Raises StudioError QUANTIZE_RECIPE_UNKNOWN, QUANTIZE_RECIPE_UNAVAILABLE."""
    if name not in QUANTISED:
        offered = [one.value for one in QUANTISED if one in entry.engine_precisions]
        raise StudioError(
            Code.QUANTIZE_RECIPE_UNKNOWN, recipe=name[:80], recipes=", ".join(offered)
        )
    precision = Precision(name)
    if precision not in entry.engine_precisions:
        reason = text("quantize_images.not_for_model", model=entry.name)
        raise StudioError(Code.QUANTIZE_RECIPE_UNAVAILABLE, recipe=name.upper(), reason=reason)
    return precision


def runtimes_of(precision: Precision, host: Host) -> tuple[Runtime, ...]:
    """Those that compute a precision, the one that fits this machine first."""
    known = engine_runtimes(precision)
    first = Runtime.ONNXRUNTIME if host.target == CPU else Runtime.TENSORRT
    return tuple(sorted(known, key=lambda runtime: runtime is not first))


def picture_request(
    request: QuantizeImagesRequest, entry: Entry, index: int = 0
) -> GenerateRequest:
    values = {"steps": request.steps, "guidance": request.guidance}
    values |= {"width": request.width, "height": request.height}
    seed = request.seed if index == 0 else (request.seed + index) % (MAX_SEED + 1)
    return GenerateRequest.model_validate({"model": entry.id, "prompt": "", "seed": seed} | values)


def check_pictures(request: QuantizeImagesRequest, entry: Entry) -> None:
    """Raises StudioError SIZE_OUT_OF_RANGE, SIZE_NOT_MULTIPLE, STEPS_OUT_OF_RANGE,
    GUIDANCE_OUT_OF_RANGE, SEED_OUT_OF_RANGE, COUNT_OUT_OF_RANGE."""
    check_numbers(picture_request(request, entry), entry.limits)
    if not 1 <= request.count <= MAX_COUNT:
        raise StudioError(Code.COUNT_OUT_OF_RANGE, value=request.count, limit=MAX_COUNT)


def chosen_prompts(
    settings: Settings, request: QuantizeImagesRequest, entry: Entry
) -> tuple[str, ...]:
    """A prompt for each picture, none of which is calibrated on: those asked for, in turns where
    they are fewer than pictures; else some of the calibration's own, evenly chosen from what it
    leaves and the model reads whole; else the model's examples.

    Raises StudioError PROMPTS_UNREADABLE, PROMPT_TOO_LONG, PROMPT_TOO_MANY_TOKENS, RECIPE_INVALID
    (fewer prompts than it is to calibrate on), EVALUATION_OVERLAPS, PICTURE_PROMPTS_MISSING.
    """
    known, samples = _calibrated_on(settings, request, entry)
    watched = frozenset(known[:samples])
    if request.prompts is not None:
        found = read_prompts(kept_prompts(settings.home, request.prompts))
        both = watched.intersection(found)
        if both:
            raise StudioError(Code.EVALUATION_OVERLAPS, rows=len(both))
    else:
        found = _left(known, watched, entry) or _left(entry.examples, watched, entry)
        found = found[:: max(1, len(found) // max(1, request.count))]
    if not found:
        raise StudioError(Code.PICTURE_PROMPTS_MISSING)
    chosen = tuple(found[index % len(found)] for index in range(request.count))
    for prompt in dict.fromkeys(chosen):
        check_prompt(prompt, entry)
    return chosen


def prompts_for(settings: Settings, request: QuantizeImagesRequest, host: Host) -> ImagePrompts:
    """Raises what `make_order` raises of prompts and numbers."""
    entry = the_picture_model(settings, request.model)
    request = filled(settings, request, entry, host)
    known, samples = _calibrated_on(settings, request, entry)
    compared = dict.fromkeys(chosen_prompts(settings, request, entry))
    return ImagePrompts(watched=known[:samples], compared=tuple(compared))


def _calibrated_on(
    settings: Settings, request: QuantizeImagesRequest, entry: Entry
) -> tuple[tuple[str, ...], int]:
    """All prompts that there are to calibrate with, and how many of them are watched."""
    known = read_prompts(prompts_of(settings, request.engines, entry))
    samples = recipe_of(request.engines, entry).samples
    if samples > len(known):
        problem = f"{samples} pictures are to be watched, but there are {len(known)} prompts"
        raise StudioError(Code.RECIPE_INVALID, problem=problem)
    return known, samples


def _left(prompts: Iterable[str], watched: frozenset[str], entry: Entry) -> tuple[str, ...]:
    """Those that are not watched, and that the model reads whole."""
    return tuple(one for one in dict.fromkeys(prompts) if one not in watched and _fits(one, entry))


def _fits(prompt: str, entry: Entry) -> bool:
    try:
        check_prompt(prompt, entry)
    except StudioError:
        return False
    return True


def revision_of(folder: Path) -> str | None:
    """The commit of a model in the hub's cache."""
    return folder.name if folder.parent.name == "snapshots" else None
