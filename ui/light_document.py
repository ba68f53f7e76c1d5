"""HTML documents of our own, without Gradio: a few kB each, for phones and for the big screen."""

import json
from dataclasses import dataclass
from html import escape
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from backend.language import catalogue
from ui.access import new_visitor, visitor_cookie, visitor_of
from ui.document import SCRIPT_TEXTS, theme_of
from ui.i18n import language_of


@dataclass(frozen=True)
class Page:
    """What one kind of document is made of."""

    name: str
    """Of its script, in `assets/js/compare`, which draws into `<main>`."""
    styles: tuple[str, ...]
    texts: tuple[str, ...]
    """Beginnings of the script's texts, without `script.`."""


def light_document(
    request: Request,
    page: Page,
    stamp: str,
    title: str,
    data: dict[str, Any],
    visitor: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    """The document of `page`, which finds `data` in `window.studioBoot.data`; a browser without a
    cookie gets that of `visitor`, or of a new one."""
    language, static = language_of(request), f"/studio/static/{stamp}"
    texts = {
        key.removeprefix(SCRIPT_TEXTS): text
        for key, text in catalogue(language).items()
        if key.startswith(tuple(SCRIPT_TEXTS + text for text in page.texts))
    }
    boot = {"language": language, "theme": theme_of(request), "texts": texts, "data": data}
    styles = "".join(
        f'<link rel="stylesheet" href="{static}/css/{name}.css">' for name in page.styles
    )
    script = json.dumps(boot, ensure_ascii=False).replace("<", "\\u003c")
    answer = HTMLResponse(
        f'<!doctype html><html lang="{escape(language)}"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f'<link rel="icon" type="image/svg+xml" href="{static}/images/icon.svg">{styles}'
        f"<script>window.studioBoot = {script}</script>"
        f'<script src="{static}/js/boot.js"></script>'
        f'<script type="module" src="{static}/js/compare/{page.name}.js"></script>'
        f'</head><body class="{escape(page.name)}"><main></main></body></html>',
        status,
        {
            "cache-control": "no-store",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        },
    )
    if visitor_of(request.cookies) is None:
        answer.headers.append("set-cookie", visitor_cookie(visitor or new_visitor()))
    return answer
