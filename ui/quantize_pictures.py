"""The wizard's steps for picture models: what each asks of the studio, and how it is drawn."""

from typing import TYPE_CHECKING

from backend.contracts import (
    BuildTarget,
    ImagePrompts,
    ImageRecipeChoice,
    QuantizeImagesRequest,
    Runtime,
)
from backend.errors import ErrorInfo, StudioError
from ui.i18n import t
from ui.parts.quantize_form import PICTURES, Page, QuantizeForm, Sort
from ui.parts.quantize_frame import note
from ui.parts.quantize_images_form import images_request_of, recipe_for, runtime_for
from ui.parts.quantize_images_model import picture_facts
from ui.parts.quantize_images_preflight import images_preflight_step
from ui.parts.quantize_images_recipe import images_recipe_step
from ui.parts.quantize_images_text import images_text_step

if TYPE_CHECKING:
    from backend.studio import Studio


def _model(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    model = studio.models.find(_name(form))
    found = studio.quantize_images.choices(model.id, owner)
    return Page(picture_facts(model, found, language), any(one.possible for one in found.recipes))


def _recipe(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    found = studio.quantize_images.choices(_name(form), owner)
    chosen = recipe_for(form, found)
    runtime = runtime_for(form, chosen)
    targets: tuple[BuildTarget, ...] = ()
    if runtime is not None and runtime.runtime is Runtime.TENSORRT:
        targets = studio.engines.targets(Runtime.TENSORRT)
    return Page(images_recipe_step(form, found, chosen, targets, language), chosen.possible)


def _calibration(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    recipe = _chosen(studio, form, owner)
    found: ImagePrompts | ErrorInfo
    try:
        found = studio.quantize_images.prompts(images_request_of(form, recipe))
    except StudioError as error:
        found = error.info
    model = studio.models.find(_name(form))
    html = images_text_step(form, recipe, model, found, language)
    return Page(html, heading="_pictures")


def _preflight(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    plan = studio.quantize_images.plan(_request(studio, form, owner), ask=bool(form.ask))
    return Page(images_preflight_step(plan, language), plan.problem is None)


def _run(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    """The job itself comes with the page's news."""
    return Page("" if form.job else note(t("page.quantize.no_job", language)))


def _start(studio: "Studio", form: QuantizeForm, owner: str) -> str:
    return studio.quantize_images.quantize(_request(studio, form, owner), owner)


def told_of_pictures(studio: "Studio", form: QuantizeForm, owner: str) -> dict[str, str]:
    """What was chosen in each step, in few words. Raises StudioError as the steps do."""
    request = _request(studio, form, owner)
    level = "" if request.level is None else f" · {request.level:g}"
    recipe = _chosen(studio, form, owner)
    watched = request.samples or recipe.samples
    return {
        "recipe": f"{request.recipe.upper()}{level}",
        "calibration": f"{watched} × {request.calibration_steps or recipe.steps}",
    }


def _name(form: QuantizeForm) -> str:
    return form.wanted.removeprefix(PICTURES)


def _chosen(studio: "Studio", form: QuantizeForm, owner: str) -> ImageRecipeChoice:
    return recipe_for(form, studio.quantize_images.choices(_name(form), owner))


def _request(studio: "Studio", form: QuantizeForm, owner: str) -> QuantizeImagesRequest:
    return images_request_of(form, _chosen(studio, form, owner))


PICTURE = Sort(_model, _recipe, _calibration, _preflight, _run, _start)
