"""Turns the events of live jobs into snapshots, once for all who look."""

import threading
import time
from collections.abc import Callable
from typing import Any

from dbos._error import DBOSException, DBOSStreamTimeoutError

from backend.contracts import JobEvent, JobSnapshot, JobState, PhaseView
from backend.jobs.queue import EVENTS, MAX_KILLS, JobQueue
from backend.jobs.store import JobRow, Store

POLL_S = 0.01
LONGEST_POLL_S = 0.25
"""Of a job that waits in a queue."""
CLOSED_LOOK_S = 0.5
LOG_LINES = 40
MOST_SAMPLES = 240
MIN_STEPS_FOR_RATE = 2
RETRYABLE = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED})


def snapshot_of(row: JobRow) -> JobSnapshot:
    """What the row alone says of a job."""
    result = row.result or {}
    return JobSnapshot(
        id=row.id,
        kind=row.kind,
        state=row.state,
        title=row.title,
        variant=row.variant,
        request=row.request,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        images=tuple(result.get("images", ())),
        peak_memory_bytes=row.peak_memory_bytes,
        result=row.result,
        error=row.error,
        retryable=row.state in RETRYABLE and row.kills < MAX_KILLS,
    )


def fold(snapshot: JobSnapshot, event: JobEvent) -> JobSnapshot:
    """The snapshot after one more event."""
    changes: dict[str, Any] = {
        "state": JobState.RUNNING,
        "phases": _advance(snapshot.phases, event),
        "step": event.step,
        "total": event.total,
        "first_event_at": snapshot.first_event_at or event.at,
    }
    phase = changes["phases"][-1]
    changes["steps_per_s"], changes["eta_s"] = _rate(phase, event)
    if event.message is not None:
        changes["message"] = event.message
        changes["log"] = (*snapshot.log, event.message)[-LOG_LINES:]
    if event.preview is not None:
        changes["preview"] = event.preview
    if event.image is not None:
        changes["images"] = (*snapshot.images, event.image)
        changes["preview"] = None
    if event.memory_bytes is not None:
        changes["peak_memory_bytes"] = event.memory_bytes
    if event.held_bytes is not None:
        changes["memory"] = _thinned((*snapshot.memory, (event.at, event.held_bytes)))
    return snapshot.model_copy(update=changes)


def _thinned(samples: tuple[tuple[float, int], ...]) -> tuple[tuple[float, int], ...]:
    """Of each two neighbours the larger, once there are too many."""
    if len(samples) <= MOST_SAMPLES:
        return samples
    return tuple(
        max(samples[i : i + 2], key=lambda each: each[1]) for i in range(0, len(samples), 2)
    )


def _advance(phases: tuple[PhaseView, ...], event: JobEvent) -> tuple[PhaseView, ...]:
    if phases and phases[-1].name == event.phase and event.step >= phases[-1].step:
        now = phases[-1].model_copy(update={"step": event.step, "total": event.total})
        return (*phases[:-1], now)
    ended = tuple(
        phase if phase.finished_at else phase.model_copy(update={"finished_at": event.at})
        for phase in phases
        if phase.name != event.phase
    )
    begun = PhaseView(name=event.phase, started_at=event.at, step=event.step, total=event.total)
    return (*ended, begun)


def _rate(phase: PhaseView, event: JobEvent) -> tuple[float | None, float | None]:
    """Steps per second and seconds left of a phase, once there is enough to tell."""
    if event.rate is not None:
        return event.rate, (phase.total - phase.step) / event.rate if event.rate else None
    spent = event.at - phase.started_at
    if phase.step < MIN_STEPS_FOR_RATE or spent <= 0:
        return None, None
    rate = phase.step / spent
    return rate, (phase.total - phase.step) / rate


class Follower:
    """Follows each live job with one thread, however many look at it."""

    def __init__(self, store: Store, queue: JobQueue) -> None:
        self._store = store
        self._queue = queue
        self._changed = threading.Condition()
        self._followed: dict[str, JobSnapshot] = {}
        """By workflow: a job that is tried again is followed anew."""
        self._closed = threading.Event()

    def close(self) -> None:
        """Let go of the database within `CLOSED_LOOK_S` seconds."""
        self._closed.set()

    def snapshot(self, row: JobRow) -> JobSnapshot:
        """The job now: its state from the row, its progress from the events. Starts to follow it
        when it is live."""
        if not row.state.is_live:
            return snapshot_of(row)
        with self._changed:
            if row.workflow_id not in self._followed:
                self._followed[row.workflow_id] = snapshot_of(row)
                threading.Thread(
                    target=self._follow, args=(row,), name=f"follow-{row.id[:8]}", daemon=True
                ).start()
            return self._followed[row.workflow_id].model_copy(update={"state": row.state})

    def wait(
        self, row: JobRow, until: Callable[[JobSnapshot], bool], timeout_s: float
    ) -> JobSnapshot | None:
        """The snapshot as soon as `until` holds of it, or when it is no longer followed (None), or
        when the time is up."""
        self.snapshot(row)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                now = self._followed.get(row.workflow_id)
                left = deadline - time.monotonic()
                if now is None or until(now) or left <= 0:
                    return now
                self._changed.wait(left)

    def _follow(self, row: JobRow) -> None:
        try:
            self._await_start(row)
            self._fold_events(row)
        except DBOSException:
            pass
        finally:
            with self._changed:
                del self._followed[row.workflow_id]
                self._changed.notify_all()

    def _await_start(self, row: JobRow) -> None:
        """Until the job has left its queue; looks the less often the longer that takes."""
        asked_at = time.monotonic()
        while not self._closed.is_set():
            now = self._store.find(row.id)
            if now is None or now.state is not JobState.QUEUED or now.attempt != row.attempt:
                return
            waited_s = time.monotonic() - asked_at
            self._closed.wait(min(max(POLL_S, waited_s / 10), LONGEST_POLL_S))

    def _fold_events(self, row: JobRow) -> None:
        heard = 0
        while not self._closed.is_set():
            stream = self._queue.client.read_stream(
                row.workflow_id,
                EVENTS,
                offset=heard,
                polling_interval_sec=POLL_S,
                timeout_seconds=CLOSED_LOOK_S,
            )
            try:
                for value in stream:
                    heard += 1
                    self._fold(row, JobEvent.model_validate(value))
                return
            except DBOSStreamTimeoutError:
                continue

    def _fold(self, row: JobRow, event: JobEvent) -> None:
        with self._changed:
            known = self._followed[row.workflow_id]
            self._followed[row.workflow_id] = fold(known, event)
            self._changed.notify_all()
