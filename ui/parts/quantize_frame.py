"""What stands around each step of the wizard: the list of steps, heading, and the way on."""

from ui.i18n import t
from ui.parts.markup import button, esc, icon
from ui.parts.quantize_form import STEPS, Page

LAST = STEPS[-1]


def stepper(
    step: str, reachable: tuple[str, ...], told: dict[str, str], result: str, language: str
) -> str:
    """The steps in order, each with what was chosen in it; `result` is the key of what came of the
    job, empty without."""
    rows = "".join(
        _step(index, name, step, name in reachable, told.get(name, ""), language)
        for index, name in enumerate(STEPS, 1)
    )
    last = (
        f'<li data-key="result" data-state="{"open" if result else "closed"}">'
        f'<button type="button" data-action="quantize-result" data-result="{esc(result)}"'
        f"{'' if result else ' disabled'}><b>{len(STEPS) + 1}</b>"
        f"<span>{esc(t('page.quantize.step.result', language))}</span></button></li>"
    )
    name = esc(t("page.quantize.steps", language))
    return f'<ol class="q-steps" aria-label="{name}">{rows}{last}</ol>'


def _step(index: int, name: str, current: str, open_: bool, told: str, language: str) -> str:
    before = STEPS.index(name) < STEPS.index(current)
    state = "current" if name == current else "done" if before else "open" if open_ else "closed"
    here = ' aria-current="step"' if name == current else ""
    small = f'<small dir="auto">{esc(told)}</small>' if told else ""
    mark = icon("check") if state == "done" else f"{index}"
    return (
        f'<li data-key="{name}" data-state="{state}"><button type="button" '
        f'data-action="quantize-step" data-name="{name}"{here}{"" if open_ else " disabled"}>'
        f"<b>{mark}</b><span>{esc(t(f'page.quantize.step.{name}', language))}{small}</span>"
        "</button></li>"
    )


def framed(step: str, page: Page, language: str) -> str:
    """A step's page with its heading, and buttons back and on."""
    number = STEPS.index(step)
    buttons = ""
    if step == "preflight":
        buttons = _primary(t("page.quantize.start", language), "quantize-start", page.ready)
    elif step != LAST:
        on = STEPS[number + 1]
        words = t("page.quantize.on", language, step=t(f"page.quantize.step.{on}", language))
        buttons = _primary(words, "quantize-on", page.ready, on)
    if buttons and number:
        words, back = t("page.quantize.back", language), STEPS[number - 1]
        buttons = (
            button(words, "quantize-step", symbol="previous", kind="quiet", name=back) + buttons
        )
    return (
        f'<div class="q-step" data-key="step-{step}"><header><h2 tabindex="-1">'
        f"{esc(t(f'page.quantize.title.{step}{page.heading}', language))}</h2>"
        f"<p>{esc(t(f'page.quantize.about.{step}{page.heading}', language))}</p></header>"
        f'{page.html}<div class="q-footer">{buttons}</div></div>'
    )


def _primary(words: str, action: str, ready: bool, name: str = "") -> str:
    return (
        f'<button type="button" class="e-primary" id="{action}" data-action="{action}" '
        f'data-name="{name}"{"" if ready else " disabled"}>{esc(words)}</button>'
    )


def facts(rows: list[tuple[str, str, str]], language: str) -> str:
    """A list of (key, value, more) with the labels `page.quantize.row.<key>`; empty values are left
    out."""
    cells = "".join(
        f"<div><dt>{esc(t(f'page.quantize.row.{key}', language))}</dt><dd>{esc(value)}"
        f"{f'<small>{esc(more)}</small>' if more else ''}</dd></div>"
        for key, value, more in rows
        if value
    )
    return f'<dl class="q-facts">{cells}</dl>' if cells else ""


def note(words: str, kind: str = "") -> str:
    """A sentence; `warn` sets it apart."""
    symbol = icon("warning") if kind == "warn" else ""
    return f'<p class="q-note {kind}">{symbol}<span>{esc(words)}</span></p>'


def field(
    name: str, value: str, language: str, *, usual: object = "", hint: str = "", kind: str = "text"
) -> str:
    """A labelled input; `usual` is what an empty one stands for."""
    small = f'<small class="e-note">{esc(hint)}</small>' if hint else ""
    mode = ' inputmode="numeric" min="1"' if kind == "number" else ""
    return (
        f'<label class="e-field" data-key="{name}"><span>'
        f"{esc(t(f'page.quantize.field.{name}', language))}</span>"
        f'<input type="{kind}" name="{name}" class="s-field" id="quantize-{name}" '
        f'value="{esc(value)}" placeholder="{esc(usual)}"{mode} autocomplete="off" '
        f'spellcheck="false">{small}</label>'
    )
