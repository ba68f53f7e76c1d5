"""What of the Chat tab does not change: the bars around the messages, and the composer."""

from backend.studio import MAX_CHARACTERS
from ui.i18n import t
from ui.parts.chat_settings import settings_form
from ui.parts.markup import button, esc, icon

PICTURES = "image/png,image/jpeg,image/webp"
EXPORTS = ("md", "json")


def chat_frame(language: str) -> dict[str, str]:
    """The HTML of the tab's fixed parts, by the ids of the elements that they go into."""
    return {
        "chat-side": _side(language),
        "chat-top": _top(language),
        "chat-composer": _composer(language),
        "chat-settings": settings_form(language),
        "column": _column(language),
    }


def _side(language: str) -> str:
    search = esc(t("chat.list.search", language))
    new = button(t("chat.new", language), "chat-new", symbol="plus")
    return (
        f'<div class="c-side-head">{new}'
        f'<label class="s-button quiet s-file" title="{esc(t("chat.import", language))}">'
        f'{icon("load")}<span class="s-hidden">{esc(t("chat.import", language))}</span>'
        '<input type="file" id="chat-import" accept=".json,application/json"></label></div>'
        f'<input type="search" id="chat-search" class="s-field" placeholder="{search}" '
        f'aria-label="{search}" autocomplete="off">'
        f'<nav id="chat-list" aria-label="{esc(t("chat.list.title", language))}"></nav>'
    )


def _top(language: str) -> str:
    def tool(name: str, symbol: str, panel: str = "") -> str:
        html = button(t(f"chat.top.{name}", language), f"chat-{name}", symbol=symbol, kind="quiet")
        state = 'aria-expanded="false" ' if panel else 'aria-pressed="false" '
        owns = f'aria-controls="{panel}" ' if panel else ""
        return html.replace("<button ", f'<button id="chat-go-{name}" {state}{owns}', 1)

    fold = button(
        t("chat.top.list", language), "chat-fold", symbol="list", kind="quiet", compact=True
    ).replace("<button ", '<button id="chat-go-list" aria-controls="chat-side" ', 1)
    exports = "".join(
        f'<li><a class="s-button s-example" id="chat-export-{kind}" download>'
        f"{esc(t(f'chat.export.{kind}', language))}</a></li>"
        for kind in EXPORTS
    )
    return (
        f'{fold}<h2 id="chat-title" dir="auto"></h2><div class="c-tools">'
        f"{tool('pair', 'columns')}{tool('house', 'server', 'chat-house')}"
        f"{tool('tune', 'settings', 'chat-settings')}"
        f'<details class="s-menu" id="chat-export"><summary class="s-button quiet">'
        f"{icon('download')}<span>{esc(t('chat.export', language))}</span></summary>"
        f"<ul>{exports}</ul></details></div>"
    )


def _column(language: str) -> str:
    """One column, of which the page makes as many as it needs."""
    end = esc(t("chat.to_end", language))
    return (
        '<section class="c-column"><header class="c-bar">'
        f'<select class="s-field c-picker" aria-label="{esc(t("chat.picker", language))}"></select>'
        '<span class="c-mark"></span><span class="c-meter"></span></header>'
        f'<div class="c-scroll" tabindex="0" role="region" '
        f'aria-label="{esc(t("chat.messages", language))}"><div class="c-messages"></div></div>'
        f'<button type="button" class="s-button c-to-end" hidden aria-label="{end}" title="{end}">'
        f"{icon('more')}</button></section>"
    )


def _composer(language: str) -> str:
    words = esc(t("chat.say", language))
    image = esc(t("chat.image.add", language))
    cancel = button(t("chat.edit.cancel", language), "chat-edit-cancel", kind="quiet")
    return (
        f'<div id="chat-editing" hidden>{icon("edit")}'
        f"<span>{esc(t('chat.edit.explained', language))}</span>{cancel}</div>"
        '<div id="chat-pictures" class="c-pictures"></div><div class="c-write">'
        f'<label class="s-button quiet s-file" id="chat-picture" title="{image}" hidden>'
        f'{icon("image")}<span class="s-hidden">{image}</span>'
        f'<input type="file" id="chat-picture-file" accept="{PICTURES}" multiple></label>'
        f'<textarea id="chat-text" rows="1" dir="auto" placeholder="{words}" aria-label="{words}" '
        f'data-limit="{MAX_CHARACTERS}" data-continue="{esc(t("chat.continue", language))}" '
        'enterkeyhint="send" autocomplete="off"></textarea>'
        '<button type="submit" id="chat-send" class="s-button c-go" disabled '
        f'aria-label="{esc(t("chat.send", language))}" title="{esc(t("chat.send", language))}">'
        f"{icon('send')}</button>"
        '<button type="button" id="chat-stop" class="s-button c-go" data-action="chat-stop" hidden '
        f'aria-label="{esc(t("chat.stop", language))}" title="{esc(t("chat.stop", language))}">'
        f"{icon('stop')}</button></div>"
        '<div class="c-under"><span id="chat-keys"><kbd>Enter</kbd> '
        f"{esc(t('chat.keys.send', language))} <kbd>Shift</kbd><kbd>Enter</kbd> "
        f"{esc(t('chat.keys.line', language))}</span>"
        '<span id="chat-length" class="s-num" role="status"></span></div>'
    )
