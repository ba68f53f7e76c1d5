"""Small pieces of HTML. Every value from outside goes through `esc`."""

from html import escape
from typing import Any

ICONS = {
    "back": '<path d="M13 8H3.5M7.5 4l-4 4 4 4"/>',
    "build": '<path d="M8 2.5 13 5v6l-5 2.5L3 11V5zM3 5l5 2.5L13 5M8 7.5v6"/>',
    "check": '<path d="m3.5 8.5 3 3 6-7"/>',
    "edit": '<path d="m3 13 .5-3 7-7 2.5 2.5-7 7z"/>',
    "eye": '<path d="M1.5 8s2.5-4.5 6.5-4.5S14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z"/>'
    '<circle cx="8" cy="8" r="2"/>',
    "list": '<path d="M2.5 3.5h11v9h-11zM6 3.5v9"/>',
    "load": '<path d="M8 10.5V3M5 6l3-3 3 3M3 13h10"/>',
    "close": '<path d="m4 4 8 8m0-8-8 8"/>',
    "download": '<path d="M8 2.5v7.5m-3-3 3 3 3-3M3 13h10"/>',
    "image": '<path d="M2.5 3.5h11v9h-11zM3 11l3-3 2 2 2.5-3 3 4"/>',
    "more": '<path d="m4 6 4 4 4-4"/>',
    "next": '<path d="m6 4 4 4-4 4"/>',
    "plus": '<path d="M8 3v10M3 8h10"/>',
    "previous": '<path d="M10 4 6 8l4 4"/>',
    "retry": '<path d="M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3"/>',
    "reuse": '<path d="M3 5h8.5M9 2.5 11.5 5 9 7.5M13 11H4.5M7 8.5 4.5 11 7 13.5"/>',
    "send": '<path d="M8 13V3.5M4 7.5l4-4 4 4"/>',
    "server": '<path d="M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.5M5 11h.5"/>',
    "settings": '<path d="M2.5 5h6m4 0h1M2.5 11h1m4 0h6"/><circle cx="10.5" cy="5" r="1.7"/>'
    '<circle cx="5.5" cy="11" r="1.7"/>',
    "side": '<path d="M2.5 3.5h11v9h-11zM10 3.5v9"/>',
    "stop": '<path d="M4.5 4.5h7v7h-7z" fill="currentColor"/>',
    "trash": '<path d="M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9"/>',
    "chat": '<path d="M2.5 3.5h11v7.5H8L4.5 13.5V11h-2z"/>',
    "code": '<path d="m5.5 4.5 2 8l3.5 3.5m5-7L14 8l-3.5 3.5"/>',
    "columns": '<path d="M2.5 3.5h11v9h-11zM8 3.5v9"/>',
    "copy": '<path d="M5.5 5.5h8v8h-8zM10.5 5V2.5h-8v8H5"/>',
    "warning": '<path d="M8 2 14.5 13.5h-13zM8 6.5v3.5m0 1.500v.5"/>',
}


def esc(value: Any) -> str:
    """`value` as text inside HTML, in elements and in quoted attributes."""
    return escape(str(value), quote=True)


def icon(name: str) -> str:
    return (
        '<svg class="s-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false" fill="none" '
        f'stroke="currentColor" stroke-width="1.4">{ICONS[name]}</svg>'
    )


def button(
    text: str, action: str, *, symbol: str = "", kind: str = "", compact: bool = False, **data: Any
) -> str:
    """A button that `assets/js/actions.js` acts upon; `data` become its `data-` attributes."""
    attributes = "".join(
        f' data-{name.replace("_", "-")}="{esc(value)}"' for name, value in data.items()
    )
    name = f' aria-label="{esc(text)}" title="{esc(text)}"' if compact else ""
    face = (icon(symbol) if symbol else "") + ("" if compact else f"<span>{esc(text)}</span>")
    return (
        f'<button type="button" class="s-button {kind}" data-action="{esc(action)}"'
        f"{attributes}{name}>{face}</button>"
    )


def details(key: str, summary: str, body: str) -> str:
    """A fold that stays as the reader left it while its content is updated."""
    return (
        f'<details class="s-fold" data-key="{esc(key)}"><summary>{icon("more")}{esc(summary)}'
        f"</summary>{body}</details>"
    )


def clock(seconds: float) -> str:
    """A running time, `0:07` or `1:02:03`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
