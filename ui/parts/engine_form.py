"""The form that asks for engines, with what building them will need."""

from backend.contracts import BuildEstimate, BuildTarget, CalibrationChoices, Runtime
from ui.i18n import t
from ui.parts.build_fields import Bounds, Options, check, number, select
from ui.parts.calibration_fields import calibration_fields
from ui.parts.engine_estimate import estimate_panel
from ui.parts.engine_words import module_name
from ui.parts.markup import esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES
from ui.tabs.engine_form import BuildForm, Choice

LEVELS = range(6)
DEFAULT_LEVEL = "3"


def build_form(
    form: BuildForm,
    choice: Choice,
    models: Options,
    targets: tuple[BuildTarget, ...],
    modules: tuple[str, ...],
    calibration: CalibrationChoices | None,
    estimate: BuildEstimate,
    language: str,
) -> str:
    """The fields that this choice has, and the estimate with the button that starts it."""
    on_gpu = choice.runtime is Runtime.TENSORRT
    precisions = [(str(p), p.upper()) for p in choice.precisions]
    runtimes = [(str(r), RUNTIME_NAMES[r]) for r in choice.runtimes]
    fields = (
        select("model", models, choice.model.id, language)
        + '<div class="e-pair">'
        + select("precision", precisions, str(choice.precision), language)
        + select("runtime", runtimes, str(choice.runtime), language)
        + "</div>"
        + (_targets(targets, estimate.target, language) if on_gpu else "")
        + _sizes(form, choice, language)
        + _advanced(form, choice, modules, calibration, language)
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
    return select("target", options, chosen, language)


def _sizes(form: BuildForm, choice: Choice, language: str) -> str:
    limits = choice.model.limits
    options = [(name, t(f"page.build.sizes_{name}", language)) for name in ("any", "one", "range")]
    fields = select("sizes", options, form.sizes, language)
    bounds: Bounds = {"min": limits.min_side, "max": limits.max_side, "step": limits.multiple}
    key = choice.model.id
    if form.sizes == "one":
        fields += (
            '<div class="e-pair">'
            + number("width", form.width, limits.native_width, language, bounds, key)
            + number("height", form.height, limits.native_height, language, bounds, key)
            + _batch(form, choice, language)
            + "</div>"
        )
    elif form.sizes == "range":
        fields += (
            '<div class="e-pair">'
            + number("min_side", form.min_side, limits.min_side, language, bounds, key)
            + number("max_side", form.max_side, limits.max_side, language, bounds, key)
            + number("opt_width", form.opt_width, limits.native_width, language, bounds, key)
            + number("opt_height", form.opt_height, limits.native_height, language, bounds, key)
            + _batch(form, choice, language)
            + "</div>"
        )
    return fields


def _batch(form: BuildForm, choice: Choice, language: str) -> str:
    most = choice.model.limits.max_count
    return number(
        "max_batch", form.max_batch, 1, language, {"min": 1, "max": most}, choice.model.id
    )


def _advanced(
    form: BuildForm,
    choice: Choice,
    modules: tuple[str, ...],
    calibration: CalibrationChoices | None,
    language: str,
) -> str:
    every = [("", t("page.build.every_module", language))]
    body = select(
        "module", [*every, *((m, module_name(m, language)) for m in modules)], form.module, language
    )
    if choice.runtime is Runtime.TENSORRT:
        levels = [(str(n), t(f"page.build.level_{n}", language)) for n in LEVELS]
        body += (
            select("level", levels, form.level or DEFAULT_LEVEL, language)
            + number("workspace", form.workspace, None, language, {"min": 1})
            + check("streaming", form.streaming, language)
            + check("refit", form.refit, language)
        )
    if calibration is not None:
        body += calibration_fields(form, calibration, choice.model.id, language)
    return (
        f'<details class="s-fold e-advanced" data-key="advanced"><summary>{icon("more")}'
        f"{esc(t('page.build.advanced', language))}</summary><div>{body}</div></details>"
    )
