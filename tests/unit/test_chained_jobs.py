"""Pictures that wait for the building of their engines."""

import time
from typing import Any

import pytest

from backend.contracts import JobState, Precision, Runtime
from backend.errors import Code, ErrorInfo, StudioError
from backend.studio import Studio
from tests.support import OWNER, request

FP8 = {"precision": Precision.FP8, "runtime": Runtime.ONNXRUNTIME}


def release(studio: Studio) -> None:
    """What every worker does once a second."""
    studio.desk.queue.release()
    studio.desk.board.forget()


@pytest.fixture
def chained(any_studio: Studio) -> tuple[Studio, str, str]:
    """A studio, the build, and the pictures that wait for it."""
    pictures = any_studio.pictures.prepare_then_generate(request(**FP8), OWNER)
    build = any_studio.jobs.get(pictures, OWNER).waits_for
    assert build
    return any_studio, build, pictures


def end(studio: Studio, job_id: str, state: JobState, **facts: Any) -> None:
    store = studio.desk.store
    assert store.move(job_id, JobState.RUNNING, started_at=time.time())
    assert store.move(job_id, state, finished_at=time.time(), **facts)


def workflows(studio: Studio) -> set[str]:
    return {one.workflow_id for one in studio.desk.queue.client.list_workflows()}


def test_pictures_are_in_no_queue_until_the_engines_are_built(chained) -> None:
    studio, build, pictures = chained
    other = studio.pictures.generate(request(), OWNER)
    assert studio.jobs.get(pictures, OWNER).state is JobState.QUEUED
    assert studio.jobs.get(pictures, OWNER).position is None
    assert studio.jobs.get(other, OWNER).position == 1
    assert [entry.waits for entry in studio.jobs.queue(OWNER)].count(True) == 1
    release(studio)
    assert f"{pictures}.1" not in workflows(studio)
    end(studio, build, JobState.SUCCEEDED, result={"engines": [], "built": 4})
    release(studio)
    release(studio)
    assert f"{pictures}.1" in workflows(studio)
    assert studio.jobs.get(pictures, OWNER).waits_for is None
    assert studio.jobs.get(pictures, OWNER).position == 2


def test_pictures_fail_with_the_reason_when_the_build_does(chained) -> None:
    studio, build, pictures = chained
    error = ErrorInfo(code=Code.DISK_FULL, values={"path": "/here"}, detail="the log")
    end(studio, build, JobState.FAILED, error=error)
    release(studio)
    failed = studio.jobs.get(pictures, OWNER)
    assert failed.state is JobState.FAILED
    assert failed.error
    assert failed.error.code is Code.PREPARATION_FAILED
    assert "/here" in failed.error.message()
    assert failed.error.detail == "the log"
    assert failed.retryable


@pytest.mark.parametrize("state", ["cancelled", "deleted"])
def test_pictures_fail_when_the_build_is_stopped(chained, state: str) -> None:
    studio, build, pictures = chained
    studio.jobs.cancel(build, OWNER)
    if state == "deleted":
        studio.jobs.delete(build, OWNER)
    release(studio)
    failed = studio.jobs.get(pictures, OWNER)
    assert failed.error
    assert failed.error.code is Code.PREPARATION_FAILED
    assert failed.error.message("ko") != failed.error.message("en")


def test_stopped_pictures_leave_the_build_alone_and_never_start(chained) -> None:
    studio, build, pictures = chained
    studio.jobs.cancel(pictures, OWNER)
    assert studio.jobs.get(pictures, OWNER).state is JobState.CANCELLED
    end(studio, build, JobState.SUCCEEDED, result={"engines": [], "built": 4})
    release(studio)
    assert studio.jobs.get(pictures, OWNER).state is JobState.CANCELLED
    assert f"{pictures}.1" not in workflows(studio)
    studio.jobs.retry(pictures, OWNER)
    assert studio.jobs.get(pictures, OWNER).position == 1


def test_a_second_request_waits_for_the_same_build(studio: Studio) -> None:
    first, second = (studio.pictures.prepare_then_generate(request(**FP8), OWNER) for _ in range(2))
    assert studio.jobs.get(first, OWNER).waits_for == studio.jobs.get(second, OWNER).waits_for
    stranger = studio.pictures.prepare_then_generate(request(**FP8), "visitor:other")
    assert studio.jobs.get(stranger, None).waits_for != studio.jobs.get(first, OWNER).waits_for


def test_nothing_is_queued_for_a_request_that_cannot_work(studio: Studio) -> None:
    for changes, code in (
        ({"prompt": " "}, Code.PROMPT_EMPTY),
        ({"width": 65}, Code.SIZE_NOT_MULTIPLE),
        ({"precision": Precision.INT4}, Code.VARIANT_UNKNOWN),
    ):
        with pytest.raises(StudioError) as refusal:
            studio.pictures.prepare_then_generate(request(**(FP8 | changes)), OWNER)
        assert refusal.value.code is code
    assert studio.jobs.live(None) == ()
    ready = studio.pictures.prepare_then_generate(request(), OWNER)
    assert studio.jobs.get(ready, OWNER).position == 1
