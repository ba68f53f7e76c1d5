"""From the wizard's fields to a request for a picture model, and back."""

from backend.contracts import (
    ImageRecipeChoice,
    ImageRecipeLevel,
    ImageRecipes,
    QuantizeImagesRequest,
    Runtime,
    RuntimeChoice,
)
from ui.parts.quantize_form import PICTURES, QuantizeForm, checked, whole

USUAL = QuantizeImagesRequest(model="")
WHOLE = {
    "watched": "samples",
    "watched_steps": "calibration_steps",
    "picture_steps": "steps",
    **{name: name for name in ("count", "seed", "width", "height")},
}
"""Fields of whole numbers, and what a request calls them."""


def recipe_for(form: QuantizeForm, found: ImageRecipes) -> ImageRecipeChoice:
    """The chosen one, else the usual one or the first that is possible and runs here."""
    for recipe in found.recipes:
        if recipe.name == form.precision:
            return recipe
    return max(
        found.recipes,
        key=lambda one: (
            one.possible,
            bool(one.runtimes) and one.runtimes[0].runs_here,
            one.name == USUAL.recipe,
        ),
    )


def level_for(form: QuantizeForm, recipe: ImageRecipeChoice) -> ImageRecipeLevel | None:
    """The chosen one of those that the recipe has, else its usual one; None where it has none."""
    known = {f"{each.level:g}": each for each in recipe.levels}
    return known.get(form.level) or known.get(f"{recipe.level:g}" if recipe.level else "")


def runtime_for(form: QuantizeForm, recipe: ImageRecipeChoice) -> RuntimeChoice | None:
    """The chosen one of those that the recipe has, else its first."""
    asked = [one for one in recipe.runtimes if one.runtime == form.runtime]
    return next(iter((*asked, *recipe.runtimes)), None)


def images_request_of(form: QuantizeForm, recipe: ImageRecipeChoice) -> QuantizeImagesRequest:
    """Only what the recipe has is read. Raises StudioError INVALID_REQUEST."""
    level = level_for(form, recipe)
    runtime = runtime_for(form, recipe)
    on_gpu = runtime is not None and runtime.runtime is Runtime.TENSORRT
    values = {
        "model": form.wanted.removeprefix(PICTURES),
        "recipe": recipe.name.value,
        "level": level.level if level else None,
        "runtime": runtime.runtime.value if runtime else None,
        "target": (form.target or None) if on_gpu else None,
        "calibration": form.prompts or None,
        "prompts": form.compared or None,
        "guidance": form.guidance.strip() or None,
    }
    for name in ("smoothquant_alpha", "percentile"):
        if getattr(recipe, name) is not None:
            values[name] = getattr(form, name).strip() or None
    numbers = {
        asked: whole(name, getattr(form, name))
        for name, asked in WHOLE.items()
        if getattr(form, name).strip()
    }
    return checked(QuantizeImagesRequest, values | numbers)


def images_fields_of(request: QuantizeImagesRequest) -> dict[str, str]:
    """What the fields hold where a request came from them."""

    def told(name: str) -> str:
        value = getattr(request, name)
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    plain = ("level", "smoothquant_alpha", "percentile", "runtime", "target", "guidance")
    return {
        "model": f"{PICTURES}{request.model}",
        "other": "",
        "precision": request.recipe,
        "prompts": request.calibration or "",
        **({"own_prompts": request.calibration} if request.calibration else {}),
        "compared": request.prompts or "",
        **{name: told(name) for name in plain},
        **{name: told(asked) for name, asked in WHOLE.items()},
    }
