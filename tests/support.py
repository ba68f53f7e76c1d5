"""What several kinds of tests need: a studio in a folder of its own, and real workers."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from backend.contracts import GenerateRequest, JobSnapshot
from backend.hardware.gpu import list_gpus
from backend.jobs.children import PARENT
from backend.jobs.worker import main
from backend.settings import Settings
from backend.studio import Studio
from tests.nursery import open_nursery

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120.0
"""Bounds a hang; nothing is expected to take a certain time."""
OWNER = "visitor:test"
LONG = {"steps": 100, "width": 256, "height": 256, "count": 16}
"""Settings of a picture that is still being made whenever a test interferes."""
T = TypeVar("T")
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(["tests.warm"])


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
    """A real worker process, started by its command."""

    def __init__(self, settings: Settings) -> None:
        settings.home.mkdir(parents=True, exist_ok=True)
        with (settings.home / "test-worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend.jobs.worker", "--name", "test-worker"],
                cwd=ROOT,
                env=environment(settings),
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class WarmWorker:
    """A real worker process, forked where torch and diffusers are imported already: what the
    command spends most of its first seconds on."""

    def __init__(
        self,
        settings: Settings,
        name: str = "test-worker",
        target: Callable[[str, dict[str, str], Path], None] | None = None,
    ) -> None:
        """`target` is what runs in place of `work`."""
        settings.home.mkdir(parents=True, exist_ok=True)
        log = settings.home / f"{name}.log"
        arguments = (name, environment(settings), log)
        self._process = _warm.Process(target=target or work, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def stop(self) -> int | None:
        """Ask it to end; its exit status, None when it does not."""
        self._process.terminate()
        self._process.join(PATIENCE_S)
        return self._process.exitcode


def work(name: str, given: dict[str, str], log: Path) -> None:
    """In a forked process: what `python -m backend.jobs.worker --name NAME` does."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(given | {PARENT: str(os.getppid())})
    if not list_gpus():  # what a driver has begun does not survive a fork
        open_nursery()
    sys.argv = ["backend.jobs.worker", "--name", name]
    main()


@contextmanager
def running_worker(settings: Settings, name: str = "test-worker") -> Iterator[WarmWorker]:
    worker = WarmWorker(settings, name)
    try:
        yield worker
    finally:
        worker.kill()


def await_phase(studio: Studio, job_id: str, phase: str, step: int = 0) -> JobSnapshot:
    """The job as soon as it has reached a step of a phase; fails if it ends before."""

    def reached(job: JobSnapshot) -> bool:
        return any(one.name == phase and one.step >= step for one in job.phases)

    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S, until=reached)
    assert reached(job), f"{job.state} in {job.phase} at {job.step}: {job.error}"
    return job
