"""The queue and the workers at one moment, read once for all who look."""

import statistics
import threading
import time
from dataclasses import dataclass

from backend.contracts import JobState, WorkerStatus
from backend.jobs.queue import IN_ORDER, LIVE, QUEUES
from backend.jobs.store import JobRow, Store

Place = tuple[int, float | None]
"""Position in the queue (1 is next) and estimated wait in seconds, None where it is not known."""
FRESH_S = 0.1


@dataclass(frozen=True)
class Board:
    live: tuple[JobRow, ...]
    """The running jobs, then the waiting ones in order of start."""
    places: dict[str, Place]
    """Of every job that waits in a queue."""
    workers: tuple[WorkerStatus, ...]
    chained: dict[str, str]
    """The jobs that are in no queue yet, because another one must end first, and which."""


class BoardReader:
    """Reads the board again when it is older than `FRESH_S`, or has been forgotten."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._board: Board | None = None
        self._read_at = 0.0

    def read(self) -> Board:
        with self._lock:
            if self._board is None or time.monotonic() - self._read_at > FRESH_S:
                self._board = read_board(self._store)
                self._read_at = time.monotonic()
            return self._board

    def forget(self) -> None:
        """After a change of our own, which must be seen at once."""
        with self._lock:
            self._board = None


def read_board(store: Store) -> Board:
    rows = store.select(LIVE, order=IN_ORDER)
    live = tuple(sorted(rows, key=lambda row: row.state is not JobState.RUNNING))
    workers = store.workers()
    chained = store.chained()
    queued = tuple(row for row in live if row.id not in chained)
    return Board(live, _places(store, queued, workers), workers, chained)


def _places(
    store: Store, live: tuple[JobRow, ...], workers: tuple[WorkerStatus, ...]
) -> dict[str, Place]:
    """The wait is what is left of the running jobs and of all jobs ahead in the same queue, each
    estimated from measured durations of its variant, shared among the workers."""
    rates = {variant: _seconds_per_work(store, variant) for variant in {r.variant for r in live}}
    lanes = max(1, sum(worker.alive for worker in workers))
    ahead: dict[str, float | None] = dict.fromkeys(QUEUES, 0.0)
    waiting = dict.fromkeys(ahead, 0)
    places: dict[str, Place] = {}
    now = time.time()
    for row in live:
        before, rate = ahead[row.queue], rates[row.variant]
        if row.state is JobState.QUEUED:
            waiting[row.queue] += 1
            wait_s = None if before is None else before / lanes
            places[row.id] = (waiting[row.queue], wait_s)
        if before is not None:
            spent = now - row.started_at if row.started_at else 0.0
            ahead[row.queue] = None if rate is None else before + max(0.0, rate * row.work - spent)
    return places


def _seconds_per_work(store: Store, variant: str) -> float | None:
    """Median over the last jobs of a variant that succeeded."""
    durations = store.durations(variant)
    return statistics.median(s / work for work, s in durations) if durations else None
