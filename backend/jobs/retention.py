"""What is deleted by itself: finished jobs by age, pictures by size, workflows nobody needs."""

import shutil
import time
from collections.abc import Iterator

from backend.contracts import JobKind
from backend.jobs.queue import LIVE, JobQueue
from backend.jobs.store import JobRow, Store, jobs
from backend.models.files import folder_bytes
from backend.settings import Settings

DAY_S = 86_400.0
COMPARISONS = (str(JobKind.COMPARE), str(JobKind.COMPARE_TEXT))
SWEPT = ~LIVE & jobs.c.kind.not_in(COMPARISONS)
"""Comparisons are kept until their owner deletes them."""


def delete_job(settings: Settings, store: Store, queue: JobQueue, row: JobRow) -> None:
    """Delete an ended job: its pictures, previews, half-made engines, events and row."""
    for name in (row.id, f".{row.id}"):
        shutil.rmtree(settings.outputs / name, ignore_errors=True)
    shutil.rmtree(settings.previews / row.id, ignore_errors=True)
    shutil.rmtree(settings.home / "engines" / f".{row.id}", ignore_errors=True)
    queue.client.delete_workflows([f"{row.id}.{n}" for n in range(1, row.attempt + 1)])
    store.remove(row.id)


def sweep(settings: Settings, store: Store, queue: JobQueue) -> int:
    """Delete what `retention_days` and `retention_bytes` no longer allow; the number of jobs."""
    expired = {row.id: row for row in (*_too_old(settings, store), *_too_large(settings, store))}
    for row in expired.values():
        delete_job(settings, store, queue, row)
    return len(expired)


def _too_old(settings: Settings, store: Store) -> list[JobRow]:
    limit = time.time() - settings.retention_days * DAY_S
    return store.select(SWEPT, jobs.c.finished_at < limit)


def _too_large(settings: Settings, store: Store) -> Iterator[JobRow]:
    """The oldest jobs whose pictures lie beyond the size allowed."""
    total = 0
    for row in store.select(SWEPT):
        folder = settings.outputs / row.id
        total += folder_bytes(folder) if folder.exists() else 0
        if total > settings.retention_bytes:
            yield row
