"""The page's private routes: what is going on now, and the few things that buttons ask for.

The page asks for news every third of a second while a job of its reader runs, once a second
otherwise, and not at all while nobody looks. Each part comes with a mark of its content; a part
whose mark the page already has is left out.
"""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zlib import crc32

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backend.contracts import JobKind, JobSnapshot, JobState
from backend.errors import Code, StudioError
from backend.studio import is_guest
from ui.access import page_owner
from ui.document import theme_of
from ui.i18n import language_of
from ui.parts.compare_one import run_card
from ui.parts.engine_jobs import engine_jobs
from ui.parts.history import history
from ui.parts.quantize_run import run_panel
from ui.parts.queue_panel import queue_panel
from ui.parts.server_card import server_cards
from ui.parts.stage import stage
from ui.parts.start import models_state
from ui.parts.status_bar import choices, status_bar
from ui.parts.visitors import host_menu, visitors_line

if TYPE_CHECKING:
    from backend.studio import Studio

MAX_PICTURE_BYTES = 64 * 1024**2
ENGINE_JOBS = (JobKind.ENGINE, JobKind.LOAD)
SERVER_JOBS = (JobKind.SERVE,)
QUANTIZE_JOBS = (JobKind.QUANTIZE, JobKind.QUANTIZE_IMAGES)
COMPARE_JOBS = (JobKind.COMPARE, JobKind.COMPARE_TEXT)
ELSEWHERE = (*SERVER_JOBS, *QUANTIZE_JOBS, *COMPARE_JOBS, JobKind.PUSH, JobKind.GENERATE)
"""What the Engines tab does not show."""
MOST_QUANTISED = 6
IN_HISTORY = tuple(kind for kind in JobKind if kind not in SERVER_JOBS)
"""Servers have cards of their own on the Chat tab."""
NEWS_S = 600.0
"""How long a job that has ended stays on the page beside what it is about."""


class Viewer(BaseModel):
    """What one open page looks at and already shows."""

    pinned: str = ""
    """The job that its reader chose to look at."""
    last: str = ""
    """The job that it showed last."""
    wizard: str = ""
    """The job that the wizard on the Quantise tab shows."""
    comparison: str = ""
    """The one that is open on the Compare tab."""
    seen: str = ""
    """`part.mark,part.mark`: what it shows now."""


class Unload(BaseModel):
    key: str


def live_state(
    studio: "Studio", owner: str, language: str, theme: str, viewer: Viewer
) -> dict[str, Any]:
    """All that the page draws by itself, less what the viewer already has."""
    live = studio.jobs.live(owner)
    job = viewed_job(studio, owner, live, viewer)
    guest = is_guest(owner)
    parts = {
        "status": status_bar(studio.machine.status(), language, guest),
        "choices": choices(language, theme),
        "queue": queue_panel(studio.jobs.queue(owner), language, guest),
        "stage": stage(job, language, time.time()) if job else "",
    }
    if guest:
        parts["visitors"] = visitors_line(language)
    else:
        parts |= _host_parts(studio, owner, language, live, viewer)
    marks = {name: f"{crc32(html.encode()):x}" for name, html in parts.items()}
    seen = set(viewer.seen.split(","))
    return {
        "live": [each.id for each in live],
        "job": job.id if job else "",
        "running": bool(job and job.state.is_live),
        "progress": job.step / job.total if job and job.state.is_live and job.total else None,
        "marks": marks,
        "parts": {name: parts[name] for name in parts if f"{name}.{marks[name]}" not in seen},
    }


def _host_parts(
    studio: "Studio",
    owner: str,
    language: str,
    live: tuple[JobSnapshot, ...],
    viewer: Viewer,
) -> dict[str, str]:
    """What visitors do not see."""
    now = time.time()
    parts = {
        "engine-jobs": engine_jobs(_engine_jobs(studio, owner, live, viewer), language, now),
        "quantize-run": _quantised(studio, owner, live, viewer, language),
        "compare-run": run_card(_compared(studio, owner, viewer), language, now),
        "servers": server_cards(
            studio.serving.servers(), _server_jobs(studio, owner, live), language, now
        ),
    }
    if studio.settings.visitors:
        parts["host"] = host_menu(studio.visitors.made(), studio.visitors.addresses(), language)
    return parts


def viewed_job(
    studio: "Studio", owner: str, live: tuple[JobSnapshot, ...], viewer: Viewer
) -> JobSnapshot | None:
    """The pictures that were chosen, else those that run, else the last ones shown, else the
    newest."""
    if (pinned := _job_or_none(studio, viewer.pinned, owner)) and _is_picture(pinned):
        return pinned
    pictures = [job for job in live if _is_picture(job)]
    running = [job for job in pictures if job.state == JobState.RUNNING] or pictures
    if running:
        return running[0]
    if (last := _job_or_none(studio, viewer.last, owner)) and _is_picture(last):
        return last
    newest = studio.jobs.history(owner, limit=1, kinds=(JobKind.GENERATE,)).jobs
    return newest[0] if newest else None


