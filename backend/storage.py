"""What the studio keeps on disk, and deleting exactly what was shown.

Everything here lies below the home folder, and is deleted only there; models in the Hugging Face
cache go by huggingface_hub's own strategy, and only those that this studio knows.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from huggingface_hub import CacheNotFound, constants, scan_cache_dir
from huggingface_hub.utils import HFCacheInfo

from backend.chat.kept import used_folders, why_kept
from backend.chat.models import CHECKPOINTS, SIMULATED, list_language_models
from backend.contracts import (
    CleanUp,
    EngineState,
    JobKind,
    Storage,
    StorageGroup,
    StorageItem,
    StorageKind,
)
from backend.engines.cache import Host, delete_engine, list_engines
from backend.jobs.queue import LIVE, JobQueue
from backend.jobs.retention import delete_job
from backend.jobs.store import JobRow, Store
from backend.language import Text, text
from backend.models.catalog import find_models
from backend.models.files import folder_bytes
from backend.quantize.prompts import prompts_folder
from backend.settings import Settings

ENGINE_KINDS = {
    EngineState.VALID: StorageKind.ENGINES,
    EngineState.STALE: StorageKind.STALE_ENGINES,
    EngineState.OTHER_GPU: StorageKind.OTHER_ENGINES,
    EngineState.BROKEN: StorageKind.BROKEN_ENGINES,
}
IN_USE, SERVED = text("storage.in_use"), text("storage.servers_run")
ONNX_REPO = "-onnx"
"""What NVIDIA's exports are called after the repository that they were made from."""


@dataclass(frozen=True)
class Keep:
    """A place to look into: the settings, and who asks."""

    settings: Settings
    store: Store
    queue: JobQueue
    host: Host
    owner: str | None
    """Whose pictures are shown; None is everybody's."""


@dataclass(frozen=True)
class _Thing:
    item: StorageItem
    delete: Callable[[], object]


class OutsideError(Exception):
    """A path that is not the studio's."""


def storage(keep: Keep) -> Storage:
    """Everything that is kept, the largest first within its kind."""
    hub = _scan_hub()
    items = [thing.item for thing in _things(keep, hub)]
    disk = shutil.disk_usage(existing(keep.settings.home))
    groups = tuple(
        StorageGroup(
            kind=kind,
            items=tuple(
                sorted((i for i in items if i.kind is kind), key=lambda item: -item.size_bytes)
            ),
        )
        for kind in StorageKind
    )
    known = sum(group.size_bytes for group in groups if group.kind is StorageKind.HUB)
    return Storage(
        groups=tuple(group for group in groups if group.items),
        foreign_hub_bytes=(hub.size_on_disk if hub else 0) - known,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )


def clean_up(keep: Keep, keys: Iterable[str]) -> CleanUp:
    """Delete the things of these keys, and nothing else.

    What has changed since it was shown, is used by a live job or cannot be deleted is kept, and
    says why.
    """
    gone, kept = [], []
    things = {thing.item.key: thing for thing in _things(keep, _scan_hub())}
    for key in dict.fromkeys(keys):
        thing = things.get(key)
        if thing is None:
            kept.append(_changed(key))
            continue
        reason = thing.item.kept
        if reason is None:
            reason = _delete(thing)
        if reason is None:
            gone.append(thing.item)
        else:
            kept.append(thing.item.model_copy(update={"kept": reason}))
    return CleanUp(gone=tuple(gone), kept=tuple(kept))


def _delete(thing: _Thing) -> Text | None:
    """Why it could not be done."""
    try:
        thing.delete()
    except OutsideError:
        return text("storage.outside")
    except OSError as error:
        return text("storage.undeletable", problem=error.strerror or str(error))
    return None


def _changed(key: str) -> StorageItem:
    kind, _, rest = key.partition(":")
    known = StorageKind(kind) if kind in list(StorageKind) else StorageKind.LEFTOVERS
    return StorageItem(
        key=key,
        kind=known,
        name=rest.rpartition("@")[0][:200],
        size_bytes=0,
        changed_at=0,
        kept=text("storage.changed"),
    )


# ---- what there is ---------------------------------------------------------------------------


def _things(keep: Keep, hub: HFCacheInfo | None) -> Iterator[_Thing]:
    live = keep.store.select(LIVE)
    models = {row.variant.split("/")[0] for row in live}
    workers = [worker for worker in keep.store.workers() if worker.alive]
    servers = [one for worker in workers for one in worker.servers if one.phase.is_live]
    used = used_folders(keep.settings, servers, live)
    yield from _hub_repos(keep, hub, models, used)
    yield from _engines(keep, models)
    home = keep.settings.home
    for kind, folder in (
        (StorageKind.ONNX, home / "onnx"),
        (StorageKind.CALIBRATIONS, home / "calibrations"),
        (StorageKind.TIMING, home / "timing"),
    ):
        for path in sorted(folder.glob("*")):
            busy = any(_belongs(path.name, model) for model in models)
            if kind is StorageKind.TIMING:
                busy = bool(live)
            elif path == prompts_folder(home):
                busy = any(_reads_prompts(row) for row in live)
            yield _path(keep, kind, path, IN_USE if busy else None)
    ids = {row.id for row in live}
    yield from _checkpoints(keep, used, ids)
    for path in sorted((home / "servers").glob("*")):
        yield _path(keep, StorageKind.SERVERS, path, SERVED if servers else None)
    yield from _job_folders(keep, ids)


def _reads_prompts(row: JobRow) -> bool:
    of_pictures = row.kind is JobKind.QUANTIZE_IMAGES and row.request.get("calibration")
    return bool(row.request.get("prompts") or of_pictures)


