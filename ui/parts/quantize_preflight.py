"""The wizard's fourth step: what a job would take, and what is in its way."""

from backend.contracts import Fit, QuantizeCheck, QuantizePlan
from backend.errors import Code
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.markup import button, esc, icon
from ui.parts.quantize_form import QuantizeForm
from ui.parts.quantize_frame import facts, field, note
from ui.parts.quantize_recipe import sizes

SYMBOLS = {"ok": "check", "warn": "warning", "fail": "close"}
ASKS = ("hub",)


def preflight_step(form: QuantizeForm, plan: QuantizePlan, folders: bool, language: str) -> str:
    """`folders` says whether the reader may name one."""
    checks = "".join(check_row(each, ask(plan.model, language), language) for each in plan.checks)
    rows = sizes(plan.size, language) if plan.size else []
    rows += [
        ("memory", human_bytes(plan.memory_bytes) if plan.memory_bytes else "", ""),
        ("disk", human_bytes(plan.disk_bytes) if plan.disk_bytes else "", ""),
    ]
    out = ""
    if folders:
        hint = t("page.quantize.out_hint", language)
        out = field("out", form.out, language, hint=hint)
    return (
        f'<div class="q-columns"><div class="q-list"><ul class="q-checks">{checks}</ul>'
        f"{fits(plan.fits, language)}</div>"
        f'<aside class="q-aside"><h3 class="q-title">{esc(t("page.quantize.comes_to", language))}'
        f"</h3>{facts(rows, language)}{out}{_replace(form, plan, language)}</aside></div>"
    )


def fits(found: tuple[Fit, ...], language: str) -> str:
    """Settings that need less memory, each to be taken at a press."""
    if not found:
        return ""
    items = "".join(
        "<li>"
        + button(
            t(
                "page.quantize.fit",
                language,
                recipe=each.recipe,
                batch=each.batch,
                length=each.length,
                needed_bytes=each.memory_bytes,
            ),
            "quantize-fit",
            recipe=each.recipe,
            batch=each.batch,
            length=each.length,
        )
        + "</li>"
        for each in found
    )
    title = esc(t("page.quantize.would_fit", language))
    return f'<section class="q-fits"><h3>{title}</h3><ul>{items}</ul></section>'


def ask(model: str, language: str) -> str:
    return button(t("page.quantize.ask", language), "quantize-ask", symbol="download", model=model)


def check_row(check: QuantizeCheck, ask_hub: str, language: str, label: str = "") -> str:
    """`ask_hub` is the button that asks the hub; `label` names the check where it is not its own
    name."""
    name = esc(t(f"page.quantize.check.{label or check.name}", language))
    state = esc(t(f"page.quantize.status.{check.status}", language))
    detail = check.error.message(language) if check.error else check.detail.render(language)
    more = ""
    if check.error is not None:
        more = (
            f"<small>{esc(check.error.hint(language))}</small>"
            f'<code class="s-code">{esc(check.error.code)}</code>'
        )
    if check.name in ASKS and check.status != "ok":
        more += ask_hub
    return (
        f'<li data-key="{check.name}" data-check="{check.name}" data-status="{check.status}">'
        f'<span title="{state}">{icon(SYMBOLS[check.status])}<b class="s-hidden">{state}</b></span>'
        f"<div><strong>{name}</strong><p>{esc(detail)}</p>{more}</div></li>"
    )


def _replace(form: QuantizeForm, plan: QuantizePlan, language: str) -> str:
    """Only where there is something to replace."""
    out = next(check for check in plan.checks if check.name == "out")
    taken = out.error is not None and out.error.code is Code.CHECKPOINT_EXISTS
    if not taken and not form.replace:
        return ""
    checked = " checked" if form.replace else ""
    said = note(t("page.quantize.replace_hint", language)) if taken and form.replace else ""
    return (
        '<label class="e-check" data-key="replace"><input type="checkbox" name="replace" value="1" '
        f'id="quantize-replace"{checked}><span>{esc(t("page.quantize.field.replace", language))}'
        f"</span></label>{said}"
    )
