"""The panel of servers, and the one that the studio's owner runs elsewhere."""

from urllib.parse import urlsplit

from backend.contracts import Endpoint
from backend.errors import ErrorInfo
from ui.i18n import t
from ui.parts.error_card import error_card
from ui.parts.markup import esc, icon


def servers_panel(language: str) -> str:
    """The places that the page fills: `servers` with its news, the others when it looks."""
    return (
        f'<p class="e-note v-about">{esc(t("page.servers.about", language))}</p>'
        '<div class="v-columns"><div><div id="servers-notice" class="s-notice"></div>'
        '<div id="servers"></div><div id="server-outside"></div></div>'
        '<form id="server-form" class="e-form" novalidate></form></div>'
    )


def outside_card(url: str, found: Endpoint | ErrorInfo | None, language: str) -> str:
    """The server of the settings: its host, and whether it answers. None: none is set."""
    heading = f"<h3>{esc(t('page.servers.outside', language))}</h3>"
    if found is None:
        said = esc(t("page.servers.outside_none", language))
        return f'<section class="v-outside">{heading}<p class="e-note">{said}</p></section>'
    host = urlsplit(url).netloc.rpartition("@")[2]
    heading = (
        f'<h3>{esc(t("page.servers.outside", language))} <small dir="auto">{esc(host)}</small></h3>'
    )
    if isinstance(found, ErrorInfo):
        body = error_card(found, language, key="error-outside")
    else:
        words = esc(t("page.servers.outside_up", language, model=found.model))
        body = f'<p class="s-card e-done">{icon("check")}{words}</p>'
    return f'<section class="v-outside">{heading}{body}</section>'
