"""Jobs on real workers: what happens to them when things go well, and when they do not."""

from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil
import pytest
from dbos._error import DBOSStreamTimeoutError

from backend.contracts import JobState, VerifyRequest
from backend.errors import Code, StudioError
from backend.studio import Studio
from tests.nursery import CHILD
from tests.support import (
    LONG,
    OWNER,
    PATIENCE_S,
    WarmWorker,
    await_phase,
    request,
    running_worker,
    until,
)


def ended(studio: Studio, job_id: str) -> JobState:
    return studio.jobs.wait(job_id, OWNER, PATIENCE_S).state


def events_of(studio: Studio, job_id: str) -> list[dict[str, Any]]:
    """All that was told of the job's first attempt by now."""
    told: list[dict[str, Any]] = []
    client = studio.desk.queue.client
    with suppress(DBOSStreamTimeoutError):
        for event in client.read_stream(f"{job_id}.1", "events", timeout_seconds=0):
            told.append(event)  # noqa: PERF402  what came before the time was up
    return told


def begun(studio: Studio, job_id: str, phase: str) -> int:
    """How often a phase of that attempt was begun, in whichever worker."""
    told = events_of(studio, job_id)
    return sum(event["phase"] == phase and not event.get("step") for event in told)


def phases_of(studio: Studio, job_id: str) -> list[str]:
    """The phases of that attempt in their order."""
    return [name for name, _ in groupby(event["phase"] for event in events_of(studio, job_id))]


def test_a_job_runs_through_its_phases_to_a_picture(any_studio: Studio) -> None:
    with running_worker(any_studio.settings):
        job_id = any_studio.pictures.generate(request(count=2), OWNER)
        job = any_studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert phases_of(any_studio, job_id) == ["load", "encode", *2 * ["denoise", "decode", "save"]]
    assert [image.seed for image in job.images] == [7, 8]
    assert all(Path(image.path).stat().st_size > 0 for image in job.images)
    assert job.peak_memory_bytes
    assert job.peak_memory_bytes > 50 * 1024**2
    assert job.result
    assert job.result["metrics"]["step_ms"] > 0


def test_a_worker_killed_in_a_picture_interrupts_that_job_only(any_studio: Studio) -> None:
    studio = any_studio
    with running_worker(studio.settings) as worker:
        job_id = studio.pictures.generate(request(**LONG), OWNER)
        waiting_id = studio.pictures.generate(request(), OWNER)
        await_phase(studio, job_id, "denoise", 3)
        worker.kill()
    assert studio.jobs.get(waiting_id, OWNER).state is JobState.QUEUED
    with running_worker(studio.settings) as worker:
        assert ended(studio, waiting_id) is JobState.SUCCEEDED
        interrupted = studio.jobs.get(job_id, OWNER)
        assert interrupted.state is JobState.INTERRUPTED
        assert interrupted.error
        assert interrupted.error.code is Code.WORKER_DIED
        assert interrupted.retryable
        studio.jobs.retry(job_id, OWNER)
        await_phase(studio, job_id, "denoise", 3)
        worker.kill()
    with running_worker(studio.settings):
        until(lambda: not studio.jobs.get(job_id, OWNER).state.is_live, "the second interruption")
        twice = studio.jobs.get(job_id, OWNER)
        assert twice.error
        assert twice.error.code is Code.JOB_KEEPS_CRASHING
        assert not twice.retryable
        with pytest.raises(StudioError) as refusal:
            studio.jobs.retry(job_id, OWNER)
        assert refusal.value.code is Code.JOB_KEEPS_CRASHING


def test_cancel_takes_effect_amid_the_steps(any_studio: Studio) -> None:
    studio = any_studio
    with running_worker(studio.settings):
        job_id = studio.pictures.generate(request(**LONG), OWNER)
        await_phase(studio, job_id, "denoise", 3)
        studio.jobs.cancel(job_id, OWNER)
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
        assert job.state is JobState.CANCELLED
        assert phases_of(studio, job_id)[-1] == "denoise"
        assert studio.jobs.get(job_id, OWNER).retryable
        with pytest.raises(StudioError) as refusal:
            studio.jobs.cancel(job_id, OWNER)
        assert refusal.value.code is Code.JOB_NOT_CANCELLABLE


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(any_studio: Studio) -> None:
    studio = any_studio
    first, second = (studio.pictures.generate(request(), OWNER) for _ in range(2))
    assert studio.jobs.get(second, OWNER).position == 2
    studio.jobs.cancel(first, OWNER)
    assert studio.jobs.get(first, OWNER).state is JobState.CANCELLED
    assert studio.jobs.get(second, OWNER).position == 1
    with running_worker(studio.settings):
        assert ended(studio, second) is JobState.SUCCEEDED
    assert studio.jobs.get(first, OWNER).started_at is None


