"""The conversations of a reader, newest change first."""

from backend.contracts import ConversationPage, ConversationSummary
from ui.i18n import t
from ui.parts.engine_words import when
from ui.parts.markup import button, esc


def conversation_list(page: ConversationPage, search: str, open_id: str, language: str) -> str:
    """The list; the search field around it is part of the frame."""
    if not page.conversations:
        key = "chat.list.nothing_found" if search else "chat.list.empty"
        return f'<p class="s-muted">{esc(t(key, language, search=search[:80]))}</p>'
    items = "".join(_entry(one, open_id, language) for one in page.conversations)
    more = ""
    if page.total > len(page.conversations):
        more = button(t("chat.list.more", language), "chat-more", kind="quiet")
    return f'<ul class="c-list">{items}</ul>{more}'


def _entry(one: ConversationSummary, open_id: str, language: str) -> str:
    title = one.title or t("chat.untitled", language)
    here = ' aria-current="true"' if open_id in (one.id, one.beside) else ""
    pair = f"<small>{esc(t('chat.list.pair', language))}</small>" if one.beside else ""
    rename = button(
        t("chat.list.rename", language, title=title[:80]),
        "chat-rename",
        symbol="edit",
        kind="quiet",
        compact=True,
        conversation=one.id,
    )
    delete = button(
        t("chat.list.delete", language, title=title[:80]),
        "chat-delete",
        symbol="trash",
        kind="quiet",
        compact=True,
        conversation=one.id,
        confirm=t("chat.list.delete_sure", language),
    )
    return (
        f'<li data-key="{esc(one.id)}"{here}><button type="button" class="c-open" '
        f'data-action="chat-open" data-conversation="{esc(one.id)}" '
        f'title="{esc(title[:300])} · {esc(when(one.changed_at))}" dir="auto">'
        f"<span>{esc(title)}</span>{pair}</button>{rename}{delete}</li>"
    )
