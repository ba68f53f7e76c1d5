"""What a job that quantises a picture model would do, and all that is in its way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from backend.contracts import (
    DROP_CACHES,
    BuildEstimate,
    EngineRequest,
    FetchPlan,
    ImageQuantizePlan,
    MemorySample,
    QuantizeCheck,
    QuantizeImagesRequest,
)
from backend.engines.cache import Host
from backend.engines.plan import plan_builds
from backend.errors import Code, StudioError
from backend.hardware.software_checks import version
from backend.hardware.targets import part_name
from backend.language import Text, text
from backend.models.catalog import Entry
from backend.quantize.images.needs import picture_needs
from backend.quantize.images.order import (
    ImageOrder,
    check_pictures,
    chosen_prompts,
    filled,
    make_order,
    the_picture_model,
)
from backend.settings import Settings

Finding = tuple[str, Text]
"""Status and detail of a check that found nothing in the way."""
PACKAGES = ("nvidia-modelopt", "diffusers", "torch", "onnxruntime")
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """Who is asked what a build takes: the engines' estimate, the hub, and this machine."""

    host: Host
    memory: MemorySample
    limit_bytes: int
    estimate: Callable[[EngineRequest], BuildEstimate]
    fetch: Callable[[EngineRequest], FetchPlan | None]
    """None where the hub has not been asked."""


class Checks:
    """Looks at one thing after another; none that fails keeps the next from being looked at."""

    def __init__(self) -> None:
        self.found: list[QuantizeCheck] = []

    def look(self, name: str, find: Callable[[], Finding]) -> None:
        try:
            status, detail = find()
            error = None
        except StudioError as raised:
            status, error = "fail", raised.info
            detail = text(f"error.{raised.code}.message", **raised.info.values)
        check = {"name": name, "status": status, "detail": detail, "error": error}
        self.found.append(QuantizeCheck.model_validate(check))


def plan_images(
    settings: Settings, request: QuantizeImagesRequest, asked: Asked
) -> ImageQuantizePlan:
    """Raises nothing: what is wrong is in the checks."""
    checks = Checks()
    entry = _tried(lambda: the_picture_model(settings, request.model))
    checks.look("model", lambda: _model(the_picture_model(settings, request.model)))
    if entry is None:
        return _plan(request, None, None, asked, checks)
    known = _tried(lambda: filled(settings, request, entry, asked.host))
    order = _tried(lambda: make_order(settings, request, asked.host))
    checks.look("recipe", lambda: _recipe(settings, request, entry, order, asked.host))
    estimate = None if known is None else _tried(lambda: asked.estimate(known.engines))
    if known is not None:
        checks.look("text", lambda: _text(settings, known, entry))
        checks.look("pictures", lambda: _pictures(known, entry, order))
    if known is not None and entry.folder is None:
        checks.look("hub", lambda: _hub(asked.fetch(known.engines)))
    if order is not None and estimate is not None:
        checks.look("disk", lambda: _disk(settings, order, estimate))
        checks.look("memory", lambda: _memory(order, estimate, asked))
    checks.look("device", lambda: _device(asked.host))
    checks.look("versions", _versions)
    return _plan(known or request, order, estimate, asked, checks)


def _plan(
    request: QuantizeImagesRequest,
    order: ImageOrder | None,
    estimate: BuildEstimate | None,
    asked: Asked,
    checks: Checks,
) -> ImageQuantizePlan:
    return ImageQuantizePlan(
        model=request.model,
        recipe=request.recipe,
        request=request,
        size=order.size if order else None,
        engines=estimate,
        memory_bytes=peak_bytes(order, estimate) if order and estimate else None,
        disk_bytes=disk_bytes(order, estimate) if order and estimate else None,
        simulated=order.simulated if order else None,
        prompts=tuple(dict.fromkeys(order.prompts)) if order else (),
        device=asked.host.gpu or "CPU",
        checks=tuple(checks.found),
    )


def _tried(find: Callable[[], T]) -> T | None:
    """What is found, or None: a check of its own says what is wrong."""
    try:
        return find()
    except StudioError:
        return None


def peak_bytes(order: ImageOrder, estimate: BuildEstimate) -> int:
    return max(estimate.memory_bytes, *(one.memory_bytes for one in picture_needs(order).values()))


