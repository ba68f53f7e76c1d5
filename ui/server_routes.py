"""The private routes of the panel of servers."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backend.contracts import Endpoint
from backend.errors import ErrorInfo, StudioError
from ui.access import page_owner
from ui.i18n import language_of
from ui.parts.server_form import ServerForm, choose, request_of, server_form, wanted_model
from ui.parts.servers import outside_card, servers_panel

if TYPE_CHECKING:
    from backend.studio import Studio


class Key(BaseModel):
    key: str


def server_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio/servers")

    @router.get("")
    def read_panel(request: Request) -> dict[str, str]:
        page_owner(request)
        return {"html": servers_panel(language_of(request))}

    @router.get("/form")
    def read_form(request: Request, form: Annotated[ServerForm, Query()]) -> dict[str, str]:
        owner = page_owner(request)
        models = studio.chat.models()
        wanted = wanted_model(form, models)
        options = studio.serving.options(wanted, owner, *form.limits()) if wanted else None
        choice = choose(form, wanted, options)
        folders = studio.settings.auth is None
        return {"html": server_form(form, models, choice, folders, language_of(request))}

    @router.get("/outside")
    async def read_outside(request: Request) -> dict[str, str]:
        """Asks the server of the settings, each time that somebody opens the panel."""
        await run_in_threadpool(page_owner, request)
        url = studio.settings.chat_url
        found: Endpoint | ErrorInfo | None = None
        if url:
            try:
                found = await studio.chat.outside()
            except StudioError as error:
                found = error.info
        return {"html": outside_card(url, found, language_of(request))}

    @router.post("/start")
    def start(request: Request, form: ServerForm) -> dict[str, str]:
        owner = page_owner(request)
        wanted = wanted_model(form, studio.chat.models())
        job = studio.chat.serve(request_of(form, wanted), owner)
        studio.serving.prepare()
        return {"job": job}

    @router.post("/stop")
    def stop(request: Request, body: Key) -> dict[str, str]:
        page_owner(request)
        studio.chat.stop(body.key)
        return {"key": body.key}

    return router
