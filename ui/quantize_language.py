"""The wizard's steps for language models: what each asks of the studio, and how it is drawn."""

from typing import TYPE_CHECKING

from backend.contracts import CalibrationPreview, JobState, QuantizeRequest
from backend.errors import Code, StudioError
from ui.i18n import t
from ui.parts.error_card import error_card
from ui.parts.quantize_form import Page, QuantizeForm, Sort, request_of
from ui.parts.quantize_frame import note
from ui.parts.quantize_model import model_facts
from ui.parts.quantize_preflight import fits, preflight_step
from ui.parts.quantize_recipe import recipe_step
from ui.parts.quantize_text import text_step

if TYPE_CHECKING:
    from backend.studio import Studio

OF_MEMORY = (Code.QUANTIZE_OUT_OF_MEMORY, Code.OUT_OF_MEMORY, Code.MODEL_TOO_LARGE)


def _model(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    try:
        facts = studio.quantize.facts(form.wanted, owner)
    except StudioError as error:
        return Page(error_card(error.info, language, key="error-model"), ready=False)
    usable = facts.problem is None
    recipes = studio.quantize.recipes(form.wanted, owner) if usable else ()
    repository = "/" in facts.name and not facts.name.startswith("/")
    return Page(model_facts(facts, recipes, repository, language), usable)


def _recipe(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    ask = studio.quantize.recipes
    recipes = ask(form.wanted, owner, form.kv_cache, form.patterns)
    chosen = next((each for each in recipes if each.name == form.recipe), recipes[0])
    plain = ask(form.wanted, owner, form.kv_cache) if form.patterns else recipes
    whole = next(each.size for each in plain if each.name == chosen.name)
    caches = studio.quantize.kv_caches()
    return Page(recipe_step(form, recipes, chosen, whole, caches, language), chosen.possible)


def _calibration(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    own = _kept(studio, form.own_text)
    texts = (*studio.quantize.texts(), *([own] if own else []))
    chosen = next((each for each in texts if each.name == form.calibration), texts[0])
    scored_on = _kept(studio, form.evaluation)
    searched = bool(form.effective_bits.strip())
    needed = studio.quantize.needs_text(form.recipe, form.kv_cache, searched)
    datasets = studio.quantize.reads_datasets()
    return Page(text_step(form, texts, chosen, scored_on, needed, datasets, language))


def _kept(studio: "Studio", name: str) -> CalibrationPreview | None:
    """None for none, and for one that is kept no longer."""
    try:
        return studio.quantize.text(name) if name else None
    except StudioError:
        return None


def _preflight(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    plan = studio.quantize.plan(request_of(form), owner, ask=False)
    html = preflight_step(form, plan, studio.settings.auth is None, language)
    return Page(html, plan.problem is None)


def _run(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> Page:
    """What would fit, where memory was not enough; the job itself comes with the page's news."""
    if not form.job:
        return Page(note(t("page.quantize.no_job", language)))
    job = studio.jobs.get(form.job, owner)
    if job.state is not JobState.FAILED or job.error is None or job.error.code not in OF_MEMORY:
        return Page("")
    found = studio.quantize.fits(QuantizeRequest.model_validate(job.request), owner)
    return Page(fits(found, language) or note(t("page.quantize.nothing_fits", language), "warn"))


def _start(studio: "Studio", form: QuantizeForm, owner: str) -> str:
    return studio.quantize.quantize(request_of(form), owner)


LANGUAGE = Sort(_model, _recipe, _calibration, _preflight, _run, _start)
