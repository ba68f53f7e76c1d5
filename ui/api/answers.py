"""What the API's endpoints take and give: requests made of plain values, jobs and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from pydantic import ValidationError

from backend.contracts import Contract, GenerateResult, JobSnapshot
from backend.errors import Code, ErrorInfo, StudioError
from ui.access import FileKeys, by_visitor, http_request
from ui.files import file_address

R = TypeVar("R", bound=Contract)


@contextmanager
def told() -> Iterator[None]:
    """Tell the client of a StudioError, instead of Gradio's bare `Error`."""
    try:
        yield
    except StudioError as error:
        info = error.info
        text = f"{info.code}: {info.message()} {info.hint()}"
        raise gr.Error(text, print_exception=False) from error


def valid(kind: type[R], values: dict[str, Any]) -> R:
    """Raises StudioError INVALID_REQUEST."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise StudioError(Code.INVALID_REQUEST, problem=problem) from error


def job_data(job: JobSnapshot, keys: FileKeys, request: gr.Request) -> dict[str, Any]:
    """A job as the API tells of it.

    `file` is a place on the server, see `without_paths`, which visitors are not told. `url` can be
    fetched without a cookie.
    """
    visitor = by_visitor(http_request(request))
    result = GenerateResult.model_validate(job.result) if job.result and job.images else None
    base = str(http_request(request).base_url).rstrip("/")
    return {
        "job_id": job.id,
        "kind": str(job.kind),
        "state": str(job.state),
        "phase": job.phase,
        "step": job.step,
        "total": job.total,
        "position": job.position,
        "wait_s": job.wait_s,
        "eta_s": job.eta_s,
        "created_at": job.created_at,
        "variant": job.variant,
        "request": job.request,
        "images": [
            {
                "file": None if visitor else image.path,
                "url": f"{base}{file_address(job, image)}"
                f"?key={keys.sign(job.id, Path(image.path).name)}",
                "seed": image.seed,
                "width": image.width,
                "height": image.height,
            }
            for image in job.images
        ],
        "metrics": result.metrics.model_dump(mode="json") if result else None,
        "result": None if result else without_paths(job.result),
        "error": _error(job.error),
    }


def without_paths(value: Any) -> Any:
    """The same with every `path` called `file`: `gradio_client` takes what has a `path` for a file
    of its own, downloads it and puts that in its place."""
    if isinstance(value, dict):
        return {
            "file" if key == "path" else key: without_paths(each) for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_paths(each) for each in value]
    return value


def _error(error: ErrorInfo | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": str(error.code), "message": error.message(), "hint": error.hint()}
