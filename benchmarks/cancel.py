"""How soon a cancelled picture ends, and a cancelled check of a model with its child process."""

import time

import psutil

from backend.contracts import JobSnapshot, VerifyRequest
from backend.studio import Studio
from benchmarks.measure import OWNER, PATIENCE_S, Result, median, native_request, served

JOBS = 5
BEGUN_STEPS = 3
CHILD = "backend.jobs.child"
LOOK_S = 0.005


def measure() -> list[Result]:
    with served() as (studio, _, process):
        pictures = [cancel_picture(studio) for _ in range(JOBS)]
        children = [cancel_check(studio, process.pid) for _ in range(JOBS)]
    return [
        Result("cancel to the end of a picture, over a step, median", median(pictures), "x", 1),
        Result("cancel to the end of a child process, slowest", max(children), "ms", 1000),
    ]


def cancel_picture(studio: Studio) -> float:
    """The time from asking to the job's end, in denoising steps of that job."""
    request = native_request(studio, steps=100, count=4)
    job_id = studio.pictures.generate(request, OWNER)
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S, until=lambda job: _step(job) >= BEGUN_STEPS)
    asked_at = time.time()
    studio.jobs.cancel(job_id, OWNER)
    ended = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert ended.finished_at is not None
    assert job.steps_per_s is not None, "it has done several steps"
    return (ended.finished_at - asked_at) * job.steps_per_s


def _step(job: JobSnapshot) -> int:
    return max((one.step for one in job.phases if one.name == "denoise"), default=0)


def cancel_check(studio: Studio, pid: int) -> float:
    """Milliseconds from asking until the child process has gone."""
    job_id = studio.models.verify(VerifyRequest(model="demo-flux"), OWNER)
    studio.jobs.wait(
        job_id, OWNER, PATIENCE_S, until=lambda job: any(one.name == "try" for one in job.phases)
    )
    (child,) = await_children(pid)
    asked = time.perf_counter()
    studio.jobs.cancel(job_id, OWNER)
    child.wait(PATIENCE_S)
    gone_ms = 1000 * (time.perf_counter() - asked)
    studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    return gone_ms


def await_children(pid: int) -> list[psutil.Process]:
    """The child processes of jobs below a process, once there are some."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        family = psutil.Process(pid).children(recursive=True)
        found = [one for one in family if CHILD in one.cmdline()]
        if found:
            return found
        time.sleep(LOOK_S)
    raise TimeoutError("no child process was started")
