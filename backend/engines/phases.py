"""The phases of a job that builds engines: calibrate, export, build.

Each leaves files that the next one finds, so that a killed worker goes on where it was. Engines
that are already there are not built again: the second of two equal jobs finds those of the first.
"""

import hashlib
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.contracts import (
    EngineManifest,
    EngineProfile,
    EngineRequest,
    EngineResult,
    EngineSource,
    JobKind,
    Runtime,
)
from backend.engines import cache
from backend.engines.host import this_host
from backend.engines.needs import Needs, calibrate_needs, exports_folder, phase_needs
from backend.engines.options import prompts_of, recipe_of
from backend.engines.plan import ModuleBuild, plan_builds
from backend.engines.request import engine_request
from backend.engines.shapes import input_shapes
from backend.engines.take import take_preexported
from backend.engines.validated import Validation, reference_file, validated
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import Text, text
from backend.models.catalog import Entry, find_model
from backend.models.files import corrupted
from backend.settings import Settings

CANCEL_GRACE_S = 2.0
"""How long a builder may take to stop by itself (docs/engines.md)."""


@dataclass(frozen=True)
class Order:
    """A request made definite on this machine."""

    request: EngineRequest
    entry: Entry
    missing: tuple[ModuleBuild, ...]
    all: tuple[ModuleBuild, ...]
    work: Path
    quantised: ModuleBuild | None
    """What is to be calibrated; also where its engine is there already but its pictures are to be
    simulated."""

    @property
    def profile(self) -> EngineProfile:
        profile = self.all[0].key.profile
        assert profile is not None
        return profile

    @property
    def folder(self) -> str:
        return str(self.entry.folder)


def order_of(context: JobContext, settings: Settings) -> Order:
    request = engine_request(context.row)
    entry = find_model(settings, request.model)
    host = this_host()
    builds = plan_builds(request, entry, host)
    if not all(build.key.fingerprint for build in builds):
        raise corrupted(entry.id, "it is not on this machine")
    since = context.row.created_at if request.again else 0.0
    valid = {
        engine.manifest.id
        for engine in cache.list_engines(settings, host)
        if engine.usable and engine.manifest.created_at >= since
    }
    missing = tuple(build for build in builds if build.key.id not in valid)
    watched = builds if context.row.kind is JobKind.QUANTIZE_IMAGES else missing
    return Order(
        request=request,
        entry=entry,
        missing=missing,
        all=builds,
        work=settings.home / "engines" / f".{context.row.id}",
        quantised=next((one for one in watched if one.key.precision is not one.base), None),
    )


def needs_of(context: JobContext, settings: Settings) -> dict[str, Needs]:
    """What each phase with something left to do needs."""
    order = order_of(context, settings)
    on_gpu = this_host().gpu is not None
    found = phase_needs(settings, order.entry, order.missing, on_gpu)
    if order.quantised is not None:
        found["calibrate"] = calibrate_needs(order.entry, on_gpu)
        if calibration_file(settings, order).exists():
            del found["calibrate"]
    return found


def calibration_file(settings: Settings, order: Order) -> Path:
    """Where the calibration of these weights by this recipe on these prompts is kept."""
    build = order.quantised
    assert build is not None
    recipe = recipe_of(order.request, order.entry)
    prompts = cache.sha256_of(prompts_of(settings, order.request, order.entry))
    made_of = f"{build.key.fingerprint}\n{recipe}\n{prompts}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    name = f"{order.entry.id}.{build.key.precision}.{digest}.safetensors"
    return settings.home / "calibrations" / name


def calibrate(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Watch the denoiser, unless the same was watched before."""
    order = order_of(context, settings)
    if order.quantised is None:
        return {}
    file = calibration_file(settings, order)
    if not file.exists():
        context.report("calibrate")
        limits = order.entry.limits
        arguments = {
            "model": order.entry.id,
            "folder": order.folder,
            "family": order.entry.family.name,
            "recipe": asdict(recipe_of(order.request, order.entry)),
            "prompts": str(prompts_of(settings, order.request, order.entry)),
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


def export(context: JobContext, settings: Settings, calibrated: dict[str, Any]) -> list[Any]:
    """ONNX files of the modules whose engines are missing."""
    order = order_of(context, settings)
    if not order.missing:
        return []
    if order.request.source is EngineSource.PREEXPORTED:
        return take_preexported(
            context, order.entry, order.request, order.profile, order.missing, order.work
        )
    context.report("export", 0, 2 * len(order.missing))

    def on_news(news: dict[str, Any]) -> None:
        module, doing = news.get("module"), "job.checking" if "check" in news else "job.exporting"
        message = text(doing, module=module) if module else None
        context.report("export", news["step"], news["total"], message=message)

    profile = order.profile
    arguments = {
        "model": order.entry.id,
        "folder": order.folder,
        "sample_size": [profile.smallest[0], profile.opt_height],
        "exports": str(exports_folder(settings, order.entry, order.all)),
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
        proof = validated(one.key, facts, made, order.work, context.check)
        manifest = _manifest(order.request, one, facts, made, calibrated, proof)
        folder = cache.register(settings, manifest, order.work / one.key.module)
        if manifest.file != cache.ONNX:
            for file in (folder / cache.ONNX, cache.data_file(folder / cache.ONNX)):
                file.unlink(missing_ok=True)
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
    shapes = input_shapes(facts["inputs"], facts["dynamic"], order.profile)
    if one.key.runtime is Runtime.ONNXRUNTIME:
        made: dict[str, Any] = run_child(
            "backend.engines.try_onnx",
            {
                "onnx": str(folder / cache.ONNX),
                "precision": one.key.precision,
                "reference": str(reference_file(order.work, one.key.module)),
            },
            lambda news: None,
            context.check,
        )
        return made | {"file": cache.ONNX, "shapes": shapes}

    def on_news(news: dict[str, Any]) -> None:
        context.report("build", index * 100 + news["step"], len(order.missing) * 100)

    request = order.request
    part = f"{one.key.edition}-{one.key.version}-{one.key.gpu or one.key.target}"
    arguments = {
        "edition": one.key.edition,
        "onnx": facts.get("onnx") or str(folder / cache.ONNX),
        "plan": str(folder / "engine.plan"),
        "shapes": shapes,
        "target": one.key.target,
        "optimization_level": request.optimization_level,
        "workspace_bytes": request.workspace_bytes,
        "weight_streaming": request.weight_streaming,
        "refit": request.refit,
        "timing_cache": str(settings.home / "timing" / part.replace(" ", "-")),
    }
    made = run_child(
        "backend.engines.build", arguments, on_news, context.check, grace_s=CANCEL_GRACE_S
    )
    return made | {"file": "engine.plan", "shapes": shapes}


def _manifest(
    request: EngineRequest,
    one: ModuleBuild,
    facts: dict[str, Any],
    made: dict[str, Any],
    calibrated: dict[str, Any],
    proof: Validation,
) -> EngineManifest:
    key = one.key
    made_of: dict[str, Any] = {"precision": key.precision} | facts.get("manifest", {})
    return EngineManifest(
        id=key.id,
        model=key.model,
        module=key.module,
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
        check=Text.model_validate(facts["check"]),
        validated=proof.validated,
        validation=proof.reason,
        created_at=time.time(),
        format=cache.FORMAT,
        request=request.model_copy(update={"module": key.module, "again": False}),
        shapes=made.get("shapes", {}),
        **made_of,
    )
