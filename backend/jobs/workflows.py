"""The one DBOS workflow: run a job's phases and say how it ended."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from dbos import DBOS

from backend.contracts import JobEvent, JobState
from backend.errors import ErrorInfo
from backend.jobs.context import JobCancelled, JobContext, JobRequeued
from backend.jobs.failures import explain
from backend.jobs.phases import PHASES, RESUMABLE, Phase, Resources, Results
from backend.jobs.queue import EVENTS, MAX_KILLS, WORKFLOW, JobQueue
from backend.jobs.store import JobRow, Store, jobs


class Shift:
    """The jobs that this worker has in hand, and whether it is to put them down."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._in_hand: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def working(self, job_id: str) -> Iterator[None]:
        with self._changed:
            self._in_hand.add(job_id)
        try:
            yield
        finally:
            self._put_down(job_id)

    def park(self, job_id: str) -> NoReturn:
        """Leave a job's workflow unfinished for good: DBOS resumes it in the next worker."""
        self._put_down(job_id)
        while True:
            threading.Event().wait()

    def end(self, grace_s: float) -> frozenset[str]:
        """Have all work put down within `grace_s` seconds; the jobs that were not."""
        self.stopping.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand, timeout=grace_s)
            return frozenset(self._in_hand)

    def _put_down(self, job_id: str) -> None:
        with self._changed:
            self._in_hand.discard(job_id)
            self._changed.notify_all()


def register_workflow(
    worker: str, store: Store, queue: JobQueue, resources: Resources, shift: Shift
) -> None:
    """Make jobs of this database runnable in this process, by the worker of this name."""

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=MAX_KILLS)
    def run_job(job_id: str, attempt: int) -> None:
        mine: dict[str, Any] = {"worker": worker, "started_at": time.time()}
        if not store.move(job_id, JobState.RUNNING, jobs.c.attempt == attempt, **mine):
            return
        row = store.find(job_id)
        assert row is not None
        context = JobContext(row, store, _write_event, shift.stopping)
        with shift.working(row.id):
            with context.watched():
                ending = _run_phases(context, resources, shift)
            _end(store, queue, row, context, ending)
            DBOS.close_stream(EVENTS)


def _write_event(event: JobEvent) -> None:
    DBOS.write_stream(EVENTS, event.model_dump(mode="json", exclude_defaults=True))


Ending = Results | ErrorInfo | JobCancelled | JobRequeued


def _run_phases(context: JobContext, resources: Resources, shift: Shift) -> Ending:
    done: Results = {}

    def run(phase: Phase) -> Any:
        try:
            return phase.run(context, resources, dict(done))
        except JobRequeued:
            if context.row.kind in RESUMABLE:
                context.put_back()
                shift.park(context.row.id)
            raise

    try:
        for phase in PHASES[context.row.kind]:
            done[phase.name] = DBOS.run_step({"name": phase.name}, run, phase)
    except (JobCancelled, JobRequeued) as stop:
        return stop
    except Exception as error:  # noqa: BLE001  whatever a phase raises is the job's ending
        return explain(error)
    result: Results = done[phase.name]
    return result


def _end(store: Store, queue: JobQueue, row: JobRow, context: JobContext, ending: Ending) -> None:
    if isinstance(ending, JobRequeued):
        queue.requeue(row)
        return
    facts: dict[str, Any] = {
        "finished_at": time.time(),
        "peak_memory_bytes": context.peak_memory_bytes or None,
    }
    if isinstance(ending, JobCancelled):
        store.move(row.id, JobState.CANCELLED, **facts)
    elif isinstance(ending, ErrorInfo):
        store.move(row.id, JobState.FAILED, error=ending, **facts)
    else:
        store.move(row.id, JobState.SUCCEEDED, result=ending, **facts)
