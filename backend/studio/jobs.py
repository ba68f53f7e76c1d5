"""Jobs as their owners see them: `Studio.jobs`."""

import time
from collections.abc import Callable

from backend.contracts import HistoryPage, JobKind, JobSnapshot, JobState, QueueEntry
from backend.errors import Code, StudioError
from backend.jobs.board import Board
from backend.jobs.follower import snapshot_of
from backend.jobs.retention import delete_job
from backend.jobs.store import JobRow, jobs
from backend.studio.desk import Desk

CHAINED_LOOK_S = 0.2


def has_ended(snapshot: JobSnapshot) -> bool:
    return not snapshot.state.is_live


class Jobs:
    """Raises StudioError JOB_NOT_FOUND for a job that is not the owner's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def get(self, job_id: str, owner: str | None) -> JobSnapshot:
        """What is known of a job now."""
        return self._snapshot(self._row(job_id, owner))

    def wait(
        self,
        job_id: str,
        owner: str | None,
        timeout_s: float,
        until: Callable[[JobSnapshot], bool] = has_ended,
    ) -> JobSnapshot:
        """The job once `until` holds of it, or when it has ended, or when the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            row = self._row(job_id, owner)
            left = deadline - time.monotonic()
            if not row.state.is_live or left <= 0:
                return self._snapshot(row)
            if self._waits_for(row) is not None:
                if until(self._snapshot(row)):
                    return self._snapshot(row)
                time.sleep(min(left, CHAINED_LOOK_S))
                continue
            snapshot = self._desk.follower.wait(row, until, left)
            if snapshot is not None and until(snapshot):
                return snapshot

    def cancel(self, job_id: str, owner: str | None) -> None:
        """Raises StudioError JOB_NOT_CANCELLABLE."""
        self._desk.queue.cancel(self._row(job_id, owner))
        self._desk.board.forget()

    def retry(self, job_id: str, owner: str | None) -> None:
        """Queue an ended job again under its id.

        Raises StudioError JOB_NOT_RETRYABLE, JOB_KEEPS_CRASHING, TOO_MANY_WAITING.
        """
        row = self._row(job_id, owner)
        self._desk.queue.retry(row, self._desk.most_waiting(row.owner))
        self._desk.board.forget()

    def delete(self, job_id: str, owner: str | None) -> None:
        """Delete an ended job and its pictures. Raises StudioError JOB_STILL_RUNNING."""
        row = self._row(job_id, owner)
        if row.state.is_live:
            raise StudioError(Code.JOB_STILL_RUNNING)
        delete_job(self._desk.settings, self._desk.store, self._desk.queue, row)

    def history(
        self,
        owner: str | None,
        search: str = "",
        limit: int = 30,
        offset: int = 0,
        kinds: tuple[JobKind, ...] = (),
    ) -> HistoryPage:
        """The owner's jobs, newest first, whose title holds `search`; of these kinds, if given."""
        conditions = [] if owner is None else [jobs.c.owner == owner]
        if kinds:
            conditions.append(jobs.c.kind.in_([str(kind) for kind in kinds]))
        if search:
            conditions.append(jobs.c.title.icontains(search, autoescape=True))
        rows = self._desk.store.select(*conditions, limit=limit, offset=offset)
        return HistoryPage(
            jobs=tuple(self._snapshot(row) for row in rows),
            total=self._desk.store.count(*conditions),
        )

    def live(self, owner: str | None) -> tuple[JobSnapshot, ...]:
        """The owner's running and waiting jobs, in order."""
        rows = self._desk.board.read().live
        return tuple(self._snapshot(row) for row in rows if owner in (None, row.owner))

    def queue(self, owner: str | None) -> tuple[QueueEntry, ...]:
        """Everybody's running and waiting jobs, in order; what they are about only of one's own."""
        board = self._desk.board.read()
        return tuple(_entry(row, owner in (None, row.owner), board) for row in board.live)

    def owners(self, job_ids: list[str]) -> dict[str, str]:
        """Who each of these jobs belongs to; for the machine's own user."""
        return {row.id: row.owner for row in self._desk.store.select(jobs.c.id.in_(job_ids))}

    def _row(self, job_id: str, owner: str | None) -> JobRow:
        row = self._desk.store.find(job_id)
        if row is None or owner not in (None, row.owner):
            raise StudioError(Code.JOB_NOT_FOUND)
        return row

    def _snapshot(self, row: JobRow) -> JobSnapshot:
        waits_for = self._waits_for(row)
        if waits_for is not None:
            return snapshot_of(row).model_copy(update={"waits_for": waits_for})
        snapshot = self._desk.follower.snapshot(row)
        if snapshot.state is not JobState.QUEUED:
            return snapshot
        position, wait_s = self._desk.board.read().places.get(row.id, (None, None))
        return snapshot.model_copy(update={"position": position, "wait_s": wait_s})

    def _waits_for(self, row: JobRow) -> str | None:
        """The job that must succeed before this one is in a queue; till then there is no news of it
        to follow."""
        if row.state is not JobState.QUEUED:
            return None
        return self._desk.board.read().chained.get(row.id)


def _entry(row: JobRow, mine: bool, board: Board) -> QueueEntry:
    position, wait_s = board.places.get(row.id, (None, None))
    return QueueEntry(
        mine=mine,
        id=row.id if mine else None,
        title=row.title if mine else None,
        kind=row.kind,
        variant=row.variant,
        state=row.state,
        position=position,
        wait_s=wait_s,
        waits=row.id in board.chained,
        created_at=row.created_at,
    )