def _is_picture(job: JobSnapshot) -> bool:
    return job.kind == JobKind.GENERATE


def _engine_jobs(
    studio: "Studio", owner: str, live: tuple[JobSnapshot, ...], viewer: Viewer
) -> tuple[JobSnapshot, ...]:
    """What the Engines tab shows of its jobs: the live ones, the one chosen, and the newest while
    it is news."""
    shown = {job.id: job for job in live if _is_engines(job)}
    pinned = _job_or_none(studio, viewer.pinned, owner)
    newest = studio.jobs.history(owner, limit=1, kinds=ENGINE_JOBS).jobs
    for job in (*newest, *([pinned] if pinned else [])):
        recent = (job.finished_at or time.time()) > time.time() - NEWS_S
        if _is_engines(job) and (recent or job is pinned):
            shown.setdefault(job.id, job)
    return tuple(shown.values())


def _is_engines(job: JobSnapshot) -> bool:
    return job.kind not in ELSEWHERE


def _quantised(
    studio: "Studio", owner: str, live: tuple[JobSnapshot, ...], viewer: Viewer, language: str
) -> str:
    """The wizard's job, and the reader's other jobs of its kind: the live ones and the last."""
    job = _job_or_none(studio, viewer.wizard, owner)
    if job is not None and job.kind not in QUANTIZE_JOBS:
        job = None
    last = studio.jobs.history(owner, limit=MOST_QUANTISED, kinds=QUANTIZE_JOBS).jobs
    found = {each.id: each for each in (*live, *last) if each.kind in QUANTIZE_JOBS}
    others = [each for each in found.values() if job is None or each.id != job.id]
    return run_panel(job, others, language, time.time())


def _compared(studio: "Studio", owner: str, viewer: Viewer) -> JobSnapshot | None:
    job = _job_or_none(studio, viewer.comparison, owner)
    return job if job is not None and job.kind in COMPARE_JOBS else None


def _server_jobs(
    studio: "Studio", owner: str, live: tuple[JobSnapshot, ...]
) -> tuple[JobSnapshot, ...]:
    """The reader's starts of servers: the live ones, and the newest while its failure is news."""
    shown = {job.id: job for job in live if job.kind in SERVER_JOBS}
    for job in studio.jobs.history(owner, limit=1, kinds=SERVER_JOBS).jobs:
        recent = (job.finished_at or time.time()) > time.time() - NEWS_S
        if recent and job.state != JobState.SUCCEEDED:
            shown.setdefault(job.id, job)
    return tuple(shown.values())


def _job_or_none(studio: "Studio", job_id: str, owner: str) -> JobSnapshot | None:
    """None for none, and once it has been deleted, which is no news to who looks at it."""
    if not job_id:
        return None
    try:
        return studio.jobs.get(job_id, owner)
    except StudioError as error:
        if error.code != Code.JOB_NOT_FOUND:
            raise
        return None


def live_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio")

    @router.get("/live")
    def read_live(request: Request, viewer: Annotated[Viewer, Query()]) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        return live_state(studio, owner, language, theme_of(request), viewer)

    @router.get("/models")
    def read_models(request: Request) -> dict[str, Any]:
        guest = is_guest(page_owner(request))
        return models_state(studio.models.all(), language_of(request), guest)

    @router.get("/history")
    def read_history(request: Request, search: str = "", limit: int = 30) -> dict[str, str]:
        page = studio.jobs.history(
            page_owner(request), search[:500], limit=min(max(limit, 1), 3000), kinds=IN_HISTORY
        )
        return {"html": history(page, search, language_of(request))}

    @router.post("/jobs/{job_id}/{action}")
    def act(
        request: Request, job_id: str, action: Literal["cancel", "retry", "delete"]
    ) -> dict[str, str]:
        getattr(studio.jobs, action)(job_id, page_owner(request))
        return {"job": job_id}

    @router.post("/unload")
    def unload(request: Request, body: Unload) -> dict[str, str]:
        page_owner(request)
        studio.models.unload(body.key)
        return {"key": body.key}

    @router.post("/settings")
    async def read_settings(request: Request) -> dict[str, Any]:
        """The settings that a picture carries; the body is the picture's file."""
        page_owner(request)
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_PICTURE_BYTES:
                    raise StudioError(Code.IMAGE_UNREADABLE)
                file.write(chunk)
            file.flush()
            found = await run_in_threadpool(studio.pictures.settings_of, Path(file.name))
        return found.model_dump(mode="json")

    return router
