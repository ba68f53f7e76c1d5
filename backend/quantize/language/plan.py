"""What a job would do and need, and what is in its way, found out without doing it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from backend.chat.fetch import is_repository
from backend.contracts import (
    DROP_CACHES,
    Fit,
    QuantizeCheck,
    QuantizePlan,
    QuantizeRequest,
)
from backend.errors import Code, StudioError
from backend.hardware.software_checks import version
from backend.language import Text, text
from backend.models.hub import free_disk
from backend.quantize.language.choices import Here, check_possible, why_not
from backend.quantize.language.facts import Asked
from backend.quantize.language.needs import disk_bytes, memory_bytes
from backend.quantize.language.order import (
    Order,
    check_target,
    make_order,
    size_of,
    size_view,
    target_of,
)
from backend.quantize.language.recipes import (
    LANGUAGE_RECIPES,
    LanguageRecipe,
    find_kv_recipe,
    find_recipe,
    needs_text,
)
from backend.quantize.language.texts import chosen_rows, preview
from backend.settings import Settings

Finding = tuple[str, Text]
"""Status and detail of a check that found nothing in the way."""
SHORTEST, MOST_FITS = 64, 3


def plan_quantisation(
    settings: Settings,
    request: QuantizeRequest,
    here: Here,
    hub: Callable[[], Asked | None] = lambda: None,
    earlier: Sequence[float] = (),
) -> QuantizePlan:
    """What a job would do, and all that is in its way; nothing is written but a probe of the
    folder. `hub` tells what is known there of a model that is not here, None where it was not
    asked; `earlier` are the seconds of earlier jobs of this model and recipe."""
    checks: list[QuantizeCheck] = []

    def look(name: str, find: Callable[[], Finding]) -> None:
        try:
            status, detail = find()
            checks.append(QuantizeCheck(name=name, status=status, detail=detail))
        except StudioError as error:
            detail = text(f"error.{error.code}.message", **error.info.values)
            checks.append(QuantizeCheck(name=name, status="fail", detail=detail, error=error.info))

    order: Order | None = None
    absent = False
    target = target_of(settings, request)

    def model() -> Finding:
        nonlocal order, absent
        try:
            order = make_order(settings, request)
        except StudioError as error:
            absent = error.code is Code.CHAT_MODEL_NOT_FOUND and is_repository(request.model)
            if not absent:
                raise
            return "ok", text("quantize.check.not_here", model=request.model)
        found = order.source.model
        return "ok", text(
            "quantize.check.model",
            model=found.name,
            architecture=found.architecture,
            source_bytes=order.size.source,
        )

    def fetch() -> Finding:
        nonlocal order
        asked = hub()
        if asked is None:
            return "warn", text("quantize.check.not_asked")
        problem = asked.facts.problem
        if problem is not None:
            raise StudioError(problem.code, problem.detail, **problem.values)
        missing = asked.facts.missing_bytes or 0
        free_disk(missing)
        order = make_order(settings, request, asked.source)
        return "ok", text("quantize.check.hub", missing_bytes=missing)

    look("model", model)
    if absent:
        look("hub", fetch)
    look("recipe", lambda: _recipe(request, order, here))
    look("text", lambda: _text(settings, request))
    look("out", lambda: _out(target, request))
    known = order
    if known is not None:
        look("disk", lambda: _disk(known))
        look("memory", lambda: _memory(known, here))
    look("device", lambda: _device(request, here))
    look("versions", _versions)
    look("time", lambda: _time(earlier))
    return QuantizePlan(
        model=request.model,
        recipe=request.recipe,
        size=size_view(order.size) if order else None,
        memory_bytes=memory_bytes(order, here.place) if order else None,
        disk_bytes=disk_bytes(order) if order else None,
        device=here.cuda or "CPU",
        out=str(target),
        checks=tuple(checks),
        fits=what_fits(known, here, here.budget_bytes) if known else (),
    )


def what_fits(order: Order, here: Here, limit_bytes: int) -> tuple[Fit, ...]:
    """What would do with so much memory where the request does not: smaller batches and then
    shorter sequences with its recipe, else other recipes at a batch of one."""
    if memory_bytes(order, here.place) <= limit_bytes:
        return ()
    request, own, others = order.request, list[Fit](), list[Fit]()
    batch, length = request.batch, request.length
    while not own and (batch > 1 or length > SHORTEST):
        batch, length = (batch // 2, length) if batch > 1 else (1, max(length // 2, SHORTEST))
        own += _fit(order, order.recipe, batch, length, limit_bytes, here.place)
    for recipe in LANGUAGE_RECIPES.values():
        if recipe is not order.recipe and why_not(recipe, here.cuda is not None) is None:
            others += _fit(order, recipe, 1, request.length, limit_bytes, here.place)
    return (*own, *others[: MOST_FITS - len(own)])


def _fit(
    order: Order, recipe: LanguageRecipe, batch: int, length: int, limit_bytes: int, at: str
) -> list[Fit]:
    """One, or none where it does not fit or there is nothing for the recipe to quantise."""
    changes = {"recipe": recipe.name, "batch": batch, "length": length}
    request = order.request.model_copy(update=changes)
    try:
        size = size_of(order.source, recipe, order.kv, request.leave_out)
    except StudioError:
        return []
    needed = memory_bytes(replace(order, request=request, recipe=recipe, size=size), at)
    fits = needed <= limit_bytes
    return [Fit(memory_bytes=needed, **changes)] if fits else []


def _recipe(request: QuantizeRequest, order: Order | None, here: Here) -> Finding:
    recipe = find_recipe(request.recipe)
    check_possible(recipe, request, here.cuda is not None)
    if order is None:
        return "ok", recipe.quality
    return "ok", text(
        "quantize.check.recipe", layers=len(order.size.layers), whole_bytes=order.size.whole
    )


def _text(settings: Settings, request: QuantizeRequest) -> Finding:
    kept, _ = chosen_rows(settings.home, request.calibration, request.evaluation)
    recipe, kv = find_recipe(request.recipe), find_kv_recipe(request.kv_cache)
    if not needs_text(recipe, kv, request.effective_bits is not None):
        return "ok", text("quantize.check.no_text")
    seen = preview(request.calibration, kept)
    if seen.warnings:
        return "warn", seen.warnings[0]
    return "ok", text("quantize.check.text", rows=seen.rows, characters=seen.characters)


def _out(target: Path, request: QuantizeRequest) -> Finding:
    check_target(target, request.replace)
    if target.exists():
        return "warn", text("quantize.check.replace", path=str(target))
    return "ok", text("quantize.check.out", path=str(target))


def _disk(order: Order) -> Finding:
    needed = disk_bytes(order)
    place = next(each for each in order.target.parents if each.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StudioError(
            Code.QUANTIZE_DISK_LOW, path=str(place), needed_bytes=needed, free_bytes=free
        )
    return "ok", text("quantize.check.disk", needed_bytes=needed, free_bytes=free)


def _memory(order: Order, here: Here) -> Finding:
    needed = memory_bytes(order, here.place)
    if needed > here.budget_bytes:
        raise StudioError(
            Code.MODEL_TOO_LARGE,
            variant=f"{order.source.model.name}/{order.recipe.name}",
            needed_bytes=needed,
            budget_bytes=here.budget_bytes,
            busy_bytes=0,
        )
    if here.memory.page_cache_trap:
        return "warn", text("quantize.check.page_cache", needed_bytes=needed, command=DROP_CACHES)
    return "ok", text("quantize.check.memory", needed_bytes=needed, budget_bytes=here.budget_bytes)


def _device(request: QuantizeRequest, here: Here) -> Finding:
    if here.cuda is not None:
        return "ok", text("quantize.check.device_cuda", name=here.cuda)
    if "evaluate" in find_recipe(request.recipe).cuda:
        return "warn", text("quantize.check.weights_only")
    return "ok", text("quantize.check.device_cpu")


def _versions() -> Finding:
    found = {name: version(name) for name in ("nvidia-modelopt", "transformers", "torch")}
    return "ok", text(
        "quantize.check.versions",
        modelopt=found["nvidia-modelopt"] or "-",
        transformers=found["transformers"] or "-",
        torch=found["torch"] or "-",
    )


def _time(earlier: Sequence[float]) -> Finding:
    if not earlier:
        return "ok", text("quantize.check.time_unknown")
    if len(earlier) == 1:
        return "ok", text("quantize.check.time_once", time_s=earlier[0])
    return "ok", text(
        "quantize.check.time", count=len(earlier), least_s=min(earlier), most_s=max(earlier)
    )
