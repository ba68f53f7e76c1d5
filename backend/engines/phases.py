"""The phases of a job that builds engines: calibrate, export, build.

Each leaves files that the next one finds, so that a killed worker goes on where it was. Engines
that are already there are not built again: the second of two equal jobs finds those of the first.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.contracts import EngineManifest, EngineRequest, EngineResult, Precision, Runtime
from backend.engines import cache
from backend.engines.host import this_host
from backend.engines.plan import ModuleBuild, calibration_size, plan_builds
from backend.engines.shapes import input_shapes
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import text
from backend.models.catalog import Entry, find_model
from backend.models.families import flux
from backend.settings import ASSETS, Settings

ONNX = "model.onnx"


@dataclass(frozen=True)
class Order:
    """A request made definite on this machine."""

    request: EngineRequest
    entry: Entry
    missing: tuple[ModuleBuild, ...]
    all: tuple[ModuleBuild, ...]
    work: Path

    @property
    def quantised(self) -> ModuleBuild | None:
        return next((one for one in self.missing if one.key.precision is not one.base), None)

    @property
    def folder(self) -> str:
        return str(self.entry.folder)


def order_of(context: JobContext, settings: Settings) -> Order:
    request = EngineRequest.model_validate(context.row.request)
    entry = find_model(settings, request.model)
    host = this_host()
    builds = plan_builds(request, entry, host)
    usable = {engine.manifest.id for engine in cache.list_engines(settings, host) if engine.usable}
    valid = frozenset() if request.again else usable
    return Order(
        request=request,
        entry=entry,
        missing=tuple(build for build in builds if build.key.id not in valid),
        all=builds,
        work=settings.home / "engines" / f".{context.row.id}",
    )


def calibration_file(settings: Settings, order: Order) -> Path:
    build = order.quantised
    assert build is not None
    name = f"{order.entry.id}.{build.key.precision}.{build.key.fingerprint[:12]}"
    prompts, steps = calibration_size(order.request, order.entry)
    return settings.home / "calibrations" / f"{name}.{prompts}x{steps}.safetensors"


def calibrate(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Watch the denoiser, unless the same was watched before."""
    order = order_of(context, settings)
    if order.quantised is None:
        return {}
    file = calibration_file(settings, order)
    if not file.exists():
        context.report("calibrate")
        limits = order.entry.limits
        prompts, steps = calibration_size(order.request, order.entry)
        arguments = {
            "model": order.entry.id,
            "folder": order.folder,
            "family": flux.FAMILY,
            "precision": str(order.quantised.key.precision),
            "samples": prompts,
            "steps": steps,
            "prompts": str(calibration_prompts(order.entry)),
            "width": limits.native_width,
            "height": limits.native_height,
            "guidance": limits.default_guidance,
            "max_prompt_tokens": limits.max_prompt_tokens,
            "file": str(file),
        }
        run_child(
            "backend.quantize.diffusion",
            arguments,
            lambda news: context.report("calibrate", news["step"], news["total"]),
            context.check,
        )
    return {"file": str(file), "digest": cache.sha256_of(file)}


def calibration_prompts(entry: Entry) -> Path:
    """The model's own prompts where it ships some, else the studio's."""
    own = ASSETS / "calibration" / f"{entry.id}.txt"
    return own if own.exists() else ASSETS / "calibration" / "prompts.txt"


def export(context: JobContext, settings: Settings, calibrated: dict[str, Any]) -> list[Any]:
    """ONNX files of the modules whose engines are missing."""
    order = order_of(context, settings)
    if not order.missing:
        return []
    context.report("export", 0, len(order.missing))

    def on_news(news: dict[str, Any]) -> None:
        module = news.get("module")
        message = text("job.exporting", module=module) if module else None
        context.report("export", news["step"], news["total"], message=message)

    fingerprint = order.missing[0].key.fingerprint
    arguments = {
        "model": order.entry.id,
        "folder": order.folder,
        "sample_size": [order.entry.limits.min_side, order.entry.limits.native_height],
        "exports": str(settings.home / "onnx" / f"{order.entry.id}.{fingerprint[:12]}"),
        "work": str(order.work),
        "calibration": calibrated.get("file"),
        "modules": [
            {"module": one.key.module, "base": one.base, "precision": one.key.precision}
            for one in order.missing
        ],
    }
    found: list[Any] = run_child("backend.engines.prepare", arguments, on_news, context.check)
    return found


