"""What came of quantising picture models: the pictures' part of `Studio.results`."""

from pathlib import Path

from backend.contracts import (
    JobKind,
    JobState,
    PicturesView,
    ResultEntry,
    StorageItem,
    StorageKind,
)
from backend.errors import Code, StudioError
from backend.jobs.retention import delete_job
from backend.jobs.store import JobRow, jobs
from backend.quantize.images.results import (
    PICTURES,
    command_of,
    made_manifest,
    pictures_entry,
)
from backend.quantize.results import files_of
from backend.studio.desk import Desk

SUCCEEDED = (jobs.c.kind == str(JobKind.QUANTIZE_IMAGES)) & (
    jobs.c.state == str(JobState.SUCCEEDED)
)


class PictureResults:
    """Each is its owner's, as other pictures are.

    Raises StudioError CHECKPOINT_NOT_FOUND for a key that means none of them.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def list(self, owner: str | None) -> tuple[ResultEntry, ...]:
        mine = [] if owner is None else [jobs.c.owner == owner]
        rows = self._desk.store.select(SUCCEEDED, *mine)
        return tuple(
            pictures_entry(row, self._folder(row)) for row in rows if self._folder(row).is_dir()
        )

    def show(self, key: str, owner: str | None) -> PicturesView:
        row = self._find(key, owner)
        folder = self._folder(row)
        entry = pictures_entry(row, folder)
        manifest = None if entry.problem else made_manifest(row, folder)
        return PicturesView(
            entry=entry,
            job=row.id,
            manifest=manifest,
            files=files_of(folder),
            command=command_of(manifest.request, self._desk.settings.home) if manifest else None,
        )

    def file(self, key: str, name: str, owner: str | None) -> Path:
        folder = self._folder(self._find(key, owner))
        if name not in {file.name for file in files_of(folder)}:
            raise StudioError(Code.CHECKPOINT_NOT_FOUND, result=f"{key}/{name}"[:200])
        return folder / name

    def delete(self, key: str, owner: str | None) -> StorageItem:
        """Delete the job with its pictures; the engines stay."""
        row = self._find(key, owner)
        found = pictures_entry(row, self._folder(row))
        delete_job(self._desk.settings, self._desk.store, self._desk.queue, row)
        return StorageItem(
            key=key,
            kind=StorageKind.PICTURES,
            name=found.name,
            size_bytes=found.size_bytes,
            changed_at=found.made_at,
        )

    def _folder(self, row: JobRow) -> Path:
        return self._desk.settings.outputs / row.id

    def _find(self, key: str, owner: str | None) -> JobRow:
        row = self._desk.store.find(key.removeprefix(PICTURES))
        mine = row is not None and owner in (None, row.owner)
        if row is None or not mine or row.kind is not JobKind.QUANTIZE_IMAGES:
            raise StudioError(Code.CHECKPOINT_NOT_FOUND, result=key[:200])
        if row.state is not JobState.SUCCEEDED or not self._folder(row).is_dir():
            raise StudioError(Code.CHECKPOINT_NOT_FOUND, result=key[:200])
        return row
