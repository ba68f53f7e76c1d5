"""What a running job sees of the world: it reports news, and is told when to stop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from backend.contracts import ImageResult, JobEvent, JobState
from backend.jobs.store import JobRow, Store
from backend.language import Text, text
from backend.models.pool import ModelPool

EVENT_INTERVAL_S = 0.1
WATCH_INTERVAL_S = 0.05


class JobCancelled(Exception):
    """The job's owner stopped it."""


class JobRequeued(Exception):
    """The worker is stopping; the job is to start again elsewhere or later."""


class JobContext:
    """One attempt at a job. `report` and `check` are called by the thread that does the work."""

    def __init__(
        self,
        row: JobRow,
        store: Store,
        write: Callable[[JobEvent], None],
        stopping: threading.Event,
    ) -> None:
        self.row = row
        self._store = store
        self._write = write
        self._stopping = stopping
        self._cancelled = threading.Event()
        self._last_phase = ""
        self._last_at = 0.0
        self._held_back: JobEvent | None = None
        self.first_event_at: float | None = None
        self.peak_memory_bytes = 0
        """Highest memory seen of this process while the job ran."""

    def check(self) -> None:
        """Raises JobCancelled or JobRequeued when the work must end now."""
        if self._cancelled.is_set():
            raise JobCancelled
        if self._stopping.is_set():
            raise JobRequeued

    def put_back(self) -> None:
        """Let the job wait again, as this same attempt."""
        self._store.move(self.row.id, JobState.QUEUED)

    def report(
        self,
        phase: str,
        step: int = 0,
        total: int = 0,
        message: Text | None = None,
        preview: str | None = None,
        image: ImageResult | None = None,
        rate: float | None = None,
        held_bytes: int | None = None,
    ) -> None:
        """Tell the news. Plain progress is thinned to ten events a second, the rest is kept."""
        event = JobEvent(
            at=time.time(),
            phase=phase,
            step=step,
            total=total,
            message=message,
            preview=preview,
            image=image,
            memory_bytes=self.peak_memory_bytes or None,
            held_bytes=held_bytes,
            rate=rate,
        )
        new_phase = phase != self._last_phase
        if new_phase and self._held_back is not None:
            self._send(self._held_back)
        if new_phase or message or image or preview or event.at - self._last_at >= EVENT_INTERVAL_S:
            self._send(event)
        else:
            self._held_back = event

    def _send(self, event: JobEvent) -> None:
        self._write(event)
        self.first_event_at = self.first_event_at or event.at
        self._last_phase, self._last_at, self._held_back = event.phase, event.at, None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look for a cancel request and measure memory beside the work, twenty times a second."""
        done = threading.Event()

        def watch() -> None:
            process = psutil.Process()
            while not done.wait(WATCH_INTERVAL_S):
                self.peak_memory_bytes = max(self.peak_memory_bytes, process.memory_info().rss)
                if self._store.is_cancel_requested(self.row.id):
                    self._cancelled.set()

        watcher = threading.Thread(target=watch, name="job-watch", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    @contextmanager
    def memory(self, pool: ModelPool, name: str, needed_bytes: int) -> Iterator[None]:
        """Set memory aside beside the resident models, waiting until it is there.

        Says what it waits for. Raises StudioError MODEL_TOO_LARGE when it can never fit.
        """
        told = False
        while True:
            self.check()
            with pool.reserve(name, needed_bytes) as fits:
                if fits:
                    yield
                    return
            if not told:
                told = True
                self.report(
                    "wait",
                    message=text(
                        "job.waiting_for_memory",
                        needed_bytes=needed_bytes,
                        free_bytes=pool.free_bytes(),
                        holders=", ".join(pool.holders()),
                    ),
                )
            time.sleep(WATCH_INTERVAL_S)
