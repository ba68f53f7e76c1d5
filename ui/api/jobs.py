"""The public API's endpoints about one's own jobs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.access import FileKeys, owner_of
from ui.api.answers import job_data, told

if TYPE_CHECKING:
    from backend.studio import Studio

STOPPED_WITHIN_S = 1.0
MOST_JOBS = 500


def job_endpoints(studio: "Studio", keys: FileKeys) -> tuple[Callable[..., Any], ...]:
    def jobs(request: gr.Request, search: str = "", limit: int = 30) -> list[dict[str, Any]]:
        """One's own jobs, newest first, whose prompt contains `search`."""
        with told():
            number = min(max(limit, 1), MOST_JOBS)
            page = studio.jobs.history(owner_of(request), search, limit=number)
            return [job_data(job, keys, request) for job in page.jobs]

    def job(request: gr.Request, job_id: str) -> dict[str, Any]:
        """One job as it stands now."""
        with told():
            return job_data(studio.jobs.get(job_id, owner_of(request)), keys, request)

    def cancel(request: gr.Request, job_id: str) -> dict[str, Any]:
        """Stop a job that waits or runs."""
        with told():
            owner = owner_of(request)
            studio.jobs.cancel(job_id, owner)
            return job_data(studio.jobs.wait(job_id, owner, STOPPED_WITHIN_S), keys, request)

    return jobs, job, cancel
