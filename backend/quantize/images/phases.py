"""The phases of a job that quantises a picture model.

Fetch, calibrate, export and build are those of a job that builds engines (backend/engines/phases).
Then come here: pictures at both precisions, their score, and the sensitivity of each block. What a
phase has finished is in the job's work folder beside its place, so a killed one goes on from there;
a job that fails or is stopped leaves nothing.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.contracts import (
    Checkpoint,
    DenoiserSize,
    EngineLayer,
    EngineState,
    ImageQuantizeManifest,
    PicturePair,
    PictureQuality,
    QuantizeImagesRequest,
    QuantizeImagesResult,
    Runtime,
    Sensitivity,
)
from backend.engines.cache import LAYERS, folder_of, list_engines
from backend.engines.host import this_host
from backend.errors import Code, StudioError
from backend.hardware.software_checks import version
from backend.images.quality import psnr, ssim
from backend.jobs.children import run_child
from backend.jobs.context import JobContext, JobRequeued
from backend.jobs.room import room
from backend.models.pool import ModelPool
from backend.quantize.images.needs import CAPTURED, picture_needs
from backend.quantize.images.order import ImageOrder, make_order, revision_of
from backend.quantize.images.plan import PACKAGES
from backend.quantize.images.sizes import measured
from backend.quantize.images.summary import summary
from backend.settings import Settings

FORMAT = 1
MANIFEST = "manifest.json"
Results = dict[str, Any]


def work_folder(settings: Settings, job_id: str) -> Path:
    """Beside the place of what is finished, `outputs/<job>`."""
    return settings.outputs / f".{job_id}"


@contextmanager
def tidy(context: JobContext, settings: Settings) -> Iterator[None]:
    """Leave nothing half of a job that fails or is stopped; all of one that another worker goes on
    with."""
    try:
        yield
    except JobRequeued:
        raise
    except BaseException:
        shutil.rmtree(work_folder(settings, context.row.id), ignore_errors=True)
        shutil.rmtree(settings.home / "engines" / f".{context.row.id}", ignore_errors=True)
        raise


def timed(work: Callable[[], Any]) -> Results:
    """What a phase found, and what it took."""
    started = time.perf_counter()
    found = work()
    return {"found": found, "seconds": time.perf_counter() - started}


def order_of(context: JobContext, settings: Settings) -> ImageOrder:
    request = QuantizeImagesRequest.model_validate(context.row.request)
    return make_order(settings, request, this_host())


def pictures(
    context: JobContext, settings: Settings, pool: ModelPool, calibrated: Results
) -> Results:
    """Every prompt at the reference's precision and at the quantised one, see `paint`."""
    order = order_of(context, settings)
    work = work_folder(settings, context.row.id)
    work.mkdir(parents=True, exist_ok=True)
    quantised = Runtime.TORCH if order.simulated else order.denoiser.key.runtime
    precision, plain = order.denoiser.key.precision, order.reference
    count = order.request.count
    arguments = _arguments(order, work, calibrated) | {
        "settings_folder": str(order.entry.settings_folder),
        "max_prompt_tokens": order.entry.limits.max_prompt_tokens,
        "engines": {} if order.simulated else _engines(order, settings),
        "kernels": str(settings.home / "timing"),
        "captured": min(CAPTURED, count),
        "reference": [_picture(order, index, plain, Runtime.TORCH) for index in range(count)],
        "quantised": [_picture(order, index, precision, quantised) for index in range(count)],
    }
    with _room(context, settings, pool, order, "pictures"):
        found: Results = run_child(
            "backend.quantize.images.paint", arguments, _told(context, "pictures"), context.check
        )
    return found


def score(context: JobContext, settings: Settings) -> Results:
    """PSNR and SSIM of each pair of pictures."""
    order = order_of(context, settings)
    work, request = work_folder(settings, context.row.id), order.request
    pairs = []
    for index, prompt in enumerate(order.prompts):
        context.check()
        context.report("score", index, request.count)
        files = [
            picture_file(index, one) for one in (order.reference, order.denoiser.key.precision)
        ]
        reference, quantised = (np.asarray(Image.open(work / file)) for file in files)
        pairs.append(
            PicturePair(
                prompt=prompt,
                seed=order.picture(index, order.reference, Runtime.TORCH).seed,
                reference=files[0],
                quantised=files[1],
                psnr_db=psnr(quantised, reference),
                ssim=ssim(quantised, reference),
            )
        )
    context.report("score", request.count, request.count)
    quality = summary(
        pairs,
        simulated=order.simulated,
        runtime=Runtime.TORCH if order.simulated else order.denoiser.key.runtime,
        reference=order.reference,
    )
    return {
        "pictures": [pair.model_dump(mode="json") for pair in pairs],
        "quality": quality.model_dump(mode="json"),
    }


