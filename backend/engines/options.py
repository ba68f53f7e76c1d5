"""What may be asked of a builder and of a calibration, checked before anything is queued."""

from dataclasses import replace
from pathlib import Path

from backend.contracts import (
    CalibrationChoices,
    EngineProfile,
    EngineRequest,
    EngineSource,
    ImageLimits,
)
from backend.engines.cache import Host
from backend.engines.sources import source_of
from backend.errors import Code, StudioError
from backend.models.catalog import Entry
from backend.quantize import recipes
from backend.quantize.prompts import kept_prompts, read_prompts
from backend.quantize.recipes import Recipe
from backend.settings import ASSETS, Settings

CALIBRATION_PROMPTS = 32
MAX_STEPS = 200
LEVELS = range(6)
MIN_WORKSPACE_BYTES = 1 << 20


def profile_of(
    limits: ImageLimits,
    *,
    min_side: int | None = None,
    max_side: int | None = None,
    opt_width: int | None = None,
    opt_height: int | None = None,
    batch: int | None = None,
    static: bool = False,
) -> EngineProfile | None:
    """The sizes asked for, what is left out filled in from what the model takes; None when nothing
    is asked. A static profile has one size, that which it is tuned for.

    Raises StudioError PROFILE_INVALID when they contradict each other.
    """
    sides = (min_side, max_side, opt_width, opt_height)
    if not static and all(value is None for value in (*sides, batch)):
        return None
    if (opt_width is None) != (opt_height is None):
        raise _no_profile("the size it is tuned for has a width and a height")
    low, high = _or(min_side, limits.min_side), _or(max_side, limits.max_side)
    width = _or(opt_width, min(max(limits.native_width, low), high))
    height = _or(opt_height, min(max(limits.native_height, low), high))
    if static:
        if min_side is not None or max_side is not None:
            raise _no_profile("a static engine has one size, no bounds")
        return EngineProfile.of_size(width, height, _or(batch, 1))
    return EngineProfile(
        min_side=low, max_side=high, opt_width=width, opt_height=height, max_batch=_or(batch, 1)
    )


def _no_profile(problem: str) -> StudioError:
    return StudioError(Code.PROFILE_INVALID, problem=problem)


def check_builder(request: EngineRequest, host: Host) -> None:
    """Raises StudioError INVALID_REQUEST, GPU_NEEDED (TensorRT for RTX 1.7 compiles a refittable
    engine on a GPU)."""
    if request.refit and host.gpu is None:
        raise StudioError(Code.GPU_NEEDED, what="refit")
    workspace = request.workspace_bytes
    if request.optimization_level not in LEVELS:
        problem = f"an optimisation level of {request.optimization_level} is not one of 0 to 5"
    elif workspace is not None and workspace < MIN_WORKSPACE_BYTES:
        problem = f"a workspace of {workspace} bytes is less than {MIN_WORKSPACE_BYTES}"
    else:
        return
    raise StudioError(Code.INVALID_REQUEST, problem=problem)


def is_calibrated(request: EngineRequest, entry: Entry) -> bool:
    """Ready ONNX was calibrated by its makers."""
    quantised = request.precision in recipes.QUANTISED
    return quantised and source_of(request, entry) is EngineSource.EXPORT


def check_unquantised(request: EngineRequest) -> None:
    """Refuse options of a calibration where there is none. Raises StudioError RECIPE_INVALID."""
    asked = {
        "a file of prompts": request.prompts,
        "a level": request.level,
        "a SmoothQuant alpha": request.smoothquant_alpha,
        "a percentile": request.percentile,
    }
    for what, value in asked.items():
        if value is not None:
            raise recipes.invalid(f"{request.precision} is not calibrated, so {what} says nothing")


def recipe_of(request: EngineRequest, entry: Entry) -> Recipe:
    """How the denoiser is calibrated and quantised.

    Unless asked otherwise, 32 pictures of the steps that the model is run with: fewer see ranges
    too small (docs/engines.md). Raises StudioError RECIPE_INVALID,
    QUANTIZATION_LEVEL_UNKNOWN.
    """
    steps = _or(request.calibration_steps, entry.limits.default_steps)
    if not 1 <= steps <= MAX_STEPS:
        raise recipes.invalid(f"{steps} calibration steps are not within 1 to {MAX_STEPS}")
    recipe = recipes.default_recipe(
        entry.family.name,
        request.precision,
        request.level,
        samples=_or(request.calibration_prompts, CALIBRATION_PROMPTS),
        steps=steps,
    )
    if request.smoothquant_alpha is not None:
        recipe = replace(recipe, smoothquant_alpha=request.smoothquant_alpha)
    if request.percentile is not None:
        recipe = replace(recipe, percentile=request.percentile, step_range=(0, steps))
    recipes.check_recipe(recipe, entry.family.name)
    return recipe


def _or(value: int | None, usual: int) -> int:
    return usual if value is None else value


def prompts_of(settings: Settings, request: EngineRequest, entry: Entry) -> Path:
    """The file of prompts to calibrate with: those asked for, else the model's own where it ships
    some, else the studio's.

    Raises StudioError PROMPTS_UNREADABLE.
    """
    if request.prompts is not None:
        return kept_prompts(settings.home, request.prompts)
    own = ASSETS / "calibration" / f"{entry.id}.txt"
    return own if own.exists() else ASSETS / "calibration" / "prompts.txt"


def settled(settings: Settings, request: EngineRequest, entry: Entry) -> EngineRequest:
    """The request with its source named, and with no more pictures to watch than it has prompts of
    its own, unless it says how many.

    Raises StudioError PREEXPORTED_MISSING, PROMPTS_UNREADABLE.
    """
    changes: dict[str, object] = {"source": source_of(request, entry)}
    if request.prompts is not None and request.calibration_prompts is None:
        found = len(read_prompts(kept_prompts(settings.home, request.prompts)))
        if found < CALIBRATION_PROMPTS:
            changes["calibration_prompts"] = found
    return request.model_copy(update=changes)


def check_prompts(settings: Settings, request: EngineRequest, entry: Entry) -> None:
    """See that there are enough prompts for what is asked, if that is calibrated.

    Raises StudioError PROMPTS_UNREADABLE, RECIPE_INVALID.
    """
    if not is_calibrated(request, entry):
        return
    wanted = recipe_of(request, entry).samples
    found = len(read_prompts(prompts_of(settings, request, entry)))
    if wanted > found:
        raise recipes.invalid(f"{wanted} pictures are to be watched, but there are {found} prompts")


def calibration_choices(
    settings: Settings, request: EngineRequest, entry: Entry
) -> CalibrationChoices | None:
    """What can be chosen of the request's calibration; None where nothing is calibrated."""
    if not is_calibrated(request, entry):
        return None
    usual = recipe_of(EngineRequest(model=entry.id, precision=request.precision), entry)
    try:
        found = len(read_prompts(prompts_of(settings, request, entry)))
    except StudioError:
        found = 0
    own = request.prompts is not None and found > 0
    return CalibrationChoices(
        levels=recipes.levels_of(entry.family.name, request.precision),
        level=usual.level,
        prompts=min(usual.samples, found) if own else usual.samples,
        prompts_found=found,
        steps=usual.steps,
        smoothquant_alpha=usual.smoothquant_alpha,
        percentile=usual.percentile,
    )