def build(
    context: JobContext, settings: Settings, calibrated: dict[str, Any], exported: list[Any]
) -> dict[str, Any]:
    """Build, and make each finished engine one of those listed."""
    order = order_of(context, settings)
    by_module = {one["module"]: one for one in exported}
    for index, one in enumerate(order.missing):
        context.report(
            "build",
            index * 100,
            len(order.missing) * 100,
            message=text("job.building", module=one.key.module),
        )
        facts = by_module[one.key.module]
        made = _build_one(context, settings, order, one, facts, index)
        manifest = _manifest(order.request, one, facts, made, calibrated)
        folder = cache.register(settings, manifest, order.work / one.key.module)
        if manifest.file != ONNX:
            (folder / ONNX).unlink()
    if order.work.exists():
        shutil.rmtree(order.work)
    result = EngineResult(engines=tuple(one.key.id for one in order.all), built=len(order.missing))
    return result.model_dump(mode="json")


def _build_one(
    context: JobContext,
    settings: Settings,
    order: Order,
    one: ModuleBuild,
    facts: dict[str, Any],
    index: int,
) -> dict[str, Any]:
    folder = order.work / one.key.module
    if one.key.runtime is Runtime.ONNXRUNTIME:
        made: dict[str, Any] = run_child(
            "backend.engines.try_onnx",
            {"onnx": str(folder / ONNX), "int8": one.key.precision is Precision.INT8},
            lambda news: None,
            context.check,
        )
        return made | {"file": ONNX}

    def on_news(news: dict[str, Any]) -> None:
        context.report("build", index * 100 + news["step"], len(order.missing) * 100)

    request = order.request
    part = f"{one.key.edition}-{one.key.version}-{one.key.gpu or one.key.target}"
    arguments = {
        "edition": one.key.edition,
        "onnx": str(folder / ONNX),
        "plan": str(folder / "engine.plan"),
        "shapes": input_shapes(facts["inputs"], facts["dynamic"], one.key.profile),
        "target": one.key.target,
        "optimization_level": request.optimization_level,
        "workspace_bytes": request.workspace_bytes,
        "weight_streaming": request.weight_streaming,
        "refit": request.refit,
        "timing_cache": str(settings.home / "timing" / part.replace(" ", "-")),
    }
    made = run_child("backend.engines.build", arguments, on_news, context.check)
    return made | {"file": "engine.plan"}


def _manifest(
    request: EngineRequest,
    one: ModuleBuild,
    facts: dict[str, Any],
    made: dict[str, Any],
    calibrated: dict[str, Any],
) -> EngineManifest:
    key = one.key
    return EngineManifest(
        id=key.id,
        model=key.model,
        module=key.module,
        precision=key.precision,
        runtime=key.runtime,
        edition=key.edition,
        version=key.version,
        target=key.target,
        gpu=key.gpu,
        sm_count=key.sm_count,
        profile=key.profile,
        file=made["file"],
        file_sha256=made["sha256"],
        onnx_sha256=facts["onnx_sha256"],
        model_fingerprint=key.fingerprint,
        calibration=calibrated.get("digest") if key.precision is not one.base else None,
        size_bytes=made["size_bytes"],
        build_s=made["build_s"],
        layer_count=made["layer_count"],
        relative_error=facts["relative_error"],
        created_at=time.time(),
        format=cache.FORMAT,
        request=request.model_copy(update={"module": key.module, "again": False}),
        shapes={
            name: tuple(tuple(shape) for shape in bounds)
            for name, bounds in input_shapes(facts["inputs"], facts["dynamic"], key.profile).items()
        },
    )
