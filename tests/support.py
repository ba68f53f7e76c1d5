"""What several kinds of tests need: a studio in a folder of its own, and real workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from backend.contracts import GenerateRequest, JobSnapshot
from backend.settings import Settings
from backend.studio import Studio

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0
OWNER = "visitor:test"
T = TypeVar("T")


def request(**changes: Any) -> GenerateRequest:
    """A request that takes about half a second on two CPU cores."""
    values: dict[str, Any] = {
        "model": "demo-flux",
        "prompt": "a red circle left of a blue square",
        "seed": 7,
        "steps": 12,
        "guidance": 3.5,
        "width": 128,
        "height": 128,
    }
    return GenerateRequest(**(values | changes))


def environment(settings: Settings) -> dict[str, str]:
    """The environment that makes another process work with these settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    given = {
        "STUDIO_HOME": str(settings.home),
        "STUDIO_DATABASE_URL": settings.database_url,
        "STUDIO_MEMORY_BUDGET_BYTES": str(settings.memory_budget_bytes),
        "STUDIO_WORKER_LOST_S": str(settings.worker_lost_s),
        "STUDIO_MODELS": os.pathsep.join(map(str, settings.models)),
    }
    return clean | given


def until(condition: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first true value of `condition`."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {patience_s} s in vain for {what}")


class Worker:
    """A real worker process."""

    def __init__(self, settings: Settings, name: str = "test-worker") -> None:
        self.name = name
        self.log = settings.home / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backend.jobs.worker", "--name", name],
                cwd=ROOT,
                env=environment(settings),
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextmanager
def running_worker(settings: Settings, name: str = "test-worker") -> Iterator[Worker]:
    worker = Worker(settings, name)
    try:
        yield worker
    finally:
        worker.kill()


def await_phase(studio: Studio, job_id: str, phase: str, step: int = 0) -> JobSnapshot:
    """The job as soon as it has reached a step of a phase; fails if it ends before."""

    def reached(job: JobSnapshot) -> bool:
        return job.phase == phase and job.step >= step

    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S, until=reached)
    assert reached(job), f"{job.state} in {job.phase} at {job.step}: {job.error}"
    return job
