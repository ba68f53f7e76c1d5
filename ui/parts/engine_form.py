"""The form that asks for engines, with what building them will need."""

from backend.contracts import BuildEstimate, BuildTarget, Precision, Runtime
from ui.i18n import t
from ui.parts.engine_estimate import estimate_panel
from ui.parts.engine_words import module_name
from ui.parts.markup import esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES
from ui.tabs.engine_form import BuildForm, Choice

QUANTISED = frozenset({Precision.INT8, Precision.FP8, Precision.NVFP4})
LEVELS = range(6)
DEFAULT_LEVEL = "3"
Options = list[tuple[str, str]]


def build_form(
    form: BuildForm,
    choice: Choice,
    models: Options,
    targets: tuple[BuildTarget, ...],
    modules: tuple[str, ...],
    estimate: BuildEstimate,
    language: str,
) -> str:
    """The fields that this choice has, and the estimate with the button that starts it."""
    on_gpu = choice.runtime is Runtime.TENSORRT
    precisions = [(str(p), p.upper()) for p in choice.precisions]
    runtimes = [(str(r), RUNTIME_NAMES[r]) for r in choice.runtimes]
    fields = (
        _select("model", models, choice.model.id, language)
        + '<div class="e-pair">'
        + _select("precision", precisions, str(choice.precision), language)
        + _select("runtime", runtimes, str(choice.runtime), language)
        + "</div>"
        + (_targets(targets, estimate.target, language) if on_gpu else "")
        + _sizes(form, choice, language)
        + _advanced(form, choice, modules, language)
    )
    return f"{fields}{estimate_panel(estimate, language)}"


def _targets(targets: tuple[BuildTarget, ...], chosen: str, language: str) -> str:
    options = []
    for one in targets:
        words = f"{one.name} — {one.target}"
        if one.here:
            words = t("page.build.this_gpu", language, target=words)
        options.append((one.target, words))
    if chosen not in {one.target for one in targets}:
        options.append((chosen, chosen))
    return _select("target", options, chosen, language)


def _sizes(form: BuildForm, choice: Choice, language: str) -> str:
    limits = choice.model.limits
    options = [(name, t(f"page.build.sizes_{name}", language)) for name in ("any", "one", "range")]
    fields = _select("sizes", options, form.sizes, language)
    bounds = {"min": limits.min_side, "max": limits.max_side, "step": limits.multiple}
    key = choice.model.id
    if form.sizes == "one":
        fields += (
            '<div class="e-pair">'
            + _number("side", form.side, limits.native_width, language, key, **bounds)
            + _batch(form, choice, language)
            + "</div>"
        )
    elif form.sizes == "range":
        fields += (
            '<div class="e-pair">'
            + _number("min_side", form.min_side, limits.min_side, language, key, **bounds)
            + _number("max_side", form.max_side, limits.max_side, language, key, **bounds)
            + _number("opt_width", form.opt_width, limits.native_width, language, key, **bounds)
            + _number("opt_height", form.opt_height, limits.native_height, language, key, **bounds)
            + _batch(form, choice, language)
            + "</div>"
        )
    return fields


def _batch(form: BuildForm, choice: Choice, language: str) -> str:
    most = choice.model.limits.max_count
    return _number("max_batch", form.max_batch, 1, language, choice.model.id, min=1, max=most)


def _advanced(form: BuildForm, choice: Choice, modules: tuple[str, ...], language: str) -> str:
    every = [("", t("page.build.every_module", language))]
    body = _select(
        "module", [*every, *((m, module_name(m, language)) for m in modules)], form.module, language
    )
    if choice.runtime is Runtime.TENSORRT:
        levels = [(str(n), t(f"page.build.level_{n}", language)) for n in LEVELS]
        body += (
            _select("level", levels, form.level or DEFAULT_LEVEL, language)
            + _number("workspace", form.workspace, None, language, min=1)
            + _check("streaming", form.streaming, language)
            + _check("refit", form.refit, language)
        )
    if choice.precision in QUANTISED:
        steps = choice.model.limits.default_steps
        body += (
            '<div class="e-pair">'
            + _number("prompts", form.prompts, 32, language, min=1, max=512)
            + _number("steps", form.steps, steps, language, choice.model.id, min=1, max=100)
            + "</div>"
            + f'<p class="e-note">{esc(t("page.build.calibration_note", language))}</p>'
        )
    return (
        f'<details class="s-fold e-advanced" data-key="advanced"><summary>{icon("more")}'
        f"{esc(t('page.build.advanced', language))}</summary><div>{body}</div></details>"
    )


def _select(name: str, options: Options, chosen: str, language: str) -> str:
    """A changed choice is a new element, whose options the browser draws anew."""
    key = f"{name}:{chosen}:{','.join(value for value, _ in options)}"
    items = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(text)}</option>'
        for value, text in options
    )
    return (
        f'<label class="e-field" data-key="{esc(key)}"><span>'
        f"{esc(t(f'page.build.{name}', language))}</span>"
        f'<select name="{name}" class="s-field" id="build-{name}">{items}</select></label>'
    )


def _number(
    name: str, value: str, suggested: int | None, language: str, key: str = "", **bounds: int
) -> str:
    limits = "".join(f' {bound}="{number}"' for bound, number in bounds.items())
    hint = "" if suggested is None else f' placeholder="{suggested}"'
    return (
        f'<label class="e-field" data-key="{esc(name)}:{esc(key)}"><span>'
        f"{esc(t(f'page.build.{name}', language))}</span>"
        f'<input type="number" name="{name}" class="s-field" id="build-{name}" '
        f'value="{esc(value)}" inputmode="numeric"{hint}{limits}></label>'
    )


def _check(name: str, value: str, language: str) -> str:
    checked = " checked" if value else ""
    return (
        f'<label class="e-check" data-key="{name}"><input type="checkbox" name="{name}" value="1" '
        f'id="build-{name}"{checked}><span>{esc(t(f"page.build.{name}", language))}</span></label>'
    )
