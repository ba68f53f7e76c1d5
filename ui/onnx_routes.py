"""The private routes of the section for ONNX files."""

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from fastapi import APIRouter, Request
from pydantic import BaseModel

from backend.contracts import (
    JobKind,
    JobSnapshot,
    JobState,
    LookRequest,
    NetworkRequest,
    NetworkSource,
    NetworkView,
    Precision,
    RunRequest,
    Runtime,
)
from backend.errors import Code, StudioError
from ui.access import page_owner
from ui.i18n import language_of
from ui.parts.network import built_part, look_part, run_part
from ui.parts.network_form import source_part

if TYPE_CHECKING:
    from backend.studio import Studio

MAX_UPLOAD_BYTES = 16 * 1024**3


class Look(BaseModel):
    file: str
    repo: str = ""
    revision: str = ""


class Build(BaseModel):
    look: str
    """The job that looked into the file."""
    precision: str = ""
    runtime: Runtime = Runtime.TENSORRT
    target: str = ""
    sizes: dict[str, tuple[int, int, int]] = {}


class Run(BaseModel):
    engine: str
    seed: int = 0
    inputs: str = ""


def onnx_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio/onnx")

    @router.get("/state")
    def read_state(
        request: Request, look: str = "", build: str = "", run: str = "", seen: str = ""
    ) -> dict[str, Any]:
        """What the section shows of these jobs, less what the page already has."""
        owner, language = page_owner(request), language_of(request)
        looked, built, ran = (
            _job(studio, job_id, owner, kind)
            for job_id, kind in (
                (look, JobKind.LOOK),
                (build, JobKind.NETWORK),
                (run, JobKind.RUN),
            )
        )
        view = _view(looked)
        sizes = studio.networks.dimensions(view) if view else {}
        engine = _engine(studio, built)
        now = time.time()
        parts = {
            "source": source_part(studio.networks.files(), language),
            "look": look_part(looked, view, sizes, language, now),
            "build": built_part(built, engine, language, now),
            "run": run_part(ran, language, now),
        }
        marks = {name: f"{crc32(html.encode()):x}" for name, html in parts.items()}
        known = set(seen.split(","))
        return {
            "live": any(job is not None and job.state.is_live for job in (looked, built, ran)),
            "marks": marks,
            "parts": {n: html for n, html in parts.items() if f"{n}.{marks[n]}" not in known},
        }

    @router.post("/look")
    def look(request: Request, body: Look) -> dict[str, str]:
        source = NetworkSource(
            file=body.file.strip(),
            repo=body.repo.strip() or None,
            revision=body.revision.strip() or "main",
        )
        owner = page_owner(request)
        return {"job": studio.networks.look(LookRequest(source=source), owner)}

    @router.post("/build")
    def build(request: Request, body: Build) -> dict[str, str]:
        owner = page_owner(request)
        looked = studio.jobs.get(body.look, owner)
        view = _view(looked)
        if view is None:
            raise StudioError(Code.JOB_NOT_FOUND)
        asked = NetworkRequest(
            source=NetworkSource.model_validate(looked.request["source"]),
            precision=Precision(body.precision) if body.precision else None,
            runtime=body.runtime,
            target=body.target.strip() or None,
            shapes=studio.networks.shapes(view, body.sizes),
        )
        return {"job": studio.networks.build(asked, owner)}

    @router.post("/run")
    def run(request: Request, body: Run) -> dict[str, str]:
        asked = RunRequest(engine=body.engine, seed=body.seed, inputs=body.inputs.strip() or None)
        return {"job": studio.networks.run(asked, page_owner(request))}

    @router.post("/files/{name}")
    async def upload(request: Request, name: str) -> dict[str, str]:
        """Put a file into `onnx_files`; the body is the file."""
        page_owner(request)
        file = studio.networks.file_to_upload(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        size = int(request.headers.get("content-length", 0))
        if size > min(MAX_UPLOAD_BYTES, shutil.disk_usage(file.parent).free):
            raise StudioError(Code.DISK_FULL, path=str(file))
        await _receive(request, file)
        return {"file": name}

    return router


async def _receive(request: Request, file: Path) -> None:
    unfinished = file.with_name(f".{file.name}.{time.time_ns()}.part")
    received = 0
    try:
        with unfinished.open("wb") as stream:
            async for chunk in request.stream():
                received += len(chunk)
                if received > MAX_UPLOAD_BYTES:
                    raise StudioError(Code.DISK_FULL, path=str(file))
                stream.write(chunk)
        os.link(unfinished, file)
    except FileExistsError as error:
        raise StudioError(Code.ONNX_NAME_TAKEN, name=file.name) from error
    except OSError as error:
        raise StudioError(Code.DISK_FULL, str(error), path=str(file)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _job(studio: "Studio", job_id: str, owner: str, kind: JobKind) -> JobSnapshot | None:
    """None for none, and once it has been deleted."""
    if not job_id:
        return None
    try:
        job = studio.jobs.get(job_id, owner)
    except StudioError as error:
        if error.code != Code.JOB_NOT_FOUND:
            raise
        return None
    return job if job.kind == kind else None


def _view(job: JobSnapshot | None) -> NetworkView | None:
    if job is None or job.kind != JobKind.LOOK or job.state != JobState.SUCCEEDED:
        return None
    return NetworkView.model_validate(job.result)


def _engine(studio: "Studio", job: JobSnapshot | None) -> Any:
    """The engine that a build made, unless it has been deleted since."""
    if job is None or not job.result:
        return None
    made = set(job.result["engines"])
    return next((each for each in studio.engines.all() if each.manifest.id in made), None)
