"""The private routes of the Compare tab."""

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from backend.contracts import ComparisonEntry, JobSnapshot, Report
from backend.errors import Code, StudioError
from backend.studio import shown_report
from ui.access import page_owner
from ui.compare_forms import drawn_form, start_form
from ui.i18n import language_of
from ui.parts.compare_form import CompareForm, form_of
from ui.parts.compare_list import FACES, choices, past_list
from ui.parts.compare_one import others_head, own_head

if TYPE_CHECKING:
    from backend.studio import Studio

MOST_PROMPT_BYTES = 2 << 20
MOST_REPORT_BYTES = 512 << 20
"""Of what is sent; the backend has limits of its own."""
MOST_SEARCH = 500
PER_PAGE, MOST_LISTED = 30, 3000
ALL = "all.zip"
PACKED = (".png", ".json", ".html")


class One(BaseModel):
    id: str
    title: str = ""


def compare_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio/compare")
    _forms(router, studio)
    _past(router, studio)
    _changes(router, studio)
    return router


def _forms(router: APIRouter, studio: "Studio") -> None:
    @router.post("/form")
    def draw_form(request: Request, form: CompareForm) -> dict[str, str]:
        """The form as it stands; its own state is the page's."""
        owner = page_owner(request)
        return {"html": drawn_form(studio, form, owner, language_of(request))}

    @router.post("/start")
    def start(request: Request, form: CompareForm) -> dict[str, str]:
        return {"job": start_form(studio, form, page_owner(request), language_of(request))}

    @router.post("/prompts/{name}")
    async def read_prompts(request: Request, name: str) -> dict[str, Any]:
        """The prompts of a file, which is the body; the page keeps them."""
        await run_in_threadpool(page_owner, request)
        content = await _body(request, MOST_PROMPT_BYTES)
        found = await run_in_threadpool(studio.compare.parse_prompts, content, name)
        return {"prompts": found, "name": name}

    @router.get("/form/{job_id}")
    def read_settings(request: Request, job_id: str) -> dict[str, Any]:
        """The form's fields as a comparison was asked for."""
        return form_of(studio.compare.show(job_id, page_owner(request)).request)


def _past(router: APIRouter, studio: "Studio") -> None:
    @router.get("/past")
    def read_past(request: Request, search: str = "", limit: int = PER_PAGE) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        count = min(max(limit, 1), MOST_LISTED)
        found = studio.compare.list(owner, search[:MOST_SEARCH], count + 1)
        shown = found[:count]
        return {
            "html": past_list(shown, _faces(studio, shown), search, language),
            "choices": choices(shown, language),
            "more": len(found) > count,
        }

    @router.get("/one/{job_id}")
    def read_one(request: Request, job_id: str, mark: str = "") -> dict[str, Any]:
        """A comparison and its report, which is left out where the page has that very one."""
        owner, language = page_owner(request), language_of(request)
        job = _job(studio, job_id, owner)
        now = _mark(studio, job)
        told: dict[str, Any] = {"state": str(job.state), "live": job.state.is_live, "mark": now}
        if now == mark:
            return told
        report = studio.compare.show(job_id, owner)
        return told | {
            "head": own_head(job, report.title, language),
            "report": shown_report(report, language),
        }

    @router.post("/read/{name}")
    async def read_report(request: Request, name: str) -> dict[str, Any]:
        """A report from elsewhere, as a `report.json` or a `report.html`: the body."""
        await run_in_threadpool(page_owner, request)
        language = language_of(request)
        content = await _body(request, MOST_REPORT_BYTES)
        report: Report = await run_in_threadpool(studio.compare.read, content)
        return {
            "head": others_head(report.title, name, language),
            "report": await run_in_threadpool(shown_report, report, language),
        }

    @router.get("/files/{job_id}/{name}")
    def read_file(request: Request, job_id: str, name: str) -> FileResponse:
        owner = page_owner(request)
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        shown = f"spark-studio-{job_id[:8]}-{name}"
        if name == ALL:
            packed = _packed(studio, job_id, owner)
            away = BackgroundTask(packed.unlink)
            return FileResponse(packed, filename=shown, headers=headers, background=away)
        if name == "report.html":
            file = studio.compare.html(job_id, owner)
        else:
            file = studio.compare.file(job_id, name, owner)
        return FileResponse(
            file, filename=shown, media_type="application/octet-stream", headers=headers
        )


def _changes(router: APIRouter, studio: "Studio") -> None:
    @router.post("/rename")
    def rename(request: Request, one: One) -> dict[str, str]:
        studio.compare.rename(one.id, one.title, page_owner(request))
        return {"id": one.id}

    @router.post("/repeat")
    def repeat(request: Request, one: One) -> dict[str, str]:
        return {"job": studio.compare.repeat(one.id, page_owner(request))}

    @router.post("/delete")
    def delete(request: Request, one: One) -> dict[str, str]:
        studio.compare.delete(one.id, page_owner(request))
        return {"id": one.id}


async def _body(request: Request, most: int) -> bytes:
    """As far as it matters: of one that is too long, enough to see that."""
    parts, size = [], 0
    async for chunk in request.stream():
        parts.append(chunk)
        size += len(chunk)
        if size > most:
            break
    return b"".join(parts)


def _job(studio: "Studio", job_id: str, owner: str) -> JobSnapshot:
    """Raises StudioError COMPARISON_NOT_FOUND."""
    try:
        return studio.jobs.get(job_id, owner)
    except StudioError as error:
        if error.code is not Code.JOB_NOT_FOUND:
            raise
        raise StudioError(Code.COMPARISON_NOT_FOUND, comparison=job_id[:120]) from error


def _mark(studio: "Studio", job: JobSnapshot) -> str:
    """Changes with the report and with the job's state."""
    try:
        status = (studio.settings.outputs / job.id / "report.json").stat()
    except OSError:
        return str(job.state)
    return f"{job.state}.{status.st_mtime_ns:x}.{status.st_size:x}"


def _faces(studio: "Studio", entries: tuple[ComparisonEntry, ...]) -> dict[str, list[str]]:
    """The first picture of each variant."""
    return {
        entry.id: [
            f"/files/{entry.id}/{name}"
            for name in (f"v{place}-p0-s0.png" for place in range(FACES))
            if (studio.settings.outputs / entry.id / name).is_file()
        ]
        for entry in entries
        if entry.kind == "pictures"
    }


def _packed(studio: "Studio", job_id: str, owner: str) -> Path:
    """All files of a comparison as they are, in an archive that its reader deletes."""
    folder = studio.compare.html(job_id, owner).parent
    files = [file for file in sorted(folder.iterdir()) if file.suffix in PACKED]
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as made:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.write(file, file.name)
        return Path(made.name)
