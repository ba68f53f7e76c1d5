"""The private routes of the results of quantising."""

import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backend.contracts import JobState, PicturesView, PushResult, ServeCommand
from ui.access import page_owner
from ui.i18n import language_of, t
from ui.parts.job_card import job_card
from ui.parts.markup import esc
from ui.parts.quantize_images_result import pictures_view
from ui.parts.quantize_result import result_view
from ui.parts.quantize_result_list import result_list

if TYPE_CHECKING:
    from backend.studio import Studio


class Key(BaseModel):
    key: str


class Push(BaseModel):
    key: str
    repo: str = ""
    private: bool = True
    existing: bool = False


def quantize_result_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio/results")

    @router.get("")
    def read_list(request: Request) -> dict[str, Any]:
        found = studio.results.list(page_owner(request))
        return {"html": result_list(found, language_of(request)), "count": len(found)}

    @router.get("/one")
    def read_one(request: Request, key: str) -> dict[str, str]:
        owner = page_owner(request)
        view = studio.results.show(key, owner)
        if isinstance(view, PicturesView):
            html = pictures_view(view, language_of(request))
            return {"html": html, "key": view.entry.key}
        serve: tuple[ServeCommand, ...] = ()
        if view.manifest is not None:
            serve = studio.results.serve_commands(view.entry.key, owner)
        return {"html": result_view(view, serve, language_of(request)), "key": view.entry.key}

    @router.get("/file")
    def read_file(request: Request, key: str, name: str) -> FileResponse:
        file = studio.results.file(key, name, page_owner(request))
        return FileResponse(
            file,
            filename=name,
            media_type="application/octet-stream",
            headers={"x-content-type-options": "nosniff", "cache-control": "no-store"},
        )

    @router.post("/agree")
    async def agree(request: Request, body: Key) -> dict[str, str]:
        owner = await run_in_threadpool(page_owner, request)
        await studio.results.agree(body.key, owner)
        return {"key": body.key}

    @router.post("/push")
    def push(request: Request, body: Push) -> dict[str, str]:
        owner = page_owner(request)
        asked = {"private": body.private, "existing": body.existing}
        return {"job": studio.results.push(body.key, body.repo.strip(), owner, **asked)}

    @router.get("/push/{job_id}")
    def read_push(request: Request, job_id: str) -> dict[str, Any]:
        """How an upload stands."""
        language = language_of(request)
        job = studio.jobs.get(job_id, page_owner(request))
        if job.state is JobState.SUCCEEDED:
            done = PushResult.model_validate(job.result)
            words = t("page.result.pushed", language, size_bytes=done.size_bytes)
            link = f'<a href="{esc(done.url)}" target="_blank" rel="noopener">{esc(done.repo)}</a>'
            card = f'<section class="s-card" role="status"><p>{esc(words)} {link}</p></section>'
            return {"live": False, "html": card}
        return {"live": job.state.is_live, "html": job_card(job, language, time.time())}

    @router.post("/delete")
    def delete(request: Request, body: Key) -> dict[str, str]:
        gone = studio.results.delete(body.key, page_owner(request))
        words = t(
            "page.result.deleted", language_of(request), name=gone.name, size_bytes=gone.size_bytes
        )
        return {"html": f'<section class="s-card" role="status"><p>{esc(words)}</p></section>'}

    return router
