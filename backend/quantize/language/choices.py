"""Which recipes there are for a model on this machine, and what a job would need."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.chat.client.capabilities import TITLES
from backend.chat.servers.suitable import Format, Machine
from backend.contracts import (
    KvChoice,
    MemorySample,
    QuantizeRequest,
    RecipeChoice,
    ServerKind,
)
from backend.errors import Code, StudioError
from backend.hardware.capability import target_name
from backend.hardware.targets import part_name
from backend.language import Text, text
from backend.quantize.language.needs import place
from backend.quantize.language.order import (
    Source,
    size_of,
    size_view,
)
from backend.quantize.language.recipes import (
    KV_RECIPES,
    LANGUAGE_RECIPES,
    KvRecipe,
    LanguageRecipe,
)


@dataclass(frozen=True)
class Here:
    """What matters of this machine. `cuda` is the name of the GPU that torch computes on, or None;
    `machine` says what serves what."""

    cuda: str | None
    machine: Machine
    memory: MemorySample
    budget_bytes: int

    @property
    def place(self) -> str:
        return place(self.cuda is not None, self.memory)


def recipe_choices(
    source: Source | None,
    here: Here,
    kv: KvRecipe = KV_RECIPES["none"],
    leave_out: Sequence[str] = (),
) -> tuple[RecipeChoice, ...]:
    """All recipes in their order, those that are not offered too, with why; with sizes where the
    model is known."""
    return tuple(
        _choice(recipe, source, here, kv, leave_out) for recipe in LANGUAGE_RECIPES.values()
    )


def _choice(
    recipe: LanguageRecipe,
    source: Source | None,
    here: Here,
    kv: KvRecipe,
    leave_out: Sequence[str],
) -> RecipeChoice:
    reason, size = why_not(recipe, here.cuda is not None), None
    if source is not None:
        try:
            size = size_view(size_of(source, recipe, kv, leave_out))
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


def check_possible(recipe: LanguageRecipe, request: QuantizeRequest, cuda: bool) -> None:
    """Raises StudioError QUANTIZE_RECIPE_UNAVAILABLE."""
    reason = why_not(recipe, cuda)
    if request.effective_bits is not None and recipe.cuda and not cuda:
        reason = reason or text("quantize.search_needs_cuda")
    if reason is not None:
        raise StudioError(Code.QUANTIZE_RECIPE_UNAVAILABLE, recipe=recipe.title, reason=reason)
