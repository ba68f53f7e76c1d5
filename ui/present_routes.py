"""Comparisons in front of an audience: the document, its slides, and what is asked live."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from backend.contracts import (
    ComparedServer,
    ComparedVariant,
    JobSnapshot,
    PictureReport,
    Report,
    TextReport,
)
from backend.errors import ErrorInfo, StudioError
from ui.access import page_owner
from ui.i18n import language_of, t
from ui.light_document import Page, light_document
from ui.parts.vote_names import report_names

if TYPE_CHECKING:
    from backend.studio import Studio

PRESENT_PAGE = Page(
    "present",
    ("tokens", "light", "compare-stage", "poll", "present"),
    ("present.", "vote.", "compare."),
)


class Asked(BaseModel):
    prompt: str


def present_routes(studio: "Studio", stamp: str) -> APIRouter:
    router = APIRouter()

    def slides(job: str, owner: str, language: str) -> dict[str, Any]:
        studio.presentations.sweep(job, owner)
        reports = studio.presentations.reports(job, owner)
        jobs = [studio.jobs.get(report.id, owner) for report in reports]
        return {
            "job": job,
            "reference": reports[0].reference,
            "variants": report_names(reports[0], language),
            "slides": [
                slide | {"live": report.id != job}
                for report, snapshot in zip(reports, jobs)
                for slide in slides_of(report, snapshot, language)
            ],
            "running": any(snapshot.state.is_live for snapshot in jobs),
        }

    @router.get("/present/{job}")
    def read_document(request: Request, job: str) -> Response:
        language, status = language_of(request), 200
        try:
            data = slides(job, page_owner(request), language)
        except StudioError as error:
            data, status = {"problem": _words(error.info, language)}, 404
        title = t("present.title", language)
        return light_document(request, PRESENT_PAGE, stamp, title, data, status=status)

    @router.get("/studio/present/{job}")
    def read_slides(request: Request, job: str) -> dict[str, Any]:
        return slides(job, page_owner(request), language_of(request))

    @router.post("/studio/present/{job}/ask")
    def ask(request: Request, job: str, asked: Asked) -> dict[str, Any]:
        owner = page_owner(request)
        made = studio.presentations.ask(job, asked.prompt.strip(), owner)
        return {"made": made} | slides(job, owner, language_of(request))

    @router.post("/studio/present/{job}/reset")
    def reset(request: Request, job: str) -> dict[str, Any]:
        owner = page_owner(request)
        studio.presentations.reset(job, owner)
        return slides(job, owner, language_of(request))

    return router


def slides_of(report: Report, job: JobSnapshot, language: str) -> list[dict[str, Any]]:
    """One for each prompt, by its first seed."""
    made = _answers(report) if isinstance(report, TextReport) else _pictures(report)
    variants: Sequence[ComparedVariant | ComparedServer] = report.variants
    return [
        {
            "key": f"{report.id}/{place}",
            "prompt": prompt,
            "text": isinstance(report, TextReport),
            "running": job.state.is_live,
            "sides": [
                made.get((number, place), {})
                | {"state": str(one.state), "error": _words(one.error or job.error, language)}
                for number, one in enumerate(variants)
            ],
        }
        for place, prompt in enumerate(report.request.prompts)
    ]


def _pictures(report: PictureReport) -> dict[tuple[int, int], dict[str, Any]]:
    return {
        (one.variant, one.prompt): {"src": f"/files/{report.id}/{one.file}"}
        for one in report.pictures
        if one.seed == 0
    }


def _answers(report: TextReport) -> dict[tuple[int, int], dict[str, Any]]:
    return {(one.variant, one.prompt): {"answer": one.text} for one in report.answers}


def _words(error: ErrorInfo | None, language: str) -> dict[str, str] | None:
    if error is None:
        return None
    return {
        "code": str(error.code),
        "message": error.message(language),
        "hint": error.hint(language),
    }
