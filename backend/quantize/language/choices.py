"""Which recipes there are for a model on this machine, and what a job would need."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.chat.client.capabilities import TITLES
from backend.chat.fetch import FILES, is_repository
from backend.chat.servers.suitable import Format, Machine
from backend.contracts import (
    DROP_CACHES,
    KvChoice,
    MemorySample,
    QuantizeCheck,
    QuantizePlan,
    QuantizeRequest,
    RecipeChoice,
    ServerKind,
)
from backend.errors import Code, StudioError
from backend.hardware.capability import target_name
from backend.hardware.software_checks import version
from backend.hardware.targets import part_name
from backend.language import Text, text
from backend.models.hub import make_plan
from backend.quantize.language.order import (
    Order,
    Source,
    check_target,
    disk_bytes,
    make_order,
    memory_bytes,
    size_of,
    size_view,
    target_of,
)
from backend.quantize.language.recipes import (
    KV_RECIPES,
    LANGUAGE_RECIPES,
    LanguageRecipe,
    find_recipe,
)
from backend.quantize.language.texts import chosen_rows, preview
from backend.settings import Settings

Finding = tuple[str, Text]
"""Status and detail of a check that found nothing in the way."""


@dataclass(frozen=True)
class Here:
    """What matters of this machine. `cuda` is the name of the GPU that torch computes on, or None;
    `machine` says what serves what."""

    cuda: str | None
    machine: Machine
    memory: MemorySample
    budget_bytes: int


def recipe_choices(source: Source | None, here: Here) -> tuple[RecipeChoice, ...]:
    """All recipes in their order, those that are not offered too, with why; with sizes where the
    model is known."""
    return tuple(_choice(recipe, source, here) for recipe in LANGUAGE_RECIPES.values())


def _choice(recipe: LanguageRecipe, source: Source | None, here: Here) -> RecipeChoice:
    reason, size = why_not(recipe, here.cuda is not None), None
    if source is not None:
        try:
            size = size_view(size_of(source, recipe, KV_RECIPES["none"], ()))
        except StudioError as error:
            reason = reason or text(f"error.{error.code}.message", **error.info.values)
    weights_only = here.cuda is None and "evaluate" in recipe.cuda
    possible = text("quantize.weights_only" if weights_only else "quantize.possible")
    return RecipeChoice(
        name=recipe.name,
        title=recipe.title,
        algorithm=recipe.algorithm,
        possible=reason is None,
        reason=reason or possible,
        needs_text=recipe.passes > 0,
        scored="weights_only" if weights_only else "quantised",
        servers=servers_of(recipe),
        parts=parts_of(recipe),
        serves_here=_serves(recipe.served, here.machine),
        quality=recipe.quality,
        size=size,
    )


def kv_choices() -> tuple[KvChoice, ...]:
    return tuple(
        KvChoice(
            name=each.name,
            algorithm=each.algorithm,
            effect=each.effect,
            possible=each.hidden is None,
            reason=each.hidden or text("quantize.possible"),
        )
        for each in KV_RECIPES.values()
    )


def why_not(recipe: LanguageRecipe, cuda: bool) -> Text | None:
    """Why a recipe cannot be made on a machine with or without CUDA; None where it can."""
    if recipe.hidden is not None:
        return recipe.hidden
    if "calibrate" in recipe.cuda and not cuda:
        return text("quantize.needs_cuda")
    return None


def servers_of(recipe: LanguageRecipe) -> tuple[str, ...]:
    kinds = recipe.served.kinds if recipe.served else frozenset()
    return tuple(title for kind, title in TITLES.items() if kind in kinds)


def parts_of(recipe: LanguageRecipe) -> tuple[str, ...]:
    capabilities = sorted(recipe.served.parts) if recipe.served else []
    names = [part_name(target_name(each)) for each in capabilities]
    return tuple(dict.fromkeys(names))


def _serves(form: Format | None, machine: Machine) -> bool:
    if form is None or machine.capability not in form.parts:
        return False
    return any(kind not in machine.missing for kind in form.kinds if kind is not ServerKind.OUTSIDE)


def plan_quantisation(settings: Settings, request: QuantizeRequest, here: Here) -> QuantizePlan:
    """What a job would do, and all that is in its way; nothing is written but a probe of the
    folder. Asks the hub about a model that is not here."""
    checks: list[QuantizeCheck] = []

    def look(name: str, find: Callable[[], Finding]) -> None:
        try:
            status, detail = find()
            checks.append(QuantizeCheck(name=name, status=status, detail=detail))
        except StudioError as error:
            detail = text(f"error.{error.code}.message", **error.info.values)
            checks.append(QuantizeCheck(name=name, status="fail", detail=detail, error=error.info))

    order: Order | None = None
    target = target_of(settings, request)

    def model() -> Finding:
        nonlocal order
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

    look("model", model)
    look("recipe", lambda: _recipe(request, order, here))
    look("text", lambda: _text(settings, request))
    look("out", lambda: _out(target, request))
    if order is None and is_repository(request.model):
        look("hub", lambda: _hub(request.model))
    if order is not None:
        known = order
        look("disk", lambda: _disk(known))
        look("memory", lambda: _memory(known, here))
    look("device", lambda: _device(request, here))
    look("versions", _versions)
    return QuantizePlan(
        model=request.model,
        recipe=request.recipe,
        size=size_view(order.size) if order else None,
        memory_bytes=memory_bytes(order) if order else None,
        disk_bytes=disk_bytes(order) if order else None,
        device=here.cuda or "CPU",
        out=str(target),
        checks=tuple(checks),
    )


def check_possible(recipe: LanguageRecipe, request: QuantizeRequest, cuda: bool) -> None:
    """Raises StudioError QUANTIZE_RECIPE_UNAVAILABLE."""
    reason = why_not(recipe, cuda)
    if request.effective_bits is not None and recipe.cuda and not cuda:
        reason = reason or text("quantize.search_needs_cuda")
    if reason is not None:
        raise StudioError(Code.QUANTIZE_RECIPE_UNAVAILABLE, recipe=recipe.title, reason=reason)


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
    calibrated = find_recipe(request.recipe).passes or request.effective_bits is not None
    if not calibrated and request.kv_cache != "fp8":
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


def _hub(repository: str) -> Finding:
    make_plan(repository, patterns=FILES)
    return "ok", text("quantize.check.hub")


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
    needed = memory_bytes(order)
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
