"""What can be chosen of a calibration: those fields that the precision has."""

from backend.contracts import CalibrationChoices
from ui.i18n import t
from ui.parts.build_fields import number, select
from ui.parts.markup import esc, icon
from ui.tabs.engine_form import BuildForm

MOST_PROMPTS, MOST_STEPS = 512, 200


def calibration_fields(
    form: BuildForm, choices: CalibrationChoices, model: str, language: str
) -> str:
    levels = [(f"{one:g}", t(f"page.build.quantise_{one:g}", language)) for one in choices.levels]
    chosen = form.calibration_level
    if chosen not in {value for value, _ in levels}:
        chosen = f"{choices.level:g}"
    body = select("calibration_level", levels, chosen, language)
    if choices.smoothquant_alpha is not None:
        body += _share("alpha", form.alpha, choices.smoothquant_alpha, language)
    if choices.percentile is not None:
        body += _share("percentile", form.percentile, choices.percentile, language)
    most = choices.prompts_found or MOST_PROMPTS
    return (
        f'{body}<div class="e-pair">'
        + _count("prompts", form.prompts, choices.prompts, most, model, language)
        + _count("steps", form.steps, choices.steps, MOST_STEPS, model, language)
        + f"</div>{_own_prompts(form, choices, language)}"
        f'<p class="e-note">{esc(t("page.build.calibration_note", language))}</p>'
    )


def _count(name: str, value: str, usual: int, most: int, model: str, language: str) -> str:
    return number(name, value, usual, language, {"min": 1, "max": most}, model)


def _share(name: str, value: str, usual: float, language: str) -> str:
    hint = t(f"page.build.{name}_hint", language)
    return number(name, value, usual, language, {"min": 0, "max": 1, "step": "any"}, hint=hint)


def _own_prompts(form: BuildForm, choices: CalibrationChoices, language: str) -> str:
    """A file to choose; once it is on the server, how many prompts it has and a way back."""
    if form.own_prompts:
        key, note = "own-prompts", ""
        found = t("page.build.own_prompts_found", language, count=choices.prompts_found)
        body = (
            f"{icon('check')}<b>{esc(found)}</b>"
            '<button type="button" class="s-button" data-action="engine-prompts">'
            f"<span>{esc(t('page.build.own_prompts_drop', language))}</span></button>"
        )
    else:
        key, note = "own-prompts-none", t("page.build.own_prompts_hint", language)
        body = (
            f'<label class="s-button s-file">{icon("reuse")}'
            f"<span>{esc(t('page.build.own_prompts_choose', language))}</span>"
            '<input type="file" accept=".txt,text/plain" id="build-own_prompts"></label>'
        )
    return (
        f'<div class="e-field" data-key="{key}">'
        f"<span>{esc(t('page.build.own_prompts', language))}</span>"
        f'<input type="hidden" name="own_prompts" value="{esc(form.own_prompts)}">'
        f'<div class="e-own">{body}</div><small class="e-note">{esc(note)}</small></div>'
    )
