"""What a picture model can be quantised to on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass

from backend.contracts import (
    ImageRecipeChoice,
    ImageRecipeLevel,
    ImageRecipes,
    PictureQuality,
    Precision,
    QuantizeImagesRequest,
    Runtime,
    RuntimeChoice,
)
from backend.engines.cache import Host
from backend.engines.host import CPU, edition_for
from backend.engines.needs import calibrate_needs
from backend.engines.options import CALIBRATION_PROMPTS
from backend.engines.plan import default_target
from backend.errors import StudioError
from backend.hardware.capability import native_precisions, parse_target
from backend.hardware.targets import PARTS, part_name
from backend.jobs.store import JobRow
from backend.language import Text, text
from backend.models.catalog import Entry
from backend.quantize.images.order import runtimes_of
from backend.quantize.images.sizes import Denoiser, denoiser_of, size_of
from backend.quantize.recipes import (
    QUANTISED,
    Recipe,
    default_level,
    default_recipe,
    layer_precisions,
    levels_of,
)

ATTENTION_LEVEL = 4
"""From here on attention is FP8 whatever the recipe."""
PUBLISHED = {("flux.1-dev", Precision.NVFP4): "quantize_images.quality.flux_nvfp4"}
"""What is published of a model's loss; its text names the source."""


@dataclass(frozen=True)
class Here:
    """What matters of this machine. `measured` are jobs that have quantised pictures, newest
    first."""

    host: Host
    memory_limit_bytes: int
    measured: tuple[JobRow, ...]


def image_recipes(entry: Entry, here: Here) -> ImageRecipes:
    """All precisions, those that cannot be made too, with why.

    Raises StudioError MODEL_FILES_CORRUPTED.
    """
    denoiser = denoiser_of(entry)
    return ImageRecipes(
        model=entry.id,
        name=entry.name,
        family=entry.family.name,
        licence=entry.licence,
        here=entry.folder is not None,
        parameters=denoiser.parameters,
        recipes=tuple(_choice(entry, denoiser, precision, here) for precision in QUANTISED),
    )


def _choice(
    entry: Entry, denoiser: Denoiser, precision: Precision, here: Here
) -> ImageRecipeChoice:
    family, steps = entry.family.name, entry.limits.default_steps
    recipe = default_recipe(family, precision, samples=CALIBRATION_PROMPTS, steps=steps)
    offered = precision in entry.engine_precisions
    runtimes = _runtimes(precision, here.host) if offered else ()
    calibrates, how = _calibrates(entry, here)
    reason = text("quantize_images.possible" if entry.folder else "quantize_images.after_fetch")
    if not offered:
        reason = text("quantize_images.not_for_model", model=entry.name)
    elif not runtimes:
        reason = text("quantize_images.no_runtime")
    elif not calibrates:
        reason = how
    possible = bool(runtimes) and calibrates
    first = runtimes[0].runtime if runtimes else Runtime.TENSORRT
    return ImageRecipeChoice(
        name=precision,
        title=precision.upper(),
        possible=possible,
        reason=reason,
        calibrates_here=calibrates,
        calibration=how,
        runtimes=runtimes,
        levels=_levels(entry, denoiser, recipe, first) if offered else (),
        level=default_level(family, precision) if offered else None,
        samples=recipe.samples,
        steps=recipe.steps,
        smoothquant_alpha=recipe.smoothquant_alpha,
        percentile=recipe.percentile,
        quality=_quality(entry, precision, here.measured),
    )


def _levels(
    entry: Entry, denoiser: Denoiser, usual: Recipe, runtime: Runtime
) -> tuple[ImageRecipeLevel, ...]:
    family = entry.family.name
    on_cpu = runtime is Runtime.ONNXRUNTIME
    base, _ = entry.family.module_precisions(usual.precision, on_cpu)[entry.family.denoiser]
    found = []
    for level in levels_of(family, usual.precision):
        recipe = default_recipe(
            family, usual.precision, level, samples=usual.samples, steps=usual.steps
        )
        found.append(
            ImageRecipeLevel(
                level=level,
                covers=text(f"quantize_images.level.{level:g}".replace("2.5", "2_5")),
                size=size_of(denoiser, family, recipe, base),
                parts=_parts(denoiser, family, recipe),
            )
        )
    return tuple(found)


def _parts(denoiser: Denoiser, family: str, recipe: Recipe) -> tuple[str, ...]:
    layers = [layer for layer, _ in denoiser.layers]
    needed = set(layer_precisions(recipe, family, layers).values()) | {recipe.precision}
    if recipe.level >= ATTENTION_LEVEL:
        needed.add(Precision.FP8)
    return tuple(name for target, name in PARTS.items() if needed <= set(native_of(target)))


def native_of(target: str) -> tuple[Precision, ...]:
    return native_precisions(parse_target(target))


def _runtimes(precision: Precision, host: Host) -> tuple[RuntimeChoice, ...]:
    """Those that engines can be built for here."""
    found = []
    for runtime in runtimes_of(precision, host):
        target = default_target(runtime, host)
        try:
            edition_for(runtime, target, host)
        except StudioError:
            continue
        runs = target in (CPU, host.target)
        name = part_name(target)
        if target == CPU:
            reason = text("quantize_images.runs_on_cpu")
        elif runs:
            reason = text("quantize_images.runs_on_gpu", name=host.gpu or name)
        else:
            reason = text("quantize_images.runs_elsewhere", name=name, target=target)
        found.append(RuntimeChoice(runtime=runtime, runs_here=runs, reason=reason))
    return tuple(found)


def _calibrates(entry: Entry, here: Here) -> tuple[bool, Text]:
    on_gpu = here.host.gpu is not None
    needed = calibrate_needs(entry, on_gpu).memory_bytes
    if needed > here.memory_limit_bytes:
        return False, text(
            "quantize_images.calibrates_not",
            needed_bytes=needed,
            limit_bytes=here.memory_limit_bytes,
        )
    if on_gpu:
        return True, text("quantize_images.calibrates_gpu", name=here.host.gpu or "")
    return True, text("quantize_images.calibrates_cpu")


def _quality(entry: Entry, precision: Precision, measured: Iterable[JobRow]) -> Text:
    """What was measured here last, else what is published, else that nothing is known."""
    for row in measured:
        asked = QuantizeImagesRequest.model_validate(row.request)
        if row.result is None or (asked.model, asked.recipe) != (entry.id, precision):
            continue
        found = PictureQuality.model_validate(row.result["quality"])
        if found.psnr_db is None:
            continue
        key = "simulated" if found.simulated else "measured"
        return text(
            f"quantize_images.quality.{key}",
            psnr=f"{found.psnr_db:.1f}",
            ssim=f"{found.ssim:.3f}",
            pictures=found.pictures,
            level=f"{asked.level or 0:g}",
        )
    return text(PUBLISHED.get((entry.id, precision), "quantize_images.quality.unknown"))
