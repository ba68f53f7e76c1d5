"""The asking side of the queue: submit, cancel, retry."""

import threading
import time
from dataclasses import replace

import sqlalchemy as sa
from dbos import DBOSClient

from backend.contracts import JobKind, JobState
from backend.errors import Code, ErrorInfo, StudioError
from backend.jobs.database import JsonSerializer
from backend.jobs.store import JobRow, Store, chains, jobs
from backend.language import Value, text

APPLICATION = "spark-studio"
APPLICATION_VERSION = "1"
"""Raised only when waiting jobs of an older studio could not be run by this one."""
WORKFLOW = "run_job"
EVENTS = "events"
"""Name of the DBOS stream that carries a job's events."""
INTERACTIVE, BUILD, SERVING, COMPARING = QUEUES = ("interactive", "build", "serving", "comparing")
"""Servers start beside both, so that a chat waits for no build and no picture for a chat. Answers
are compared beside all three: that may take an hour, and nobody's server is to wait for it."""
QUEUE_OF = {
    JobKind.GENERATE: INTERACTIVE,
    JobKind.LOAD: INTERACTIVE,
    JobKind.VERIFY: BUILD,
    JobKind.ENGINE: BUILD,
    JobKind.FETCH: BUILD,
    JobKind.LOOK: INTERACTIVE,
    JobKind.NETWORK: BUILD,
    JobKind.RUN: INTERACTIVE,
    JobKind.LANGUAGE_EXPORT: BUILD,
    JobKind.TEXT: INTERACTIVE,
    JobKind.TIMES: INTERACTIVE,
    JobKind.SERVE: SERVING,
    JobKind.QUANTIZE: BUILD,
    JobKind.QUANTIZE_IMAGES: BUILD,
    JobKind.PUSH: BUILD,
    JobKind.COMPARE: INTERACTIVE,
    JobKind.COMPARE_TEXT: COMPARING,
}
PRIORITY_OF = dict.fromkeys(JobKind, 10) | {JobKind.VERIFY: 5, JobKind.LOOK: 5}
"""Lower starts first; first come, first served within one priority. On the interactive queue a
job's round comes with it, see `JobQueue._priority`."""
ROUNDS = 10**8
"""More than one database will ever count. DBOS takes priorities up to 2^31 - 1."""
MAX_KILLS = 2

WAITING = jobs.c.state == str(JobState.QUEUED)
RUNNING = jobs.c.state == str(JobState.RUNNING)
LIVE = jobs.c.state.in_([str(state) for state in JobState if state.is_live])
IN_ORDER = (jobs.c.priority, jobs.c.queued_at)


def _never(before: JobRow | None) -> ErrorInfo:
    """Why a job that waited for `before` cannot run any more."""
    if before is None:
        reason: Value = text("job.before_gone")
    elif before.error is not None:
        reason = before.error.message()
    else:
        reason = text(f"job.before_{before.state}")
    detail = before.error.detail if before is not None and before.error else ""
    return ErrorInfo(code=Code.PREPARATION_FAILED, values={"reason": reason}, detail=detail)


