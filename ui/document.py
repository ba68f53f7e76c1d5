"""The page's HTML document: Gradio's, with our language, theme, style and scripts put into it."""

import json
from html import escape
from pathlib import Path

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.language import catalogue
from ui.access import by_visitor, new_visitor, visitor_cookie, visitor_of
from ui.i18n import language_of

THEME_COOKIE = "studio_theme"
THEMES = ("system", "light", "dark")
STYLES = (
    *("tokens", "frame", "controls", "stage", "side", "engines", "inspect", "onnx", "servers"),
    *("chat", "quantize", "quantize-result", "compare", "compare-stage", "compare-page", "poll"),
    "visitors",
)
SCRIPT_TEXTS = "script."


def theme_of(request: Request) -> str:
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else THEMES[0]


def head(language: str, theme: str, stamp: str, visitor: bool) -> str:
    """What goes first into `<head>`; `stamp` makes the addresses change with the files."""
    texts = {
        key.removeprefix(SCRIPT_TEXTS): value
        for key, value in catalogue(language).items()
        if key.startswith(SCRIPT_TEXTS)
    }
    known = {"language": language, "theme": theme, "visitor": visitor, "texts": texts}
    boot = json.dumps(known)
    boot = boot.replace("<", "\\u003c")
    static = f"studio/static/{stamp}"
    styles = "".join(f'<link rel="stylesheet" href="/{static}/css/{name}.css">' for name in STYLES)
    return (
        f'<link rel="icon" type="image/svg+xml" href="/{static}/images/icon.svg">'
        f"{styles}"
        f"<script>window.studioBoot = {boot}</script>"
        f'<script src="/{static}/js/boot.js"></script>'
        f'<script type="module" src="/{static}/js/studio.js"></script>'
    )


def dress(document: str, language: str, theme: str, stamp: str, visitor: bool) -> str:
    """Gradio's document in our language and theme, with our head."""
    mode = "" if theme == "system" else f' theme_mode="{theme}"'
    first = '<meta charset="utf-8" />'
    return (
        document.replace('lang="en"', f'lang="{escape(language)}"', 1)
        .replace(first, first + head(language, theme, stamp, visitor), 1)
        .replace("<gradio-app\n", f"<gradio-app{mode}\n", 1)
    )


class DocumentMiddleware:
    """Dresses the document at `/` and gives each new browser its visitor cookie."""

    def __init__(self, app: ASGIApp, stamp: str) -> None:
        self.app = app
        self.stamp = stamp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        language, theme = language_of(request), theme_of(request)
        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            visitor = by_visitor(request)
            whole = dress(body.decode(), language, theme, self.stamp, visitor).encode()
            headers = MutableHeaders(raw=start["headers"])
            headers["content-length"] = str(len(whole))
            headers["cache-control"] = "no-store"
            headers["vary"] = "Cookie, Accept-Language"
            if visitor_of(request.cookies) is None:
                headers.append("set-cookie", visitor_cookie(new_visitor()))
            await send(start)
            await send({"type": "http.response.body", "body": whole})

        await self.app({**scope, "headers": plain}, receive, collect)


def stamp_of(folder: Path) -> str:
    """A short mark of the newest change below `folder`."""
    newest = max(file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file())
    return format(newest, "x")[-10:]
