"""What a command that needs a worker works with: the studio, a worker, a progress bar."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from backend.contracts import BYTE_PHASES, JobSnapshot, JobState
from backend.errors import Code, StudioError
from backend.hardware.gpu import visible_gpus
from backend.jobs.children import ROOT, child_environment
from backend.jobs.supervisor import worker_command, worker_names
from backend.language import human_bytes, human_seconds, say
from backend.studio import Studio

WORKER_START_S = 60.0
POLL_S = 0.1


@contextmanager
def with_worker(studio: Studio) -> Iterator[None]:
    """Use the worker that runs on this database, else one of our own while the block runs.

    Raises StudioError WORKER_MISSING when ours does not come up.
    """
    if studio.machine.health().worker == "ready":
        yield
        return
    with subprocess.Popen(
        worker_command(*worker_names(visible_gpus())[0]),
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl+C is for the command alone
    ) as worker:
        try:
            _await_worker(studio, worker)
            yield
        finally:
            worker.terminate()


def _await_worker(studio: Studio, worker: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + WORKER_START_S
    while studio.machine.health().worker != "ready":
        if worker.poll() is not None or time.monotonic() > deadline:
            worker.kill()
            assert worker.stderr is not None
            raise StudioError(Code.WORKER_MISSING, worker.stderr.read()[-4000:])
        time.sleep(POLL_S)


def follow(studio: Studio, job_id: str) -> JobSnapshot:
    """Wait for a job to end, with a bar on standard error when that is a terminal.

    Stops the job on Ctrl+C. Raises the StudioError that the job ended with.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(say("phase.queue"), total=None, amount="")

        def show(snapshot: JobSnapshot) -> bool:
            name = say(f"phase.{snapshot.phase or 'queue'}")
            progress.update(
                bar,
                description=name,
                completed=snapshot.step,
                total=snapshot.total or None,
                amount=amount(snapshot),
            )
            return not snapshot.state.is_live

        try:
            while not show(snapshot := studio.jobs.wait(job_id, None, POLL_S)):
                pass
        except KeyboardInterrupt:
            studio.jobs.cancel(job_id, None)
            snapshot = studio.jobs.wait(job_id, None, WORKER_START_S)
    if snapshot.error is not None:
        raise StudioError(snapshot.error.code, snapshot.error.detail, **snapshot.error.values)
    if snapshot.state is not JobState.SUCCEEDED:
        raise StudioError(Code.JOB_STOPPED, state=str(snapshot.state))
    return snapshot


def amount(job: JobSnapshot) -> str:
    """How far a phase has come: `3/12`, or `1.2 GiB/33.7 GiB, 110.0 MiB/s, 5 min 01 s left`."""
    if not job.total:
        return ""
    if job.phase not in BYTE_PHASES:
        return f"{job.step}/{job.total}"
    parts = [f"{human_bytes(job.step)}/{human_bytes(job.total)}"]
    if job.steps_per_s:
        parts.append(f"{human_bytes(job.steps_per_s)}/s")
    if job.eta_s:
        parts.append(f"{human_seconds(job.eta_s)} left")
    return ", ".join(parts)
