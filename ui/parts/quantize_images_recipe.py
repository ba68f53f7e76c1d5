"""The second step for picture models: precisions with what each makes of the denoiser, and how."""

from backend.contracts import (
    BuildTarget,
    ImageRecipeChoice,
    ImageRecipeLevel,
    ImageRecipes,
    RuntimeChoice,
)
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.engine_words import EDITION_NAMES, precision_mark
from ui.parts.markup import esc
from ui.parts.quantize_form import QuantizeForm
from ui.parts.quantize_frame import facts, field, note
from ui.parts.quantize_images_form import level_for, runtime_for
from ui.parts.quantize_recipe import bar, hidden_recipes, sizes

NAMES = EDITION_NAMES | {"tensorrt": "TensorRT"}
SHARES = ("smoothquant_alpha", "percentile")


def images_recipe_step(
    form: QuantizeForm,
    found: ImageRecipes,
    chosen: ImageRecipeChoice,
    targets: tuple[BuildTarget, ...],
    language: str,
) -> str:
    """`targets` are the GPUs that engines of the chosen runtime can be built for here; none where
    there is nothing to choose."""
    shown = [each for each in found.recipes if each.possible or each is chosen]
    hidden = [(each.title, each.reason) for each in found.recipes if each not in shown]
    levels = {each.name: level_for(form if each is chosen else QuantizeForm(), each)
              for each in shown}  # fmt: skip
    most = max((level.size.source_bytes for level in levels.values() if level), default=0)
    rows = "".join(
        _recipe(each, levels[each.name], each is chosen, most, language) for each in shown
    )
    fold = hidden_recipes(hidden, language) if hidden else ""
    legend = esc(t("page.quantize.recipes", language))
    return (
        '<div class="q-columns"><div class="q-list">'
        f'<fieldset class="q-choices"><legend>{legend}</legend>{rows}</fieldset>{fold}</div>'
        f'<aside class="q-aside">{_outcome(form, chosen, language)}'
        f"{_levels(chosen, levels[chosen.name], language)}"
        f"{_shares(form, chosen, language)}{_place(form, chosen, targets, language)}</aside></div>"
    )


def _recipe(
    recipe: ImageRecipeChoice,
    level: ImageRecipeLevel | None,
    chosen: bool,
    most: int,
    language: str,
) -> str:
    size, lines = "", []
    if level is not None:
        ratio = t("page.quantize.times", language, ratio=f"{level.size.ratio_whole:.2f}")
        size = (
            f'<span class="s-num">{esc(human_bytes(level.size.whole_bytes))}'
            f"<small>{esc(ratio)}</small></span>"
        )
        lines.append(t("page.quantize.computed_by", language, parts=", ".join(level.parts)))
    if recipe.runtimes:
        lines.append(recipe.runtimes[0].reason.render(language))
    lines += [recipe.calibration.render(language), recipe.quality.render(language)]
    if not recipe.possible:
        lines.insert(0, recipe.reason.render(language))
    return (
        f'<label class="q-choice q-recipe" data-key="{esc(recipe.name)}" '
        f'data-problem="{str(not recipe.possible).lower()}">'
        f'<input type="radio" name="precision" value="{esc(recipe.name)}"'
        f"{' checked' if chosen else ''}><span>{precision_mark(recipe.name)}{size}"
        f"{bar(level.size if level else None, most, language)}"
        f"{''.join(f'<small>{esc(line)}</small>' for line in lines)}</span></label>"
    )


def _outcome(form: QuantizeForm, recipe: ImageRecipeChoice, language: str) -> str:
    head = f'<h3 class="q-title">{esc(recipe.title)}</h3>'
    if not recipe.possible:
        head += note(recipe.reason.render(language), "warn")
    level, runtime = level_for(form, recipe), runtime_for(form, recipe)
    if level is None:
        return head
    rows = sizes(level.size, language, "denoiser")
    rows.append(("scored", _compared(runtime, language), ""))
    return f"{head}{facts(rows, language)}{bar(level.size, level.size.source_bytes, language)}"


def _compared(runtime: RuntimeChoice | None, language: str) -> str:
    if runtime is None:
        return ""
    key = "page.quantize.scored.engine" if runtime.runs_here else "page.quantize.scored.simulated"
    return t(key, language)


def _levels(recipe: ImageRecipeChoice, chosen: ImageRecipeLevel | None, language: str) -> str:
    if len(recipe.levels) < 2:
        return ""
    rows = ""
    for each in recipe.levels:
        value, checked = f"{each.level:g}", " checked" if each is chosen else ""
        name = t("quantize_images.check.level", language, level=value)
        size = human_bytes(each.size.whole_bytes)
        rows += (
            f'<label class="q-choice q-recipe" data-key="{recipe.name}-{value}">'
            f'<input type="radio" name="level" value="{value}"{checked}>'
            f'<span><strong>{esc(name)}</strong> <span class="s-num">{esc(size)}</span>'
            f"<small>{esc(each.covers.render(language))}</small></span></label>"
        )
    legend = esc(t("page.quantize.levels", language))
    return f'<fieldset class="q-choices"><legend>{legend}</legend>{rows}</fieldset>'


def _shares(form: QuantizeForm, recipe: ImageRecipeChoice, language: str) -> str:
    """SmoothQuant's alpha and the percentile, where the precision has them."""
    return "".join(
        field(
            name,
            getattr(form, name),
            language,
            usual=f"{getattr(recipe, name):g}",
            hint=t(f"page.quantize.{name}_hint", language),
        )
        for name in SHARES
        if getattr(recipe, name) is not None
    )


def _place(
    form: QuantizeForm,
    recipe: ImageRecipeChoice,
    targets: tuple[BuildTarget, ...],
    language: str,
) -> str:
    """Runtime and GPU, where there is a choice."""
    runtime = runtime_for(form, recipe)
    if runtime is None:
        return ""
    body = ""
    if len(recipe.runtimes) > 1:
        options = [(each.runtime.value, NAMES[each.runtime]) for each in recipe.runtimes]
        body += _select("runtime", options, runtime.runtime.value, language)
    if targets:
        named = [(each.target, f"{each.name} — {each.target}") for each in targets]
        usual = t("page.quantize.target_usual", language)
        body += _select("target", [("", usual), *named], form.target, language)
    return body


def _select(name: str, options: list[tuple[str, str]], chosen: str, language: str) -> str:
    """A changed choice is a new element, whose options the browser draws anew."""
    items = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(words)}'
        "</option>"
        for value, words in options
    )
    return (
        f'<label class="e-field" data-key="{name}:{esc(chosen)}"><span>'
        f"{esc(t(f'page.quantize.field.{name}', language))}</span>"
        f'<select name="{name}" class="s-field" id="quantize-{name}">{items}</select></label>'
    )