def test_a_clean_stop_loses_nothing(any_studio: Studio) -> None:
    studio = any_studio
    with running_worker(studio.settings) as worker:
        job_id = studio.pictures.generate(request(**LONG), OWNER)
        await_phase(studio, job_id, "denoise", 3)
        assert worker.stop() == 0
    assert studio.jobs.get(job_id, OWNER).state is JobState.QUEUED
    assert studio.machine.health().worker == "missing"
    with running_worker(studio.settings):
        await_phase(studio, job_id, "denoise", 3)


def test_a_job_of_several_phases_goes_on_from_the_last_finished_one(any_studio: Studio) -> None:
    studio = any_studio
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        worker.kill()
    with running_worker(studio.settings):
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result
    assert job.result["files"] > 0
    assert (begun(studio, job_id, "digest"), begun(studio, job_id, "try")) == (1, 2)


def test_a_clean_stop_keeps_finished_phases(studio: Studio) -> None:
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        assert worker.stop() == 0
    assert studio.jobs.get(job_id, OWNER).state is JobState.QUEUED
    with running_worker(studio.settings):
        until(lambda: begun(studio, job_id, "try") == 2, "the second try")
    assert begun(studio, job_id, "digest") == 1


def child_of(worker: WarmWorker) -> psutil.Process:
    def find() -> psutil.Process | None:
        children = psutil.Process(worker.pid).children()
        return next((each for each in children if CHILD[-1] in each.cmdline()), None)

    return until(find, "a child process")


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_cancel_kills_a_child(studio: Studio) -> None:
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        child = child_of(worker)
        studio.jobs.cancel(job_id, OWNER)
        assert ended(studio, job_id) is JobState.CANCELLED
        assert gone(child)


def test_a_child_dies_with_its_worker(studio: Studio) -> None:
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        child = child_of(worker)
        worker.kill()
        until(lambda: gone(child), "the child's end")


def test_two_workers_share_a_queue_without_doing_a_job_twice(any_studio: Studio) -> None:
    studio = any_studio
    both = [studio.pictures.generate(request(**LONG), OWNER) for _ in range(2)]
    ids = [studio.pictures.generate(request(seed=seed, steps=4), OWNER) for seed in range(6)]
    with running_worker(studio.settings, "one"), running_worker(studio.settings, "two"):
        for job_id in both:
            await_phase(studio, job_id, "denoise", 1)
        rows = [studio.desk.store.find(job_id) for job_id in both]
        assert {row.worker for row in rows if row} == {"one", "two"}
        for job_id in both:
            studio.jobs.cancel(job_id, OWNER)
        assert {ended(studio, job_id) for job_id in ids} == {JobState.SUCCEEDED}
    for job_id in ids:
        assert phases_of(studio, job_id).count("denoise") == 1
        assert studio.desk.store.find(job_id).attempt == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("any_settings", ["postgres"], indirect=True)
def test_jobs_of_a_worker_that_never_comes_back_are_taken_over(any_studio: Studio) -> None:
    """On a database that several computers share."""
    studio = any_studio
    with running_worker(studio.settings, "lost") as lost:
        check = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        picture = studio.pictures.generate(request(**LONG), OWNER)
        await_phase(studio, check, "try")
        await_phase(studio, picture, "denoise", 1)
        lost.kill()
    (left,) = studio.desk.store.workers()
    long_ago = left.seen_at - studio.settings.worker_lost_s
    studio.desk.store.report_worker(left.model_copy(update={"seen_at": long_ago}))
    with running_worker(studio.settings, "other"):
        until(lambda: begun(studio, check, "try") == 2, "the second try")
        assert ended(studio, picture) is JobState.INTERRUPTED
    assert begun(studio, check, "digest") == 1


def test_a_full_disk_while_saving_fails_the_job_alone(studio: Studio) -> None:
    job_id = studio.pictures.generate(request(steps=2), OWNER)
    next_id = studio.pictures.generate(request(steps=2), OWNER)
    folder = studio.settings.outputs / job_id
    folder.mkdir(parents=True)
    (folder / "demo-flux-7.part").symlink_to("/dev/full")
    with running_worker(studio.settings):
        assert ended(studio, job_id) is JobState.FAILED
        assert ended(studio, next_id) is JobState.SUCCEEDED
    error = studio.jobs.get(job_id, OWNER).error
    assert error
    assert error.code is Code.DISK_FULL
    assert not list(folder.glob("*.png"))
