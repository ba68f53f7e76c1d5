"""The third step for picture models: prompts to calibrate on, and pictures to compare."""

from backend.contracts import ImagePrompts, ImageRecipeChoice, Model
from backend.errors import ErrorInfo
from ui.i18n import t
from ui.parts.error_card import error_card
from ui.parts.markup import button, esc, icon
from ui.parts.quantize_form import QuantizeForm
from ui.parts.quantize_frame import field
from ui.parts.quantize_images_form import USUAL

MOST_SHOWN = 12


def images_text_step(
    form: QuantizeForm,
    recipe: ImageRecipeChoice,
    model: Model,
    found: ImagePrompts | ErrorInfo,
    language: str,
) -> str:
    """`found` are the prompts, or what is wrong with them."""
    legend = esc(t("page.quantize.prompts", language))
    if isinstance(found, ErrorInfo):
        preview = error_card(found, language, key="error-prompts")
    else:
        preview = _preview("watched", found.watched, language)
        preview += _preview("compared", found.compared, language)
    return (
        f'<div class="q-columns"><div class="q-list"><fieldset class="q-choices">'
        f"<legend>{legend}</legend>{_choices(form, language)}</fieldset>{_drop(language)}{preview}"
        f'</div><aside class="q-aside">{_watched(form, recipe, language)}'
        f"{_pictures(form, model, language)}</aside></div>"
    )


def _choices(form: QuantizeForm, language: str) -> str:
    own = form.prompts or form.own_prompts
    rows = _choice("", t("page.quantize.prompts_usual", language), not form.prompts,
                   t("page.quantize.prompts_usual_about", language))  # fmt: skip
    if own:
        name = form.own_prompts_file or t("page.quantize.prompts_own", language)
        rows += _choice(own, name, bool(form.prompts), t("page.quantize.prompts_own", language))
    return rows


def _choice(value: str, name: str, chosen: bool, about: str) -> str:
    return (
        f'<label class="q-choice" data-key="prompts-{esc(value)}"><input type="radio" '
        f'name="prompts" value="{esc(value)}"{" checked" if chosen else ""}>'
        f'<span><strong dir="auto">{esc(name)}</strong><small>{esc(about)}</small></span></label>'
    )


def _drop(language: str) -> str:
    return (
        f'<label class="q-drop s-file" data-key="drop-prompts">{icon("reuse")}'
        f"<span>{esc(t('page.quantize.drop', language))}"
        f"<small>{esc(t('page.quantize.prompts_hint', language))}</small></span>"
        '<input type="file" accept=".txt,text/plain" id="quantize-prompts-file" '
        'data-text="prompts"></label>'
    )


def _preview(name: str, prompts: tuple[str, ...], language: str) -> str:
    rows = "".join(f'<li dir="auto">{esc(each)}</li>' for each in prompts[:MOST_SHOWN])
    title = esc(t(f"page.quantize.prompts_{name}", language, count=len(prompts)))
    return (
        f'<section class="q-preview q-prompts" data-key="preview-{name}">'
        f'<h3>{title}</h3><ol tabindex="0">{rows}</ol></section>'
    )


def _watched(form: QuantizeForm, recipe: ImageRecipeChoice, language: str) -> str:
    fields = _number("watched", form.watched, recipe.samples, language)
    fields += _number("watched_steps", form.watched_steps, recipe.steps, language)
    title = esc(t("page.quantize.amount", language))
    hint = esc(t("page.quantize.watched_hint", language))
    return (
        f'<h3 class="q-title">{title}</h3><div class="e-pair">{fields}</div>'
        f'<small class="e-note">{hint}</small>'
    )


def _pictures(form: QuantizeForm, model: Model, language: str) -> str:
    limits = model.limits
    usual = {
        "count": USUAL.count,
        "seed": USUAL.seed,
        "picture_steps": limits.default_steps,
        "guidance": f"{limits.default_guidance:g}",
        "width": limits.native_width,
        "height": limits.native_height,
    }
    plain = {"seed", "guidance"}
    fields = "".join(
        field(name, getattr(form, name), language, usual=value)
        if name in plain
        else _number(name, getattr(form, name), value, language)
        for name, value in usual.items()
    )
    title = esc(t("page.quantize.pictures", language))
    return (
        f'<h3 class="q-title">{title}</h3><div class="e-pair">{fields}</div>'
        f'<small class="e-note">{esc(t("page.quantize.pictures_hint", language))}</small>'
        f"{_compared(form, language)}"
    )


def _number(name: str, value: str, usual: object, language: str) -> str:
    return field(name, value, language, usual=usual, kind="number")


def _compared(form: QuantizeForm, language: str) -> str:
    """Prompts of their own for the pictures to compare."""
    if form.compared:
        name = form.compared_file or t("page.quantize.prompts_own", language)
        words = t("page.quantize.compared_drop", language)
        return (
            f'<div class="q-own" data-key="compared-own"><p class="q-good">{icon("check")}'
            f'<span dir="auto">{esc(name)}</span></p>'
            f"{button(words, 'quantize-without', name='compared')}</div>"
        )
    return (
        '<div class="q-own" data-key="compared-none">'
        f'<label class="s-button s-file">{icon("reuse")}'
        f"<span>{esc(t('page.quantize.compared_choose', language))}</span>"
        '<input type="file" accept=".txt,text/plain" id="quantize-compared-file" '
        'data-text="compared"></label></div>'
    )
