"""The form that compares pictures: a model's variants, prompts, seeds and settings."""

from backend.contracts import Model, Runtime, Variant, VariantState
from backend.errors import ErrorInfo
from backend.language import human_bytes
from backend.studio import MOST_VARIANTS
from ui.i18n import t
from ui.parts.compare_fields import area, check, not_here, number, prompts_block, select
from ui.parts.compare_form import MOST_SEEDS, CompareForm, Prompts
from ui.parts.compare_start import start_row
from ui.parts.engine_words import precision_mark
from ui.parts.markup import button, esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES

NEAR = (VariantState.READY, VariantState.BUILDABLE, VariantState.DOWNLOADABLE)
SYMBOLS = {VariantState.BUILDABLE: "build", VariantState.DOWNLOADABLE: "download"}


def pictures_form(
    form: CompareForm,
    models: tuple[Model, ...],
    model: Model,
    chosen: tuple[str, ...],
    prompts: Prompts,
    built_in: tuple[str, ...],
    count: int,
    pictures: int | None,
    estimate_s: float | None,
    problem: ErrorInfo | None,
    language: str,
) -> str:
    """`count` prompts make so many `pictures`; None where the numbers are not ones."""
    options = [(one.id, one.name) for one in models]
    told = ""
    if pictures:
        told = t("page.compare.pictures_count", language, count=pictures)
        if estimate_s is not None:
            told += " · " + t("page.compare.about", language, time_s=estimate_s)
    return (
        '<div class="k-columns"><div class="k-column">'
        f"{select('model', options, model.id, language)}"
        f"{_variants(model, chosen, language)}</div>"
        '<div class="k-column">'
        f"{prompts_block(prompts, built_in, count, language)}"
        f"{_seeds(form, language)}{_settings(form, model, language)}</div></div>"
        f"{start_row(told, problem, language)}"
    )


def _variants(model: Model, chosen: tuple[str, ...], language: str) -> str:
    near = [one for one in model.variants if one.state in NEAR]
    far = [one for one in model.variants if one.state not in NEAR]
    rows = "".join(_variant(model, one, chosen, language) for one in near)
    rows += not_here(
        model.id,
        [
            (
                f"{one.precision.upper()} {RUNTIME_NAMES[one.runtime]}",
                f"{t(f'page.variant.{one.state}', language)} {one.reason.render(language)}",
            )
            for one in far
        ],
        language,
    )
    hint = esc(t("page.compare.variants_hint", language, most=MOST_VARIANTS))
    return (
        f'<fieldset class="k-variants" data-key="variants:{esc(model.id)}"><legend>'
        f"{esc(t('page.compare.variants', language))}<small>{hint}</small></legend>"
        f"{rows}</fieldset>"
    )


def _variant(model: Model, variant: Variant, chosen: tuple[str, ...], language: str) -> str:
    value = f"{variant.precision}/{variant.runtime}"
    ready, ticked = variant.state is VariantState.READY, value in chosen
    full = len(chosen) >= MOST_VARIANTS and not ticked
    state = (" checked" if ticked else "") + ("" if ready and not full else " disabled")
    size = human_bytes(variant.memory_bytes) if variant.memory_bytes else ""
    mark = icon("check") if ready else icon(SYMBOLS.get(variant.state, "close"))
    why = "" if ready else f"<b>{esc(t(f'page.variant.{variant.state}', language))}</b> "
    reason = "" if variant.state is VariantState.BUILDABLE else variant.reason.render(language)
    identity = value.replace("/", "-")
    return (
        f'<div class="k-variant" data-key="{esc(value)}" data-state="{esc(variant.state)}"'
        f"{' data-full' if full else ''}>"
        f'<label><input type="checkbox" name="variants" value="{esc(value)}" '
        f'id="compare-{esc(identity)}"{state}><span><strong>{precision_mark(variant.precision)} '
        f"{esc(RUNTIME_NAMES[variant.runtime])}</strong>"
        f'<small class="s-num">{esc(size)}</small></span></label>'
        f"{_reference('reference', value, chosen, language) if ticked else ''}"
        f'<p class="s-reason">{mark}{why}{esc(reason)}'
        f"{_help(model, variant, language)}</p></div>"
    )


def _reference(name: str, value: str, chosen: tuple[str, ...], language: str) -> str:
    checked = " checked" if value == chosen[0] else ""
    return (
        f'<label class="k-reference"><input type="radio" name="{name}" value="{esc(value)}"'
        f"{checked}><span>{esc(t('page.compare.reference', language))}</span></label>"
    )


def _help(model: Model, variant: Variant, language: str) -> str:
    """Where what it lacks can be had."""
    if variant.state is VariantState.BUILDABLE:
        words = t("page.compare.to_engines", language)
        return button(words, "result-engines", kind="quiet", model=model.id)
    if variant.state is VariantState.DOWNLOADABLE and variant.runtime is Runtime.TORCH:
        words = t("page.compare.fetch", language, size_bytes=model.size_bytes)
        return button(words, "compare-fetch", kind="quiet", model=model.id)
    return ""


def _seeds(form: CompareForm, language: str) -> str:
    count = number("seeds", form.seeds, 1, language, min=1, max=MOST_SEEDS)
    first = "" if form.random else number("seed", form.seed, 0, language, min=0)
    return (
        f'<div class="k-three" data-key="seeds">{count}{first}'
        f"{check('random', form.random, language)}</div>"
    )


def _settings(form: CompareForm, model: Model, language: str) -> str:
    limits, key = model.limits, model.id
    sides = {"min": limits.min_side, "max": limits.max_side}
    numbers = (
        number(
            "steps", form.steps, limits.default_steps, language, key, min=1, max=limits.max_steps
        )
        + number(
            "guidance", form.guidance, f"{limits.default_guidance:g}", language, key, min=0,
            max=limits.max_guidance,
        )
        + number("width", form.width, limits.native_width, language, key, **sides)
        + number("height", form.height, limits.native_height, language, key, **sides)
    )  # fmt: skip
    negative = area("negative", form.negative, language, 2) if limits.takes_negative_prompt else ""
    return (
        f'{negative}<div class="k-four" data-key="numbers:{esc(key)}">{numbers}</div>'
        f"{check('encode_each', form.encode_each, language)}"
        f"{check('keep_loaded', form.keep_loaded, language)}"
    )
