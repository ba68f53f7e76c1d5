"""The wizard's first step: the models to choose from, and what is known of the chosen one."""

from collections.abc import Iterable

from backend.contracts import Model, RecipeChoice, SourceFacts
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.error_card import error_card
from ui.parts.markup import button, esc, icon
from ui.parts.quantize_form import PICTURES, QuantizeForm
from ui.parts.quantize_frame import facts, field, note

AT_ONCE = "demo-chat"
BILLION, MILLION = 1_000_000_000, 1_000_000


def model_step(
    form: QuantizeForm,
    offered: Iterable[SourceFacts],
    pictures: Iterable[Model],
    folders: bool,
    known: str,
    language: str,
) -> str:
    """`folders` says whether the reader may name one; `known` is what is known of the chosen
    one."""
    offered, pictures = tuple(offered), tuple(pictures)
    listed = {each.name for each in offered} | {f"{PICTURES}{each.id}" for each in pictures}
    chosen = form.wanted if form.wanted in listed else ""
    language_rows = "".join(_offer(each, each.name == chosen, language) for each in offered)
    picture_rows = "".join(
        _row(
            f"{PICTURES}{each.id}",
            each.name,
            f"{each.licence} · {human_bytes(each.size_bytes)}",
            "",
            chosen == f"{PICTURES}{each.id}",
        )
        for each in pictures
    )
    hint = "other_or_folder_hint" if folders else "other_hint"
    return (
        '<div class="q-columns"><div class="q-list">'
        f"{_group('language', language_rows, language)}"
        f"{field('other', '' if chosen else form.wanted, language, usual='Qwen/Qwen3-4B')}"
        f'<p class="e-note">{esc(t(f"page.quantize.{hint}", language))}</p>'
        f"{_group('pictures', picture_rows, language)}</div>"
        f'<aside class="q-aside" aria-live="polite" id="quantize-facts">{known}</aside></div>'
    )


def _group(name: str, rows: str, language: str) -> str:
    legend = esc(t(f"page.quantize.models.{name}", language))
    return f'<fieldset class="q-choices"><legend>{legend}</legend>{rows}</fieldset>'


def _offer(model: SourceFacts, chosen: bool, language: str) -> str:
    if not model.here:
        told = t("page.quantize.to_fetch", language)
    else:
        told = " · ".join(
            filter(None, (count(model.parameters), human_bytes(model.size_bytes or 0)))
        )
    badge = ""
    if model.name == AT_ONCE:
        badge = t("page.quantize.at_once", language)
    elif model.problem is not None:
        badge = t("page.quantize.cannot", language)
    return _row(model.name, model.name, told, badge, chosen, model.problem is not None)


def _row(value: str, name: str, told: str, badge: str, chosen: bool, problem: bool = False) -> str:
    mark = f"<em>{esc(badge)}</em>" if badge else ""
    return (
        f'<label class="q-choice" data-key="{esc(value)}" data-problem="{str(problem).lower()}">'
        f'<input type="radio" name="model" value="{esc(value)}"{" checked" if chosen else ""}>'
        f'<span><strong dir="auto">{esc(name)}</strong>{mark}<small>{esc(told)}</small></span>'
        "</label>"
    )


def model_facts(
    model: SourceFacts, recipes: tuple[RecipeChoice, ...], repository: bool, language: str
) -> str:
    """What is known of a language model, whether it is supported, and by which recipes."""
    size = human_bytes(model.size_bytes) if model.size_bytes else ""
    rows = [
        ("architecture", model.architecture or "", ""),
        ("parameters", count(model.parameters), ""),
        ("weights", size, model.precision or ""),
        ("licence", _licence(model, language), ""),
        ("access", _access(model, language), ""),
        ("place", _place(model, language), ""),
    ]
    ask = ""
    if repository:
        words = t("page.quantize.ask_again" if model.asked else "page.quantize.ask", language)
        ask = button(words, "quantize-ask", symbol="download", model=model.name)
    body = f'<h3 dir="auto">{esc(model.name)}</h3>{facts(rows, language)}'
    if repository and not model.here and not model.asked:
        body += note(t("page.quantize.not_asked", language))
    if ask:
        body += f'<div class="s-row">{ask}</div>'
    if model.problem is not None:
        title = t("page.quantize.cannot_be", language)
        return body + error_card(model.problem, language, title=title, key="error-model")
    return body + _supported(model, recipes, language)


def _supported(model: SourceFacts, recipes: tuple[RecipeChoice, ...], language: str) -> str:
    if model.architecture is None:
        return ""
    names = [recipe.title for recipe in recipes if recipe.possible]
    items = "".join(f"<li>{esc(name)}</li>" for name in names)
    said = esc(t("page.quantize.supported", language, count=len(names)))
    return (
        f'<p class="q-good">{icon("check")}<span>{said}</span></p><ul class="q-chips">{items}</ul>'
    )


def _licence(model: SourceFacts, language: str) -> str:
    if model.licence:
        return model.licence
    known = model.here or model.asked
    return t("page.quantize.licence_unstated", language) if known else ""


def _access(model: SourceFacts, language: str) -> str:
    if model.gated is None:
        return ""
    return t("page.quantize.gated" if model.gated else "page.quantize.open", language)


def _place(model: SourceFacts, language: str) -> str:
    if model.here:
        return t("page.quantize.here", language)
    if model.missing_bytes is None:
        return t("page.quantize.to_fetch", language)
    return t("page.quantize.to_fetch_bytes", language, missing_bytes=model.missing_bytes)


def count(parameters: int | None) -> str:
    """Parameters as models are named: `8.03 B`, `5.8 M`."""
    if not parameters:
        return ""
    if parameters >= BILLION:
        return f"{parameters / BILLION:.2f} B"
    return f"{parameters / MILLION:.1f} M"
