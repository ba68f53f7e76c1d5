"""A failure where it happened: what it was, what to do, and all details to copy."""

from backend.errors import ErrorInfo
from ui.access import details_shown
from ui.i18n import t
from ui.parts.markup import button, details, esc, icon


def error_card(
    error: ErrorInfo, language: str, *, title: str = "", key: str = "error", actions: str = ""
) -> str:
    """The card of `error`; `actions` are buttons that go with it."""
    report = f"{error.code}\n{error.message('en')}\n{error.hint('en')}\n\n{_detail(error)}".strip()
    fold = details(
        key,
        t("page.error.details", language),
        f'<pre class="s-details">{esc(report)}</pre>'
        + button(t("page.error.copy", language), "copy", symbol="copy"),
    )
    heading = f'<h3 class="s-error-title">{esc(title)}</h3>' if title else ""
    return (
        f'<section class="s-card s-error" role="alert" data-code="{esc(error.code)}">'
        f"{icon('warning')}<div>{heading}"
        f'<p class="s-error-message">{esc(error.message(language))}</p>'
        f'<p class="s-error-hint">{esc(error.hint(language))}</p>'
        f'<div class="s-row">{actions}<code class="s-code">{esc(error.code)}</code></div>'
        f"{fold}</div></section>"
    )


def _detail(error: ErrorInfo) -> str:
    return error.detail if details_shown.get() else ""