def disk_bytes(order: ImageOrder, estimate: BuildEstimate) -> int:
    """Beside what is fetched, which lies elsewhere."""
    pictures = sum(one.disk_bytes for one in picture_needs(order).values())
    return estimate.onnx_bytes + estimate.engine_bytes + pictures


def _model(entry: Entry) -> Finding:
    if entry.folder is None:
        return "ok", text("quantize.check.not_here", model=entry.name)
    return "ok", text(
        "quantize.check.model",
        model=entry.name,
        architecture=entry.family.pipeline_class,
        source_bytes=entry.size_bytes,
    )


def _recipe(
    settings: Settings,
    request: QuantizeImagesRequest,
    entry: Entry,
    order: ImageOrder | None,
    host: Host,
) -> Finding:
    known = filled(settings, request, entry, host)
    plan_builds(known.engines, entry, host)
    if order is None:
        return "ok", text("quantize_images.check.level", level=f"{known.level or 0:g}")
    size = order.size
    return "ok", text("quantize.check.recipe", layers=size.layers, whole_bytes=size.whole_bytes)


def _text(settings: Settings, request: QuantizeImagesRequest, entry: Entry) -> Finding:
    chosen = chosen_prompts(settings, request, entry)
    return "ok", text(
        "quantize_images.check.prompts",
        samples=request.samples or 0,
        steps=request.calibration_steps or 0,
        prompts=len(set(chosen)),
    )


def _pictures(request: QuantizeImagesRequest, entry: Entry, order: ImageOrder | None) -> Finding:
    check_pictures(request, entry)
    if order is not None and order.simulated:
        key = order.denoiser.key
        return "warn", text(
            "quantize_images.check.simulated", name=part_name(key.target), target=key.target
        )
    size = f"{request.width} × {request.height}"
    return "ok", text("quantize_images.check.pictures", pictures=request.count, size=size)


def _hub(plan: FetchPlan | None) -> Finding:
    if plan is None:
        return "warn", text("quantize.check.not_asked")
    if plan.problem is not None:
        raise StudioError(plan.problem.code, plan.problem.detail, **plan.problem.values)
    return "ok", text("quantize.check.hub")


def _disk(settings: Settings, order: ImageOrder, estimate: BuildEstimate) -> Finding:
    check_disk(settings, order, estimate)
    needed, free = disk_bytes(order, estimate), estimate.disk_free_bytes
    return "ok", text("quantize.check.disk", needed_bytes=needed, free_bytes=free)


def check_disk(settings: Settings, order: ImageOrder, estimate: BuildEstimate) -> None:
    """Raises StudioError ENGINE_DISK_SPACE_LOW."""
    needed, free = disk_bytes(order, estimate), estimate.disk_free_bytes
    if needed > free:
        raise StudioError(
            Code.ENGINE_DISK_SPACE_LOW,
            path=str(settings.home),
            needed_bytes=needed,
            free_bytes=free,
        )


def _memory(order: ImageOrder, estimate: BuildEstimate, asked: Asked) -> Finding:
    check_memory(order, estimate, asked.limit_bytes)
    needed, limit = peak_bytes(order, estimate), asked.limit_bytes
    if asked.memory.page_cache_trap:
        return "warn", text("quantize.check.page_cache", needed_bytes=needed, command=DROP_CACHES)
    return "ok", text("quantize.check.memory", needed_bytes=needed, budget_bytes=limit)


def check_memory(order: ImageOrder, estimate: BuildEstimate, limit_bytes: int) -> None:
    """Raises StudioError BUILD_MEMORY_LOW."""
    needed = peak_bytes(order, estimate)
    if needed > limit_bytes:
        raise StudioError(Code.BUILD_MEMORY_LOW, needed_bytes=needed, limit_bytes=limit_bytes)


def _device(host: Host) -> Finding:
    if host.gpu is not None:
        return "ok", text("quantize.check.device_cuda", name=host.gpu)
    return "ok", text("quantize.check.device_cpu")


def _versions() -> Finding:
    found = {name.removeprefix("nvidia-"): version(name) or "-" for name in PACKAGES}
    return "ok", text("quantize_images.check.versions", **found)