def _belongs(name: str, model: str) -> bool:
    return name.startswith(f"{model}.")


def _hub_repos(
    keep: Keep, hub: HFCacheInfo | None, models: set[str], used: dict[Path, Text]
) -> Iterator[_Thing]:
    sources = {entry.source: entry.id for entry in find_models(keep.settings).values()}
    spoken = {model.name for model in list_language_models(keep.settings)}
    for repo in hub.repos if hub else ():
        model = sources.get(repo.repo_id.removesuffix(ONNX_REPO))
        if repo.repo_type != "model" or (model is None and repo.repo_id not in spoken):
            continue
        assert hub is not None
        commits = sorted(revision.commit_hash for revision in repo.revisions)
        # a copied repository has the commits of its original, so only this one is looked at
        strategy = replace(hub, repos=frozenset({repo})).delete_revisions(*commits)
        item = _item(
            StorageKind.HUB,
            repo.repo_id,
            strategy.expected_freed_size,
            repo.last_modified,
            IN_USE if model in models else why_kept(used, repo.repo_path),
            ",".join(commits),
        )
        yield _Thing(item, strategy.execute)


def _engines(keep: Keep, models: set[str]) -> Iterator[_Thing]:
    for engine in list_engines(keep.settings, keep.host):
        made = engine.manifest
        folder = keep.settings.home / "engines" / made.id
        item = _item(
            ENGINE_KINDS[engine.state],
            made.id,
            folder_bytes(folder),
            made.created_at,
            IN_USE if made.model in models else None,
        )
        yield _Thing(item, lambda made=made: delete_engine(keep.settings, made.id))  # type: ignore[misc]


def _checkpoints(keep: Keep, used: dict[Path, Text], live: set[str]) -> Iterator[_Thing]:
    """Quantised checkpoints, what was made of them to be served simulated, and drafts of both."""
    for kind, name in ((StorageKind.CHECKPOINTS, CHECKPOINTS), (StorageKind.SIMULATED, SIMULATED)):
        for path in sorted((keep.settings.home / name).glob("*")):
            if path.name.startswith(".") and kind is StorageKind.CHECKPOINTS:
                yield _path(keep, StorageKind.LEFTOVERS, path, _busy(path, live))
            elif path.name.startswith("."):
                yield _path(keep, StorageKind.LEFTOVERS, path, IN_USE if used else None)
            else:
                yield _path(keep, kind, path, why_kept(used, path))


def _busy(draft: Path, live: set[str]) -> Text | None:
    """Whether a live job writes what its id begins the hidden name of."""
    return IN_USE if draft.name[1:].split(".")[0] in live else None


def _job_folders(keep: Keep, live: set[str]) -> Iterator[_Thing]:
    settings = keep.settings
    rows = {row.id: row for row in keep.store.select()}
    for folder in sorted(settings.outputs.glob("*")):
        row = rows.get(folder.name)
        if row is None:
            yield _path(keep, StorageKind.LEFTOVERS, folder, _busy(folder, live))
        elif keep.owner in (None, row.owner):
            yield _pictures(keep, row, folder)
    for folder in sorted(settings.previews.glob("*")):
        yield _path(keep, StorageKind.PREVIEWS, folder, IN_USE if folder.name in live else None)
    for folder in sorted((settings.home / "engines").glob(".*")):
        yield _path(keep, StorageKind.LEFTOVERS, folder, _busy(folder, live))


def _pictures(keep: Keep, row: JobRow, folder: Path) -> _Thing:
    busy = row.state.is_live
    thing = _path(keep, StorageKind.PICTURES, folder, IN_USE if busy else None)
    title = " ".join(row.title.split())[:80]
    item = thing.item.model_copy(update={"name": f"{title} · {row.id[:8]}"})
    return _Thing(item, lambda: delete_job(keep.settings, keep.store, keep.queue, row))


def _path(keep: Keep, kind: StorageKind, path: Path, kept: Text | None) -> _Thing:
    stat = path.lstat()
    size = folder_bytes(path) if path.is_dir() and not path.is_symlink() else stat.st_size
    item = _item(kind, path.name, size, stat.st_mtime, kept)
    return _Thing(item, lambda: remove(keep.settings, path))


def _item(
    kind: StorageKind, name: str, size: int, changed_at: float, kept: Text | None, mark: str = ""
) -> StorageItem:
    content = f"{size} {changed_at:.6f} {mark}"
    return StorageItem(
        key=f"{kind}:{name}@{crc32(content.encode()):x}",
        kind=kind,
        name=name,
        size_bytes=size,
        changed_at=changed_at,
        kept=kept,
    )


def remove(settings: Settings, path: Path) -> None:
    """Delete a file or folder two levels or more below the home folder; a link goes, what it points
    to stays. Raises OutsideError for any other path, OSError when it cannot be done."""
    home = settings.home.resolve()
    real = path.parent.resolve() / path.name
    if path.name in ("", "..") or home not in real.parent.parents:
        raise OutsideError(str(path))
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    gone = path.with_name(f".{path.name.lstrip('.')}.{time.time_ns()}")
    path.replace(gone)
    shutil.rmtree(gone)


def free_bytes(settings: Settings) -> int:
    """Of the disk that the home folder is on, or will be."""
    return shutil.disk_usage(existing(settings.home)).free


def _scan_hub() -> HFCacheInfo | None:
    try:
        return scan_cache_dir(constants.HF_HUB_CACHE)
    except (CacheNotFound, ValueError):
        return None


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder
