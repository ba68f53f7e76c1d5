"""The wizard's second step: the recipes with what each makes of the model, and what is left out."""

import fnmatch

from backend.contracts import DenoiserSize, KvChoice, RecipeChoice, RecipeSize
from backend.language import Text, human_bytes
from ui.i18n import t
from ui.parts.markup import details, esc
from ui.parts.quantize_form import QuantizeForm
from ui.parts.quantize_frame import facts, field, note

PRECISIONS = ("nvfp4", "fp8", "int8")
MOST_LISTED = 400


def recipe_step(
    form: QuantizeForm,
    recipes: tuple[RecipeChoice, ...],
    chosen: RecipeChoice,
    whole: RecipeSize | None,
    caches: tuple[KvChoice, ...],
    language: str,
) -> str:
    """`whole` is the size of the chosen one without leaving anything out."""
    shown = [each for each in recipes if each.possible or each is chosen]
    hidden = [each for each in recipes if each not in shown]
    most = max((each.size.source_bytes for each in recipes if each.size), default=0)
    rows = "".join(_recipe(each, each is chosen, most, language) for each in shown)
    fold = ""
    if hidden:
        fold = hidden_recipes([(each.title, each.reason) for each in hidden], language)
    legend = esc(t("page.quantize.recipes", language))
    return (
        '<div class="q-columns"><div class="q-list">'
        f'<fieldset class="q-choices"><legend>{legend}</legend>{rows}</fieldset>{fold}</div>'
        f'<aside class="q-aside">{_outcome(chosen, whole, language)}'
        f"{_caches(form, caches, language)}{_leave_out(form, chosen, language)}"
        f"{_experimental(form, language)}</aside></div>"
    )


def hidden_recipes(found: list[tuple[str, Text]], language: str) -> str:
    """A fold of those that are not offered, each with why."""
    items = "".join(
        f"<li><strong>{esc(title)}</strong> <small>{esc(reason.render(language))}</small></li>"
        for title, reason in found
    )
    title = t("page.quantize.hidden", language, count=len(found))
    return details("hidden-recipes", title, f'<ul class="q-hidden">{items}</ul>')


def precision_of(name: str) -> str:
    """Of a recipe, as `assets/css/engines.css` colours it."""
    return next((each for each in PRECISIONS if each in name), "other")


def _recipe(recipe: RecipeChoice, chosen: bool, most: int, language: str) -> str:
    size = ""
    if recipe.size:
        ratio = t("page.quantize.times", language, ratio=f"{recipe.size.ratio_whole:.2f}")
        size = (
            f'<span class="s-num">{esc(human_bytes(recipe.size.whole_bytes))}'
            f"<small>{esc(ratio)}</small></span>"
        )
    where = {"parts": ", ".join(recipe.parts), "servers": ", ".join(recipe.servers)}
    runs = t("page.quantize.runs_on", language, **where)
    lines = [
        runs if recipe.servers else t("page.quantize.runs_nowhere", language),
        recipe.reason.render(language),
        recipe.quality.render(language),
    ]
    return (
        f'<label class="q-choice q-recipe" data-key="{esc(recipe.name)}" '
        f'data-problem="{str(not recipe.possible).lower()}">'
        f'<input type="radio" name="recipe" value="{esc(recipe.name)}"'
        f'{" checked" if chosen else ""}><span><b class="e-precision" '
        f'data-precision="{precision_of(recipe.name)}">{esc(recipe.title)}</b>{size}'
        f"{bar(recipe.size, most, language)}"
        f"{''.join(f'<small>{esc(line)}</small>' for line in lines)}</span></label>"
    )


def bar(size: RecipeSize | DenoiserSize | None, most: int, language: str) -> str:
    """The result beside its source: the quantised layers, and what stays as it is."""
    if size is None or not most:
        return ""
    inside = 100 * size.quantised_bytes / most
    rest = 100 * (size.whole_bytes - size.quantised_bytes) / most
    words = t(
        "page.quantize.bar",
        language,
        quantised_bytes=size.quantised_bytes,
        rest_bytes=size.whole_bytes - size.quantised_bytes,
        source_bytes=size.source_bytes,
    )
    return (
        f'<i class="q-bar" role="img" aria-label="{esc(words)}" title="{esc(words)}">'
        f'<b style="width:{inside:.2f}%"></b><u style="width:{rest:.2f}%"></u></i>'
    )


