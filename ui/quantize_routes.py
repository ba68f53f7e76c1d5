"""The private routes of the Quantise tab's wizard."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backend.contracts import (
    CalibrationPreview,
    JobKind,
    QuantizeImagesRequest,
    QuantizeRequest,
)
from backend.errors import Code, StudioError
from ui.access import page_owner
from ui.i18n import language_of
from ui.parts.error_card import error_card
from ui.parts.quantize_form import (
    PICTURES,
    STEPS,
    USUAL,
    Page,
    QuantizeForm,
    Sort,
    dataset_of,
    fields_of,
)
from ui.parts.quantize_frame import framed, stepper
from ui.parts.quantize_images_form import images_fields_of
from ui.parts.quantize_model import model_step
from ui.parts.quantize_run import result_key
from ui.parts.quantize_text import name_of
from ui.quantize_language import LANGUAGE
from ui.quantize_pictures import PICTURE, told_of_pictures

if TYPE_CHECKING:
    from backend.studio import Studio

MOST_TEXT_BYTES = 65 << 20
"""More than any text may have."""


class Wanted(BaseModel):
    model: str


def quantize_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio/quantize")

    @router.get("/wizard")
    def read_wizard(request: Request, form: Annotated[QuantizeForm, Query()]) -> dict[str, Any]:
        """The step that the form stands at, and the list of steps."""
        owner, language = page_owner(request), language_of(request)
        step = form.step if form.step in STEPS else STEPS[0]
        key = _result(studio, form.job, owner)
        if key is None:
            form = form.model_copy(update={"job": ""})
        page = _drawn(studio, step, form, owner, language)
        open_ = STEPS[:1] if step == STEPS[0] and not page.ready else STEPS[:-1]
        return {
            "html": framed(step, page, language),
            "steps": stepper(
                step, (*open_, STEPS[-1]), _told(studio, form, owner, language), key or "", language
            ),
            "step": step,
            "job": form.job,
        }

    @router.get("/jobs/{job_id}")
    def read_settings(request: Request, job_id: str) -> dict[str, str]:
        """The wizard's fields as a job was asked for."""
        job = studio.jobs.get(job_id, page_owner(request))
        if job.kind is JobKind.QUANTIZE_IMAGES:
            return images_fields_of(QuantizeImagesRequest.model_validate(job.request))
        return fields_of(QuantizeRequest.model_validate(job.request))

    @router.post("/hub")
    def ask_hub(request: Request, body: Wanted) -> dict[str, bool]:
        facts = studio.quantize.ask_hub(body.model.strip(), page_owner(request))
        return {"usable": facts.problem is None}

    @router.post("/texts/{name}")
    async def keep_text(request: Request, name: str) -> dict[str, str]:
        """Keep a text to calibrate or to score on; the body is the file."""
        page_owner(request)
        content = b""
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_TEXT_BYTES:
                break
        return _kept(await run_in_threadpool(studio.quantize.preview_text, content, name), name)

    @router.post("/dataset")
    def take_dataset(request: Request, form: QuantizeForm) -> dict[str, str]:
        page_owner(request)
        asked = dataset_of(form)
        return _kept(studio.quantize.take_dataset(asked), f"{asked.dataset} ({asked.split})")

    @router.post("/start")
    def start(request: Request, form: QuantizeForm) -> dict[str, str]:
        return {"job": _sort(form).start(studio, form, page_owner(request))}

    return router


def _kept(text: CalibrationPreview, name: str) -> dict[str, str]:
    return {"text": text.name, "name": name}


def _sort(form: QuantizeForm) -> Sort:
    return PICTURE if form.of_pictures else LANGUAGE


def _drawn(studio: "Studio", step: str, form: QuantizeForm, owner: str, language: str) -> Page:
    """What is wrong takes the place of what cannot be drawn."""
    try:
        page: Page = getattr(_sort(form), step)(studio, form, owner, language)
    except StudioError as error:
        page = Page(error_card(error.info, language), ready=False)
    if step != STEPS[0]:
        return page
    folders = studio.settings.auth is None
    offered, pictures = studio.quantize.offered(), studio.models.all()
    return Page(model_step(form, offered, pictures, folders, page.html, language), page.ready)


def _result(studio: "Studio", job_id: str, owner: str) -> str | None:
    """The key of what a job made, empty while there is nothing; None for a job that is gone."""
    if not job_id:
        return ""
    try:
        return result_key(studio.jobs.get(job_id, owner))
    except StudioError as error:
        if error.code is not Code.JOB_NOT_FOUND:
            raise
        return None


def _told(studio: "Studio", form: QuantizeForm, owner: str, language: str) -> dict[str, str]:
    """What was chosen in each step, in few words."""
    told = {"model": form.wanted.removeprefix(PICTURES)}
    if form.of_pictures:
        with suppress(StudioError):
            told |= told_of_pictures(studio, form, owner)
        return told
    samples, length = form.samples or USUAL.samples, form.length or USUAL.length
    text = name_of(form, form.calibration, language)
    return told | {
        "recipe": form.recipe + (f" · KV {form.kv_cache}" if form.kv_cache != "none" else ""),
        "calibration": f"{text} · {samples} × {length}",
    }
