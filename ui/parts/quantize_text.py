"""The wizard's third step: the text to calibrate and to score on."""

from backend.contracts import CalibrationPreview
from ui.i18n import t
from ui.parts.markup import button, details, esc, icon
from ui.parts.quantize_form import DIGEST_LENGTH, USUAL, QuantizeForm
from ui.parts.quantize_frame import field, note

GENERAL = "general"
INSTALL = "pip install 'spark-studio[datasets]'"


def text_step(
    form: QuantizeForm,
    texts: tuple[CalibrationPreview, ...],
    chosen: CalibrationPreview,
    scored_on: CalibrationPreview | None,
    needed: bool,
    datasets: bool,
    language: str,
) -> str:
    """`texts` are the studio's and the reader's own; `needed` says whether the recipe calibrates at
    all; `datasets` whether the optional part is installed."""
    rows = "".join(_text(each, form, each is chosen, language) for each in texts)
    legend = esc(t("page.quantize.texts", language))
    warnings = "".join(note(each.render(language), "warn") for each in chosen.warnings)
    lead = "" if needed else note(t("page.quantize.no_text_needed", language))
    return (
        f'<div class="q-columns"><div class="q-list">{lead}'
        f'<fieldset class="q-choices"><legend>{legend}</legend>{rows}</fieldset>'
        f"{warnings}{_drop(language)}{_dataset(form, datasets, language)}"
        f"{_preview(chosen, language)}</div>"
        f'<aside class="q-aside">{_numbers(form, needed, language)}'
        f"{_evaluation(form, scored_on, language)}</aside></div>"
    )


def name_of(form: QuantizeForm, name: str, language: str) -> str:
    """What a text is called: a studio's by its title, a kept one by the file it came from."""
    if len(name) < DIGEST_LENGTH:
        return t(f"page.quantize.text.{name.replace('-', '_')}", language)
    files = {form.own_text: form.own_file, form.evaluation: form.evaluation_file}
    return files.get(name) or t("page.quantize.text.own", language)


def _text(text: CalibrationPreview, form: QuantizeForm, chosen: bool, language: str) -> str:
    return (
        f'<label class="q-choice" data-key="{esc(text.name)}"><input type="radio" '
        f'name="calibration" value="{esc(text.name)}"{" checked" if chosen else ""}>'
        f'<span><strong dir="auto">{esc(name_of(form, text.name, language))}</strong>'
        f"<small>{esc(_measure(text, language))}</small></span></label>"
    )


def _measure(text: CalibrationPreview, language: str) -> str:
    told = [t("page.quantize.rows", language, rows=text.rows, characters=text.characters)]
    if text.name == GENERAL:
        told.insert(0, t("page.quantize.text.general_about", language))
    if text.chats:
        told.append(t("page.quantize.chats", language, count=text.chats))
    if text.hangul_share >= 0.005:
        told.append(t("page.quantize.hangul", language, share=f"{100 * text.hangul_share:.0f}"))
    return " · ".join(told)


def _drop(language: str) -> str:
    return (
        f'<label class="q-drop s-file" data-key="drop">{icon("reuse")}'
        f"<span>{esc(t('page.quantize.drop', language))}"
        f"<small>{esc(t('page.quantize.drop_hint', language))}</small></span>"
        '<input type="file" accept=".txt,.jsonl" id="quantize-calibration-file" '
        'data-text="calibration"></label>'
    )


def _dataset(form: QuantizeForm, installed: bool, language: str) -> str:
    title = t("page.quantize.dataset", language)
    if not installed:
        body = note(t("page.quantize.dataset_missing", language)) + (
            f'<div class="s-row"><code class="q-code">{esc(INSTALL)}</code>'
            f"{button(t('page.memory.copy', language), 'copy', symbol='copy')}</div>"
        )
        return details("dataset", title, f'<div class="q-fold">{body}</div>')
    fields = "".join(
        field(name, getattr(form, name), language, usual=usual)
        for name, usual in (
            ("dataset", "abisee/cnn_dailymail"),
            ("part", ""),
            ("split", "train"),
            ("column", ""),
        )
    )
    rows = field("rows", form.rows, language, usual=512, kind="number")
    words = t("page.quantize.dataset_take", language)
    about = note(t("page.quantize.dataset_about", language))
    take = button(words, "quantize-dataset", symbol="download")
    body = f'{about}<div class="e-pair">{fields}{rows}</div><div class="s-row">{take}</div>'
    return details("dataset", title, f'<div class="q-fold">{body}</div>')


def _preview(text: CalibrationPreview, language: str) -> str:
    rows = "".join(f'<li dir="auto">{esc(row)}</li>' for row in text.first)
    title = esc(t("page.quantize.first_rows", language))
    return (
        f'<section class="q-preview" data-key="preview-{esc(text.name)}">'
        f'<h3>{title}</h3><ol tabindex="0">{rows}</ol></section>'
    )


def _numbers(form: QuantizeForm, needed: bool, language: str) -> str:
    names = ("samples", "length", "batch", "evaluation_tokens")
    fields = "".join(
        field(
            name,
            getattr(form, name),
            language,
            usual=getattr(USUAL, name),
            hint=t(f"page.quantize.{name}_hint", language),
            kind="number",
        )
        for name in names
        if needed or name != "samples"
    )
    return f'<h3 class="q-title">{esc(t("page.quantize.amount", language))}</h3>{fields}'


def _evaluation(form: QuantizeForm, text: CalibrationPreview | None, language: str) -> str:
    title = f'<h3 class="q-title">{esc(t("page.quantize.evaluation", language))}</h3>'
    if text is None:
        body = note(t("page.quantize.held_back", language)) + (
            f'<label class="s-button s-file">{icon("reuse")}'
            f"<span>{esc(t('page.quantize.evaluation_choose', language))}</span>"
            '<input type="file" accept=".txt,.jsonl" id="quantize-evaluation-file" '
            'data-text="evaluation"></label>'
        )
        return f'{title}<div class="q-own" data-key="evaluation-none">{body}</div>'
    drop = button(
        t("page.quantize.evaluation_drop", language), "quantize-without", name="evaluation"
    )
    return (
        f'{title}<div class="q-own" data-key="evaluation-own"><p class="q-good">{icon("check")}'
        f'<span dir="auto">{esc(name_of(form, text.name, language))}<small>'
        f"{esc(_measure(text, language))}</small></span></p>{drop}</div>"
    )
