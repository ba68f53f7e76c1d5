"""What becomes of the jobs of a worker that died."""

import time

from backend.contracts import JobState
from backend.errors import Code, ErrorInfo
from backend.jobs.phases import RESUMABLE
from backend.jobs.queue import MAX_KILLS, RUNNING, JobQueue
from backend.jobs.store import JobRow, Store, jobs


def reclaim(worker: str, store: Store, queue: JobQueue) -> list[JobRow]:
    """Account for the jobs that a dead worker was running, before anything resumes them.

    A job of one phase is `interrupted`: its owner decides. One of several phases waits again, to go
    on from the last finished one, unless it has now brought down `MAX_KILLS` workers. Returns the
    jobs that wait again.
    """
    waiting = []
    for row in store.select(RUNNING, jobs.c.worker == worker):
        kills = row.kills + 1
        if row.kind in RESUMABLE and kills < MAX_KILLS:
            store.move(row.id, JobState.QUEUED, kills=kills)
            waiting.append(row)
        else:
            _interrupt(row, kills, store, queue)
    return waiting


def _interrupt(row: JobRow, kills: int, store: Store, queue: JobQueue) -> None:
    error = (
        ErrorInfo(code=Code.JOB_KEEPS_CRASHING, values={"count": kills})
        if kills >= MAX_KILLS
        else ErrorInfo(code=Code.WORKER_DIED)
    )
    store.move(row.id, JobState.INTERRUPTED, kills=kills, finished_at=time.time(), error=error)
    queue.client.cancel_workflow(row.workflow_id)


def reclaim_lost(lost_s: float, store: Store, queue: JobQueue) -> None:
    """Do so for every worker that was not heard of for `lost_s` seconds, and forget it.

    Its resumable jobs, which DBOS would keep for it, go to whichever worker is free.
    """
    for worker in store.workers():
        if time.time() - worker.seen_at < lost_s:
            continue
        for row in reclaim(worker.name, store, queue):
            queue.client.cancel_workflow(row.workflow_id)
            queue.client.resume_workflow(row.workflow_id, queue_name=row.queue)
        store.forget_worker(worker.name)
