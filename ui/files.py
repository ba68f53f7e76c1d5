"""Pictures: the untouched PNG files, and only for the one who made them."""

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from backend.contracts import ImageResult, JobSnapshot
from backend.errors import Code, StudioError
from ui.access import FileKeys, page_owner

if TYPE_CHECKING:
    from backend.studio import Studio


def file_address(job: JobSnapshot, image: ImageResult) -> str:
    """Where the page and API clients fetch a picture of `job`."""
    return f"/files/{job.id}/{Path(image.path).name}"


def file_routes(studio: "Studio", keys: FileKeys) -> APIRouter:
    router = APIRouter()
    outputs = studio.settings.outputs.resolve()

    @router.get("/files/{job_id}/{name}")
    def read_file(
        request: Request, job_id: str, name: str, key: str = "", download: bool = False
    ) -> FileResponse:
        file = (outputs / job_id / name).resolve()
        if not file.is_relative_to(outputs):
            raise StudioError(Code.ACCESS_DENIED)
        if not keys.allows(job_id, name, key):
            owner = page_owner(request)
            if studio.pictures.owner_of_file(file) != owner:
                raise StudioError(Code.ACCESS_DENIED)
        if file.suffix != ".png" or not file.is_file():
            raise StudioError(Code.JOB_NOT_FOUND)
        return FileResponse(
            file,
            media_type="image/png",
            filename=f"spark-studio-{job_id[:8]}-{name}" if download else None,
            headers={
                "cache-control": "private, max-age=31536000, immutable",
                "x-content-type-options": "nosniff",
            },
        )

    return router