class JobQueue:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.client = DBOSClient(
            system_database_engine=store.engine,
            serializer=JsonSerializer(),
            application_name=APPLICATION,
        )
        self._taking_place = threading.Lock()

    def close(self) -> None:
        self.client.destroy()

    def submit(self, row: JobRow, max_waiting: int, after: str | None = None) -> str:
        """Queue a new job; its id. With `after` it takes its place in the queue only when that job
        has succeeded, and fails when it has not. Raises StudioError TOO_MANY_WAITING."""
        with self._taking_place:
            self._check_room(row.owner, max_waiting)
            if after is None:
                row = replace(row, priority=self._priority(row))
            with self.store.engine.begin() as connection:
                self.store.insert(connection, row)
                if after is None:
                    self._enqueue(connection, row)
                else:
                    connection.execute(sa.insert(chains).values(job=row.id, after=after))
        return row.id

    def _check_room(self, owner: str, max_waiting: int) -> None:
        if self.store.count(WAITING, jobs.c.owner == owner) >= max_waiting:
            raise StudioError(Code.TOO_MANY_WAITING, limit=max_waiting)

    def _priority(self, row: JobRow) -> int:
        """By which a job that enters its queue now is started: its kind's, and on the interactive
        queue its round, so that owners take turns however many jobs each has waiting.

        Start-time fair queueing with jobs of equal cost (Goyal, Vin, Cheng 1996, SIGCOMM): a job's
        round is the one after its owner's last job, but not before the round that runs now. So who
        waits with ten jobs stands between nobody and their first, and who comes with one after the
        other passes nobody by.
        """
        kind = PRIORITY_OF[row.kind]
        if row.queue != INTERACTIVE:
            return kind
        first = kind * ROUNDS
        among = (jobs.c.queue == row.queue, jobs.c.priority.between(first, first + ROUNDS - 1))
        started = jobs.c.started_at.is_not(None)
        now = self.store.highest_priority(*among, RUNNING)
        if now is None:
            now = self.store.highest_priority(*among, started)
        mine = (jobs.c.owner == row.owner, sa.or_(LIVE, started))
        own = self.store.highest_priority(*among, *mine)
        return max(first, now or 0, (own or 0) + 1)

    def release(self) -> None:
        """Let jobs whose time has come into their queue, as if they came now, and fail those whose
        never will.

        Called once a second by every worker; a job is taken by one of them, whichever is first.
        """
        for job_id, after in self.store.chained().items():
            before = self.store.find(after)
            if before is not None and before.state.is_live:
                continue
            row = self.store.find(job_id)
            priority = self._priority(row) if row is not None else 0
            with self.store.engine.begin() as connection:
                taken = connection.execute(sa.delete(chains).where(chains.c.job == job_id))
                if taken.rowcount == 0 or row is None or row.state is not JobState.QUEUED:
                    continue
                if before is not None and before.state is JobState.SUCCEEDED:
                    placed = sa.update(jobs).where(jobs.c.id == job_id).values(priority=priority)
                    connection.execute(placed)
                    self._enqueue(connection, replace(row, priority=priority))
                else:
                    error = _never(before)
                    ended = {"finished_at": time.time(), "error": error}
                    self.store.move(
                        job_id, JobState.FAILED, WAITING, connection=connection, **ended
                    )

    def cancel(self, row: JobRow) -> None:
        """Stop a job: at once where it waits, at the worker's next look where it runs.

        Raises StudioError JOB_NOT_CANCELLABLE when it has ended.
        """
        if self.store.move(row.id, JobState.CANCELLED, WAITING, finished_at=time.time()):
            self.client.cancel_workflow(row.workflow_id)
        elif row.state.is_live:
            self.store.update(row.id, cancel_requested=True)
        else:
            raise StudioError(Code.JOB_NOT_CANCELLABLE)

    def retry(self, row: JobRow, max_waiting: int) -> None:
        """Queue an ended job again, under the same id, as if it came now.

        Raises StudioError JOB_NOT_RETRYABLE, JOB_KEEPS_CRASHING after `MAX_KILLS` workers, or
        TOO_MANY_WAITING.
        """
        if row.kills >= MAX_KILLS:
            raise StudioError(Code.JOB_KEEPS_CRASHING, count=row.kills)
        with self._taking_place:
            self._check_room(row.owner, max_waiting)
            if not self.requeue(replace(row, priority=self._priority(row))):
                raise StudioError(Code.JOB_NOT_RETRYABLE, state=str(row.state))

    def requeue(self, row: JobRow) -> bool:
        """Make the job's next attempt wait in its queue, at the place it had; whether it could."""
        again = {
            "priority": row.priority,
            "attempt": row.attempt + 1,
            "queued_at": time.time(),
            "started_at": None,
            "finished_at": None,
            "cancel_requested": False,
            "error": None,
            "result": None,
        }
        with self.store.engine.begin() as connection:
            moved = self.store.move(
                row.id,
                JobState.QUEUED,
                jobs.c.attempt == row.attempt,
                connection=connection,
                **again,
            )
            if moved:
                connection.execute(sa.delete(chains).where(chains.c.job == row.id))
                self._enqueue(connection, replace(row, attempt=row.attempt + 1))
        return moved

    def _enqueue(self, connection: sa.Connection, row: JobRow) -> None:
        self.client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": WORKFLOW,
                "queue_name": row.queue,
                "workflow_id": row.workflow_id,
                "app_version": APPLICATION_VERSION,
                "priority": row.priority,
                "authenticated_user": row.owner,
            },
            row.id,
            row.attempt,
        )
