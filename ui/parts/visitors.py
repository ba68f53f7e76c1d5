"""Visitors mode on the page: what it says to visitors, and the host's menu."""

from backend.contracts import VisitorsMade
from ui.i18n import t
from ui.parts.markup import button, esc


def visitors_line(language: str) -> str:
    """What visitors should know before they type."""
    return f'<p class="s-visitors">{esc(t("visitors.line", language))}</p>'


def host_menu(made: VisitorsMade, addresses: tuple[str, ...], language: str) -> str:
    """That visitors mode is on, where visitors go, and what they have made."""
    links = "".join(_link(f"{each}/", language) for each in addresses)
    return (
        '<details class="s-hint s-host" data-key="host"><summary>'
        f"{esc(t('visitors.mode', language))}</summary><div>"
        f"<p>{esc(t('visitors.explained', language))}</p>{links}"
        f'<p class="s-muted">{esc(t("visitors.made", language, **made.model_dump()))}</p>'
        f"{_reset(made, language)}</div></details>"
    )


def _link(address: str, language: str) -> str:
    copy = button(t("page.memory.copy", language), "copy", symbol="copy", compact=True)
    return f'<div class="s-address"><code>{esc(address)}</code>{copy}</div>'


def _reset(made: VisitorsMade, language: str) -> str:
    if not made.visitors:
        return ""
    return button(
        t("visitors.reset", language),
        "visitors-reset",
        symbol="trash",
        confirm=t("visitors.reset_sure", language, **made.model_dump()),
    )
