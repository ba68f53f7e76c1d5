"""The end of either form: what it comes to, why it cannot be, and Start."""

from backend.errors import ErrorInfo
from ui.i18n import t
from ui.parts.error_card import error_card
from ui.parts.markup import esc


def start_row(told: str, problem: ErrorInfo | None, language: str) -> str:
    card = ""
    if problem is not None:
        card = error_card(problem, language, key="compare-problem")
    return (
        f'{card}<div class="k-start" data-key="start"><p class="s-num" id="compare-told" '
        f'aria-live="polite">{esc(told)}</p>'
        f'<button type="button" class="e-primary" id="compare-start" data-action="compare-start"'
        f"{' disabled' if problem else ''}>{esc(t('page.compare.start', language))}</button></div>"
    )
