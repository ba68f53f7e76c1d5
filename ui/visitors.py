"""Visitors mode: what a browser may do that is not the host's. Everything is denied that is not
listed here, our own routes and Gradio's alike, and every function that Gradio can call.

`VisitorsGate` decides once for each request and marks it; `ui.access` names its owner a visitor.
"""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from gradio.block_function import BlockFunction
from starlette.requests import HTTPConnection
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.contracts import VisitorsReset
from backend.errors import Code, StudioError
from ui.access import VISITOR_MARK, YEAR_S, by_visitor, details_shown, http_request, page_owner
from ui.api.answers import told

if TYPE_CHECKING:
    from backend.studio import Studio

HOST_COOKIE = "studio_host"
ROUTES = (
    # the page and what it is made of
    *("GET /", "GET /config", "GET /theme.css", "GET /favicon.ico", "GET /manifest.json"),
    *("GET /assets/{path:path}", "GET /static/{path:path}", "GET /svelte/{path:path}"),
    "GET /studio/static/{stamp}/{folder}/{path:path}",
    *("GET /healthz", "GET /robots.txt", "GET /host/{key}"),
    *("POST /login", "GET /logout"),
    # Gradio's own; which functions run is decided by FUNCTIONS
    *("GET /gradio_api/info", "GET /gradio_api/app_id", "GET /gradio_api/heartbeat/{session_hash}"),
    *("POST /gradio_api/run/{api_name}", "POST /gradio_api/api/{api_name}"),
    *("POST /gradio_api/call/{api_name}", "GET /gradio_api/call/{api_name}/{event_id}"),
    *("POST /gradio_api/queue/join", "GET /gradio_api/queue/data"),
    *("POST /gradio_api/cancel", "POST /gradio_api/reset"),
    # one's own pictures
    *("GET /studio/live", "GET /studio/models", "GET /studio/history"),
    *("POST /studio/jobs/{job_id}/{action}", "POST /studio/settings"),
    "GET /files/{job_id}/{name}",
    # one's own conversations, with servers that run
    *("GET /studio/chat/frame", "GET /studio/chat/pickers", "GET /studio/chat/conversations"),
    "GET /studio/chat/conversations/{conversation_id}",
    "GET /studio/chat/conversations/{conversation_id}/meter",
    "GET /studio/chat/conversations/{conversation_id}/turns/{turn_id}/text",
    "GET /studio/chat/conversations/{conversation_id}/export/{kind}",
    "GET /studio/chat/answers/{turn_id}",
    *("POST /studio/chat/say", "POST /studio/chat/again", "POST /studio/chat/settings"),
    "POST /studio/chat/conversations/{conversation_id}/version",
    "POST /studio/chat/conversations/{conversation_id}/title",
    "POST /studio/chat/conversations/{conversation_id}/delete",
    "POST /studio/chat/answers/{turn_id}/stop",
    # votes
    *("GET /vote", "GET /vote/{code}", "POST /vote/{code}", "GET /vote/{code}/result"),
    "GET /vote/{code}/picture/{item}/{option}",
)
"""What visitors may ask for: a method, and a path as Starlette writes its routes."""
FUNCTIONS = frozenset(
    {
        *("ui.tabs.images.submit", "ui.tabs.images.fill", "ui.tabs.images.change_model"),
        *("ui.api.pictures.generate", "ui.api.chat.chat", "ui.api.machine.models"),
        *("ui.api.jobs.jobs", "ui.api.jobs.job", "ui.api.jobs.cancel"),
    }
)
"""Gradio's functions that run for visitors, by module and name."""
_PATTERNS = [
    (method, compile_path(path)[0]) for method, path in (route.split(" ") for route in ROUTES)
]


def allowed(method: str, path: str) -> bool:
    """Whether visitors may ask for this."""
    asked = "GET" if method == "HEAD" else method
    return any(asked == known and pattern.match(path) for known, pattern in _PATTERNS)


class VisitorsGate:
    """Lets the host through, marks everybody else as a visitor, and refuses what is not listed."""

    def __init__(
        self,
        app: ASGIApp,
        host_mark: str,
        refuse: Callable[[Request, StudioError], Response],
    ) -> None:
        self.app, self.host_mark, self.refuse = app, host_mark, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_host(HTTPConnection(scope)):
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        scope[VISITOR_MARK] = True
        details_shown.set(False)  # for this request's task alone
        answer: ASGIApp = self.app
        if not allowed(scope["method"], scope["path"]):
            answer = self.refuse(Request(scope), StudioError(Code.VISITORS_LOCKED))
        await answer(scope, receive, send)

    def _is_host(self, connection: HTTPConnection) -> bool:
        given = connection.cookies.get(HOST_COOKIE, "")
        return hmac.compare_digest(given.encode(), self.host_mark.encode())


class Page(gr.Blocks):
    """Gradio's page, all of whose functions run through here, however they are called."""

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        inputs: list[Any],
        state: Any = None,
        request: Any = None,
        *more: Any,
        **named: Any,
    ) -> dict[str, Any]:
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if by_visitor(http_request(request)) and name_of(function) not in FUNCTIONS:
            with told():
                raise StudioError(Code.VISITORS_LOCKED)
        return await super().process_api(block_fn, inputs, state, request, *more, **named)


def name_of(function: BlockFunction) -> str:
    """Its module and name; empty for what only runs in the browser."""
    made_of = function.fn
    return f"{made_of.__module__}.{made_of.__name__}" if made_of else ""


def visitors_routes(studio: "Studio") -> APIRouter:
    """The host's side; only where the studio is in visitors mode."""
    router = APIRouter()

    @router.get("/host/{key}")
    def become_host(request: Request, key: str) -> Response:
        """Make the browser that opens this the host's."""
        if not hmac.compare_digest(key.encode(), studio.visitors.host_key().encode()):
            raise StudioError(Code.ACCESS_DENIED)
        answer = RedirectResponse("/", 303, {"referrer-policy": "no-referrer"})
        mark = studio.visitors.host_mark()
        answer.set_cookie(HOST_COOKIE, mark, max_age=YEAR_S, httponly=True, samesite="lax")
        return answer

    @router.post("/studio/visitors/reset")
    def reset(request: Request) -> VisitorsReset:
        page_owner(request)
        return studio.visitors.reset()

    return router