def sensitivity(
    context: JobContext, settings: Settings, pool: ModelPool, done: dict[str, Results]
) -> Results:
    """What each block alone does, and then everything put in its place."""
    order = order_of(context, settings)
    place, work = settings.outputs / context.row.id, work_folder(settings, context.row.id)
    if not work.exists() and (place / MANIFEST).exists():
        return _result(read_manifest(place), place)  # killed after it was put there
    started = time.perf_counter()
    with _room(context, settings, pool, order, "sensitivity"):
        measured_here = run_child(
            "backend.quantize.images.sensitivity",
            _arguments(order, work, done["calibrate"]["found"]),
            _told(context, "sensitivity"),
            context.check,
        )
    seconds = {name: each["seconds"] for name, each in done.items()}
    seconds["sensitivity"] = time.perf_counter() - started
    manifest = _manifest(order, settings, done, measured_here, seconds)
    for file in work.iterdir():
        if file.suffix != ".png":
            file.unlink()
    (work / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    work.replace(place)
    return _result(manifest, place)


def read_manifest(folder: Path) -> ImageQuantizeManifest:
    """Raises OSError, ValueError."""
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    return ImageQuantizeManifest.model_validate_json(text)


def checkpoint_of(manifest: ImageQuantizeManifest, folder: Path) -> Checkpoint:
    size = manifest.size
    return Checkpoint(
        path=str(folder),
        size_bytes=size.whole_bytes,
        source_size_bytes=size.source_bytes,
        ratio_whole=size.ratio_whole,
        ratio_quantised_layers=size.ratio_quantised_layers,
    )


def picture_file(index: int, precision: str) -> str:
    return f"{index + 1:02d}-{precision}.png"


def _picture(order: ImageOrder, index: int, precision: Any, runtime: Runtime) -> Results:
    request = order.picture(index, precision, runtime)
    return {"file": picture_file(index, precision), "request": request.model_dump(mode="json")}


def _arguments(order: ImageOrder, work: Path, calibrated: Results) -> Results:
    """What both children are told."""
    return {
        "model": order.entry.id,
        "folder": str(order.entry.folder),
        "family": order.entry.family.name,
        "precision": order.reference,
        "on_cpu": order.denoiser.key.runtime is Runtime.ONNXRUNTIME,
        "calibration": calibrated["file"],
        "work": str(work),
    }


def _engines(order: ImageOrder, settings: Settings) -> Results:
    """Those that paint. Raises StudioError ENGINE_NOT_FOUND for one that has gone or does not run
    here: nothing is simulated in its place."""
    usable = {
        engine.manifest.id: engine.manifest
        for engine in list_engines(settings, this_host())
        if engine.state is EngineState.VALID
    }
    found = {}
    for build in order.builds:
        made = usable.get(build.key.id)
        if made is None:
            raise StudioError(Code.ENGINE_NOT_FOUND, engine=build.key.id)
        file = folder_of(settings, made.id) / made.file
        if build.key.module not in order.entry.family.text_encoders:
            manifest = made.model_dump(mode="json")
            found[build.key.module] = {"manifest": manifest, "file": str(file)}
    return found


@contextmanager
def _room(
    context: JobContext, settings: Settings, pool: ModelPool, order: ImageOrder, phase: str
) -> Iterator[None]:
    needs = picture_needs(order)[phase]
    with room(context, pool, settings.home, phase, needs, on_host=False):
        context.report(phase)
        yield


def _told(context: JobContext, phase: str) -> Callable[[Results], None]:
    def on_news(news: Results) -> None:
        context.report(phase, news["step"], news["total"])

    return on_news


def _manifest(
    order: ImageOrder,
    settings: Settings,
    done: dict[str, Results],
    measured_here: Results,
    seconds: dict[str, float],
) -> ImageQuantizeManifest:
    painted, scored = done["pictures"]["found"], done["score"]["found"]
    folder, recipe = order.entry.folder, order.recipe
    assert folder is not None
    return ImageQuantizeManifest(
        format=FORMAT,
        request=order.request,
        source=order.entry.source,
        revision=revision_of(folder),
        fingerprint=order.denoiser.key.fingerprint,
        level=recipe.level,
        smoothquant_alpha=recipe.smoothquant_alpha,
        percentile=recipe.percentile,
        samples=recipe.samples,
        calibration_steps=recipe.steps,
        calibration=done["calibrate"]["found"]["digest"],
        target=order.denoiser.key.target,
        engines=tuple(build.key.id for build in order.builds),
        size=_size(order, settings),
        estimated_bytes=order.size.whole_bytes,
        device=painted["device"],
        versions={name: version(name) or "-" for name in PACKAGES},
        made_at=time.time(),
        seconds=seconds,
        peak_memory_bytes={
            "pictures": painted["peak_memory_bytes"],
            "sensitivity": measured_here["peak_memory_bytes"],
        },
        reference_step_ms=painted["reference_step_ms"],
        step_ms=None if order.simulated else painted["quantised_step_ms"],
        quality=PictureQuality.model_validate(scored["quality"]),
        pictures=tuple(PicturePair.model_validate(pair) for pair in scored["pictures"]),
        sensitivity=Sensitivity.model_validate(measured_here["sensitivity"]),
    )


def _size(order: ImageOrder, settings: Settings) -> DenoiserSize:
    """As the quantised graph has it."""
    file = folder_of(settings, order.denoiser.key.id) / LAYERS
    layers = json.loads(file.read_text(encoding="utf-8"))
    return measured((EngineLayer.model_validate(layer) for layer in layers), order.size)


def _result(manifest: ImageQuantizeManifest, folder: Path) -> Results:
    result = QuantizeImagesResult(
        checkpoint=checkpoint_of(manifest, folder),
        engines=manifest.engines,
        quality=manifest.quality,
    )
    return result.model_dump(mode="json")
