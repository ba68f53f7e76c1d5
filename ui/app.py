"""The web application: our own routes, and the Gradio page at `/`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from backend.contracts import Health
from backend.errors import Code, ErrorInfo, StudioError
from backend.settings import ASSETS
from ui.access import FileKeys, Sessions, read_accounts
from ui.chat_routes import chat_routes
from ui.compare_routes import compare_routes
from ui.document import DocumentMiddleware, stamp_of
from ui.engines import engine_routes
from ui.fetch_routes import fetch_routes
from ui.files import file_routes
from ui.i18n import language_of, t, translations
from ui.live import live_routes
from ui.onnx_routes import onnx_routes
from ui.page import build_page
from ui.parts.error_card import error_card
from ui.present_routes import present_routes
from ui.quantize_result_routes import quantize_result_routes
from ui.quantize_routes import quantize_routes
from ui.server_routes import server_routes
from ui.theme import studio_theme
from ui.visitors import VisitorsGate, visitors_routes
from ui.vote_routes import vote_routes

if TYPE_CHECKING:
    from backend.studio import Studio

STATIC_FOLDERS = ("css", "js", "images")
QUEUE_LOOK_S = 0.01
"""How often Gradio's queue looks for an event: its own thousand times a second takes 3 % of a core
from an idle machine."""
STATUS_OF = {
    Code.ACCESS_DENIED: 403,
    Code.VISITORS_LOCKED: 403,
    Code.JOB_NOT_FOUND: 404,
    Code.CONVERSATION_NOT_FOUND: 404,
    Code.TURN_NOT_FOUND: 404,
    Code.ENGINE_NOT_FOUND: 404,
    Code.ANSWER_BEING_WRITTEN: 409,
    Code.SERVER_UNKNOWN: 404,
    Code.CHECKPOINT_NOT_FOUND: 404,
    Code.COMPARISON_NOT_FOUND: 404,
    Code.CHECKPOINT_NOT_YOURS: 403,
    Code.CHECKPOINT_KEPT: 409,
    Code.JOB_NOT_CANCELLABLE: 409,
    Code.JOB_NOT_RETRYABLE: 409,
    Code.JOB_STILL_RUNNING: 409,
    Code.MODEL_IN_USE: 409,
    Code.POLL_NOT_FOUND: 404,
    Code.VOTING_CLOSED: 409,
    Code.POLL_FULL: 409,
    Code.VOTES_TOO_FAST: 429,
    Code.TOO_MANY_WAITING: 429,
}


class StampedFiles(StaticFiles):
    """Files whose address changes when they do, so that browsers may keep them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def create_app(studio: "Studio") -> FastAPI:
    """The page, its private routes and the public API over one studio."""
    stamp = max(stamp_of(ASSETS / folder) for folder in STATIC_FOLDERS)
    keys = FileKeys(studio.settings.home)
    app = FastAPI(title="Spark Studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(DocumentMiddleware, stamp=stamp)
    if studio.settings.visitors:
        mark = studio.visitors.host_mark()
        app.add_middleware(VisitorsGate, host_mark=mark, refuse=_answer_error)
        app.include_router(visitors_routes(studio))
    app.add_exception_handler(StudioError, _answer_error)  # type: ignore[arg-type]

    @app.get("/healthz")
    def healthz() -> Health:
        return studio.machine.health()

    @app.get("/favicon.ico")
    def favicon() -> FileResponse:
        return FileResponse(ASSETS / "images" / "icon.svg", media_type="image/svg+xml")

    for folder in STATIC_FOLDERS:
        app.mount(f"/studio/static/{stamp}/{folder}", StampedFiles(directory=ASSETS / folder))
    app.include_router(live_routes(studio))
    app.include_router(fetch_routes(studio))
    app.include_router(onnx_routes(studio))
    app.include_router(engine_routes(studio))
    app.include_router(chat_routes(studio))
    app.include_router(server_routes(studio))
    app.include_router(compare_routes(studio))
    app.include_router(quantize_result_routes(studio))
    app.include_router(quantize_routes(studio))
    app.include_router(vote_routes(studio, stamp))
    app.include_router(present_routes(studio, stamp))
    app.include_router(file_routes(studio, keys))
    return _mount_gradio(app, studio, keys)


def _mount_gradio(app: FastAPI, studio: "Studio", keys: FileKeys) -> FastAPI:
    accounts = read_accounts(studio.settings.auth) if studio.settings.auth else None
    page = build_page(studio, keys)
    page._queue.sleep_when_free = QUEUE_LOOK_S
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        auth=accounts,
        theme=studio_theme(),
        i18n=translations(),
        footer_links=[],
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        max_file_size="64mb",
        favicon_path=str(Path(ASSETS / "images" / "icon.svg")),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    app.state.gradio = app.routes[-1].app  # type: ignore[attr-defined]
    if accounts:
        sessions = Sessions(studio.settings.home)
        app.state.gradio.tokens, app.state.gradio.cookie_id = sessions, sessions.cookie_id
    return app


def _answer_error(request: Request, error: StudioError) -> JSONResponse:
    """An error of our own routes: as data, and as the card that the page shows."""
    language = language_of(request)
    return JSONResponse(error_body(error.info, language), STATUS_OF.get(error.code, 400))


def error_body(error: ErrorInfo, language: str) -> dict[str, object]:
    return {
        "error": {
            "code": str(error.code),
            "message": error.message(language),
            "hint": error.hint(language),
        },
        "html": error_card(error, language, title=t("page.error.request", language)),
    }