def sizes(
    size: RecipeSize | DenoiserSize, language: str, whole: str = "whole"
) -> list[tuple[str, str, str]]:
    """Rows for `facts`: the whole, under the name `whole`, and the quantised layers apart."""
    return [
        (
            whole,
            f"{human_bytes(size.source_bytes)} → {human_bytes(size.whole_bytes)}",
            t("page.quantize.times", language, ratio=f"{size.ratio_whole:.2f}"),
        ),
        (
            "layers",
            f"{human_bytes(size.quantised_source_bytes)} → {human_bytes(size.quantised_bytes)}",
            t(
                "page.quantize.layers",
                language,
                count=size.layers,
                ratio=f"{size.ratio_quantised_layers:.2f}",
            ),
        ),
    ]


def _outcome(recipe: RecipeChoice, whole: RecipeSize | None, language: str) -> str:
    head = f'<h3 class="q-title">{esc(recipe.title)}</h3>'
    if not recipe.possible:
        head += note(recipe.reason.render(language), "warn")
    if recipe.size is None:
        return head if not recipe.possible else head + note(t("page.quantize.no_size", language))
    rows = sizes(recipe.size, language)
    more = recipe.size.whole_bytes - whole.whole_bytes if whole else 0
    if more:
        rows.append(("left_out", t("page.quantize.larger", language, more_bytes=more), ""))
    scored = t(f"page.quantize.scored.{recipe.scored}", language)
    rows.append(("scored", scored, ""))
    served = t(
        "page.quantize.serves_here" if recipe.serves_here else "page.quantize.serves_elsewhere",
        language,
    )
    rows.append(("served", served, ""))
    return f"{head}{facts(rows, language)}{bar(recipe.size, recipe.size.source_bytes, language)}"


def _caches(form: QuantizeForm, caches: tuple[KvChoice, ...], language: str) -> str:
    offered = [each for each in caches if each.possible]
    current = next((each for each in offered if each.name == form.kv_cache), offered[0])
    items = "".join(
        f'<option value="{esc(each.name)}"{" selected" if each is current else ""}>'
        f"{esc(t(f'page.quantize.kv.{each.name}', language))}</option>"
        for each in offered
    )
    others = "".join(
        f'<small class="e-note">{esc(each.name)}: {esc(each.reason.render(language))}</small>'
        for each in caches
        if not each.possible
    )
    return (
        f'<label class="e-field" data-key="kv:{esc(current.name)}"><span>'
        f"{esc(t('page.quantize.field.kv_cache', language))}</span>"
        f'<select name="kv_cache" class="s-field" id="quantize-kv_cache">{items}</select>'
        f'<small class="e-note">{esc(current.effect.render(language))}</small>{others}</label>'
    )


def _leave_out(form: QuantizeForm, recipe: RecipeChoice, language: str) -> str:
    body = field(
        "leave_out",
        form.leave_out,
        language,
        hint=t("page.quantize.leave_out_hint", language),
    )
    if recipe.size is None:
        return body
    left = recipe.size.left_out
    for pattern in form.patterns:
        if not any(fnmatch.fnmatchcase(module, pattern) for module in left):
            body += note(t("page.quantize.no_match", language, pattern=pattern), "warn")
    if left:
        items = "".join(f"<li>{esc(module)}</li>" for module in left[:MOST_LISTED])
        total = len(left) + recipe.size.layers
        title = t("page.quantize.left_out", language, count=len(left), total=total)
        body += details("left-out", title, f'<ul class="q-modules" tabindex="0">{items}</ul>')
    return body


def _experimental(form: QuantizeForm, language: str) -> str:
    words = t("page.quantize.experimental", language)
    body = field(
        "effective_bits",
        form.effective_bits,
        language,
        hint=t("page.quantize.effective_bits_hint", language),
    )
    return details("experimental", words, f'<div class="q-fold">{body}</div>')
