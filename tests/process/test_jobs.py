"""Jobs on real workers: what happens to them when things go well, and when they do not."""

import time
from pathlib import Path

import psutil
import pytest

from backend.contracts import JobState, VerifyRequest
from backend.errors import Code, StudioError
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, Worker, await_phase, request, running_worker, until

LONG = 100
"""Steps of a picture that is still being made when a test interferes."""


def ended(studio: Studio, job_id: str) -> JobState:
    return studio.jobs.wait(job_id, OWNER, PATIENCE_S).state


def test_a_job_runs_through_its_phases_to_a_picture(any_studio: Studio) -> None:
    with running_worker(any_studio.settings):
        job_id = any_studio.pictures.generate(request(count=2), OWNER)
        await_phase(any_studio, job_id, "denoise", 1)
        job = any_studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert [image.seed for image in job.images] == [7, 8]
    assert all(Path(image.path).stat().st_size > 0 for image in job.images)
    assert job.peak_memory_bytes
    assert job.peak_memory_bytes > 50 * 1024**2
    assert job.result
    assert job.result["metrics"]["step_ms"] > 0


def test_a_worker_killed_in_a_picture_interrupts_that_job_only(any_studio: Studio) -> None:
    studio = any_studio
    with running_worker(studio.settings) as worker:
        job_id = studio.pictures.generate(request(steps=LONG), OWNER)
        waiting_id = studio.pictures.generate(request(), OWNER)
        await_phase(studio, job_id, "denoise", 3)
        worker.kill()
    assert studio.jobs.get(waiting_id, OWNER).state is JobState.QUEUED
    restarted_at = time.time()
    with running_worker(studio.settings) as worker:
        assert ended(studio, waiting_id) is JobState.SUCCEEDED
        interrupted = studio.jobs.get(job_id, OWNER)
        assert interrupted.state is JobState.INTERRUPTED
        assert interrupted.error
        assert interrupted.error.code is Code.WORKER_DIED
        assert interrupted.retryable
        next_started = studio.jobs.get(waiting_id, OWNER).started_at
        assert next_started
        assert next_started - restarted_at < 5.0
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


def test_cancel_takes_effect_within_one_step(any_studio: Studio) -> None:
    studio = any_studio
    with running_worker(studio.settings):
        job_id = studio.pictures.generate(request(steps=LONG, width=256, height=256), OWNER)
        at = await_phase(studio, job_id, "denoise", 3)
        asked_at = time.time()
        studio.jobs.cancel(job_id, OWNER)
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
        assert job.state is JobState.CANCELLED
        assert job.finished_at
        assert at.steps_per_s
        assert job.finished_at - asked_at < 2 / at.steps_per_s + 0.25
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
        job_id = studio.pictures.generate(request(steps=LONG), OWNER)
        await_phase(studio, job_id, "denoise", 3)
        assert worker.stop() == 0
    assert studio.jobs.get(job_id, OWNER).state is JobState.QUEUED
    assert studio.machine.health().worker == "missing"
    with running_worker(studio.settings):
        assert ended(studio, job_id) is JobState.SUCCEEDED


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
    assert _digest_runs(studio, job_id) == 1


def _digest_runs(studio: Studio, job_id: str) -> int:
    events = studio.desk.queue.client.read_stream(f"{job_id}.1", "events")
    return sum(event["phase"] == "digest" and not event.get("step") for event in events)


def test_a_clean_stop_keeps_finished_phases(studio: Studio) -> None:
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        assert worker.stop() == 0
    assert studio.jobs.get(job_id, OWNER).state is JobState.QUEUED
    with running_worker(studio.settings):
        assert ended(studio, job_id) is JobState.SUCCEEDED
    assert _digest_runs(studio, job_id) == 1


def child_of(worker: Worker) -> psutil.Process:
    def find() -> psutil.Process | None:
        children = psutil.Process(worker.process.pid).children()
        return children[0] if children else None

    return until(find, "a child process")


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_cancel_kills_a_child_within_a_second(studio: Studio) -> None:
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        child = child_of(worker)
        studio.jobs.cancel(job_id, OWNER)
        until(lambda: gone(child), "the child's end", patience_s=1.0)
        assert ended(studio, job_id) is JobState.CANCELLED


def test_a_child_dies_with_its_worker(studio: Studio) -> None:
    with running_worker(studio.settings) as worker:
        job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        await_phase(studio, job_id, "try")
        child = child_of(worker)
        worker.kill()
        until(lambda: gone(child), "the child's end", patience_s=5.0)


def test_two_workers_share_a_queue_without_doing_a_job_twice(any_studio: Studio) -> None:
    studio = any_studio
    ids = [studio.pictures.generate(request(seed=seed, steps=4), OWNER) for seed in range(6)]
    with running_worker(studio.settings, "one"), running_worker(studio.settings, "two"):
        assert {ended(studio, job_id) for job_id in ids} == {JobState.SUCCEEDED}
        rows = [studio.desk.store.find(job_id) for job_id in ids]
    assert {row.worker for row in rows if row} == {"one", "two"}
    assert all(row and row.attempt == 1 for row in rows)


def test_jobs_of_a_worker_that_never_comes_back_are_taken_over(any_studio: Studio) -> None:
    studio = any_studio
    settings = studio.settings.model_copy(update={"worker_lost_s": 10.0})
    with running_worker(settings, "lost") as lost:
        check = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
        picture = studio.pictures.generate(request(steps=LONG), OWNER)
        await_phase(studio, check, "digest")
        await_phase(studio, picture, "denoise", 1)
        lost.kill()
    if studio.jobs.get(check, OWNER).state is JobState.SUCCEEDED:
        pytest.fail("the check was over before its worker was killed")
    with running_worker(settings, "other"):
        assert ended(studio, check) is JobState.SUCCEEDED
        assert ended(studio, picture) is JobState.INTERRUPTED


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
