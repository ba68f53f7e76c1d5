"""What an endpoint does that follows a job to its end."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.contracts import JobSnapshot, JobState, Text
from backend.errors import Code, ErrorInfo, StudioError
from ui.access import FileKeys, owner_of
from ui.api.answers import job_data, told

if TYPE_CHECKING:
    from backend.studio import Studio

NEWS_EVERY_S = 0.5
News = Iterator[dict[str, Any]]
Follow = Callable[[gr.Request, Callable[[str], str]], News]
"""Submits a job for the owner it gives, and yields the job as it proceeds; the last one has its
`result`, or its pictures."""


def follower(studio: "Studio", keys: FileKeys) -> Follow:
    def follow(request: gr.Request, submit: Callable[[str], str]) -> News:
        with told():
            owner = owner_of(request)
            job_id = submit(owner)
            while (job := studio.jobs.wait(job_id, owner, NEWS_EVERY_S)).state.is_live:
                yield job_data(job, keys, request)
            if job.state != JobState.SUCCEEDED:
                raise UnfinishedError(job)
            yield job_data(job, keys, request)

    return follow


class UnfinishedError(StudioError):
    """A job that came to no good end."""

    def __init__(self, job: JobSnapshot) -> None:
        stopped = ErrorInfo(code=Code.JOB_STOPPED, values={"state": Text(key=f"state.{job.state}")})
        info = job.error or stopped
        super().__init__(info.code, info.detail, **info.values)
