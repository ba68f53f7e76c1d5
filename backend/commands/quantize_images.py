"""`quantize` of a picture model: engines of a quantised denoiser, and how far its pictures are."""

from pathlib import Path
from typing import Any

from backend.commands.engine_words import as_data, rows_of
from backend.commands.output import answer, error_data, table
from backend.commands.session import follow, with_worker
from backend.contracts import (
    ImageQuantizePlan,
    ImageRecipeChoice,
    PictureQuality,
    QuantizedPictures,
    QuantizeImagesRequest,
)
from backend.language import human_bytes
from backend.quantize.prompts import read_prompts
from backend.studio import Studio


def list_recipes(studio: Studio, model: str, as_json: bool) -> None:
    found = studio.quantize_images.choices(model, None)
    data = [_choice_data(choice) for choice in found.recipes]
    rows = [
        (
            choice.name,
            f"{level.level:g}",
            human_bytes(level.size.whole_bytes),
            f"{level.size.ratio_whole:.2f}x",
            ", ".join(level.parts) or "-",
            choice.reason.render(),
        )
        for choice in found.recipes
        for level in choice.levels
    ]
    rows += [
        (choice.name, "-", "-", "-", "-", choice.reason.render())
        for choice in found.recipes
        if not choice.levels
    ]
    about = found.model_dump(mode="json", exclude={"recipes"})
    answer(as_json, {"picture_model": about, "recipes": data}, table(rows))


def _choice_data(choice: ImageRecipeChoice) -> dict[str, Any]:
    data = choice.model_dump(mode="json")
    for name in ("reason", "calibration", "quality"):
        data[name] = getattr(choice, name).render()
    for told, level in zip(data["levels"], choice.levels, strict=True):
        told["covers"] = level.covers.render()
    for told, runtime in zip(data["runtimes"], choice.runtimes, strict=True):
        told["reason"] = runtime.reason.render()
    return data


def kept(studio: Studio, file: Path | None) -> str | None:
    """Raises StudioError PROMPTS_UNREADABLE."""
    if file is None:
        return None
    lines = read_prompts(file)
    return studio.engines.keep_prompts("\n".join(lines).encode(), str(file))


def show_plan(studio: Studio, request: QuantizeImagesRequest, as_json: bool) -> None:
    found = studio.quantize_images.plan(request)
    rows = [(check.status, check.name, check.detail.render()) for check in found.checks]
    answer(as_json, {"plan": _plan_data(found)}, table(rows))


def _plan_data(plan: ImageQuantizePlan) -> dict[str, Any]:
    data = plan.model_dump(mode="json", exclude={"checks", "engines"})
    data["checks"] = [
        {"name": check.name, "status": check.status, "detail": check.detail.render()}
        | ({"error": error_data(check.error)} if check.error else {})
        for check in plan.checks
    ]
    engines = plan.engines.engines if plan.engines else ()
    data["engines"] = [engine.model_dump(mode="json") for engine in engines]
    return data


def run(studio: Studio, request: QuantizeImagesRequest, as_json: bool) -> None:
    with with_worker(studio):
        job = follow(studio, studio.quantize_images.quantize(request, None))
    result = studio.quantize_images.result(job.id, None)
    manifest = result.manifest
    engines = [one for one in studio.engines.all() if one.manifest.id in manifest.engines]
    quality = manifest.quality.model_dump(mode="json")
    data = {
        "job": job.id,
        "checkpoint": result.checkpoint.model_dump(mode="json"),
        "engines": [as_data(engine) for engine in engines],
        "quality": quality,
        "sensitivity": manifest.sensitivity.model_dump(mode="json"),
    }
    answer(as_json, data, f"{table(rows_of(engines))}\n{_words(result)}")


def quality_words(quality: PictureQuality) -> str:
    how = "simulated in torch" if quality.simulated else f"through {quality.runtime}"
    decibels = f"{quality.identical} of {quality.pictures} identical"
    if quality.psnr_db is not None:
        decibels = f"PSNR {quality.psnr_db:.1f} dB"
    return (
        f"{decibels}, SSIM {quality.ssim:.4f} (medians of {quality.pictures} pictures, {how}, "
        f"against torch {quality.reference})"
    )


def _words(result: QuantizedPictures) -> str:
    made = result.checkpoint
    worst = max(result.manifest.sensitivity.blocks, key=lambda block: block.relative_error)
    return (
        f"{made.path}\n{human_bytes(made.source_size_bytes)} -> {human_bytes(made.size_bytes)} "
        f"({made.ratio_whole:.2f}x; quantised layers {made.ratio_quantised_layers:.2f}x)\n"
        f"{quality_words(result.manifest.quality)}\n"
        f"most sensitive block: {worst.block} ({worst.relative_error:.2g})"
    )
