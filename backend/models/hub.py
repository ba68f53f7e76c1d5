"""What fetching a model from the Hugging Face hub will need, and whether it is allowed.

The token is huggingface_hub's own business, which reads it for each request.
"""

import fnmatch
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, is_offline_mode, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects

from backend.errors import Code, StudioError
from backend.models.hub_cache import lacking, names_in, snapshot_of, storage_of
from backend.models.hub_errors import FAILURES, explain, plain
from backend.models.layouts import Layout

ANSWER_TIMEOUT_S = 10.0
DISK_MARGIN = 1.05
_WILD = re.compile(r"[*?\[]|/$")


@dataclass(frozen=True)
class RemoteFile:
    name: str
    size_bytes: int
    etag: str
    """SHA-256 of a large file, git's SHA-1 of a small one; names it in the cache."""


@dataclass(frozen=True)
class Plan:
    """What fetching some files of a repository needs."""

    repo: str
    revision: str
    commit: str
    folder: Path
    """The snapshot's folder in the cache, where the files will be."""
    files: tuple[RemoteFile, ...]
    missing: tuple[RemoteFile, ...]
    """Those not wholly in the cache yet; one of each content."""
    total_bytes: int
    here_bytes: int
    """Of `total_bytes`, those in the cache, begun files included."""
    offline: bool = False
    """The hub was not asked, or did not answer; the cache holds all that is needed."""

    @property
    def missing_bytes(self) -> int:
        return self.total_bytes - self.here_bytes

    @property
    def blobs(self) -> Path:
        return self.folder.parents[1] / "blobs"

    def blob(self, file: RemoteFile) -> Path:
        return self.blobs / file.etag

    def begun(self, file: RemoteFile) -> Path:
        """Where the first part of a file waits for the rest; `hf cache prune` knows this name."""
        return self.blobs / f"{file.etag}.incomplete"


def check_access(repo: str) -> None:
    """Ask the hub whether this user may download from `repo`.

    Raises StudioError HUB_TOKEN_MISSING, HUB_TOKEN_INVALID, HUB_ACCESS_DENIED, HUB_REPO_NOT_FOUND,
    HUB_UNREACHABLE or HUB_OFFLINE_INCOMPLETE (in offline mode the hub cannot be asked).
    """
    try:
        HfApi().auth_check(repo)
    except FAILURES as error:
        raise explain(error, repo) from None


def make_plan(
    repo: str,
    revision: str = "main",
    patterns: Sequence[str] | None = None,
    layout: Layout | None = None,
) -> Plan:
    """Ask the hub what is to be fetched and check access; fetches no file.

    `patterns` are names or shell patterns of files, None means all; or a `layout` chooses them. In
    offline mode, or when the hub does not answer, the cache is taken if it is complete. Raises
    StudioError as `check_access` does, HUB_REVISION_NOT_FOUND or HUB_FILES_NOT_FOUND.
    """
    if is_offline_mode():
        return _plan_from_cache(repo, revision, patterns, layout)
    try:
        info = HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=ANSWER_TIMEOUT_S
        )
    except FAILURES as error:
        problem = explain(error, repo, revision)
        if problem.code is not Code.HUB_UNREACHABLE:
            raise problem from None
        try:
            return _plan_from_cache(repo, revision, patterns, layout)
        except StudioError:
            raise problem from None
    if info.gated:
        check_access(repo)
    commit = str(info.sha)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    names = _chosen(repo, list(siblings), patterns, layout)
    return _plan(repo, revision, commit, [_remote_file(siblings[name]) for name in names])


def free_disk(missing_bytes: int) -> tuple[Path, int]:
    """The folder that the cache is in or will be, and the bytes free there.

    Raises StudioError DISK_SPACE_LOW when `missing_bytes` do not fit with a margin of 5 %.
    """
    cache = Path(constants.HF_HUB_CACHE).absolute()
    folder = next(parent for parent in (cache, *cache.parents) if parent.exists())
    needed, free = int(missing_bytes * DISK_MARGIN), shutil.disk_usage(folder).free
    if needed > free:
        raise StudioError(
            Code.DISK_SPACE_LOW, path=str(folder), needed_bytes=needed, free_bytes=free
        )
    return folder, free


def _remote_file(sibling: Any) -> RemoteFile:
    if sibling.lfs is not None:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
    return RemoteFile(sibling.rfilename, sibling.size or 0, sibling.blob_id)


def _chosen(
    repo: str, names: list[str], patterns: Sequence[str] | None, layout: Layout | None
) -> list[str]:
    if layout is not None:
        absent = layout.lacks(names)
        if absent:
            raise StudioError(Code.HUB_FILES_NOT_FOUND, repo=repo, files=", ".join(absent))
        return layout.choose(names)
    chosen = list(
        filter_repo_objects(names, allow_patterns=None if patterns is None else [*patterns])
    )
    absent = [name for name in patterns or () if not _WILD.search(name) and name not in chosen]
    if absent or not chosen:
        wanted = ", ".join(absent or patterns or ("*",))
        raise StudioError(Code.HUB_FILES_NOT_FOUND, repo=repo, files=wanted)
    return chosen


def _plan(repo: str, revision: str, commit: str, files: list[RemoteFile]) -> Plan:
    storage = storage_of(repo)
    empty = Plan(repo, revision, commit, storage / "snapshots" / commit, tuple(files), (), 0, 0)
    contents = {file.etag: file for file in files}.values()
    missing = tuple(
        file
        for file in contents
        if not empty.blob(file).exists() and not (empty.folder / file.name).exists()
    )
    total = sum(file.size_bytes for file in contents)
    begun = sum(_begun_bytes(empty.begun(file), file) for file in missing)
    here = total - sum(file.size_bytes for file in missing) + begun
    return Plan(repo, revision, commit, empty.folder, tuple(files), missing, total, here)


def _begun_bytes(part: Path, file: RemoteFile) -> int:
    return min(part.stat().st_size, file.size_bytes) if part.is_file() else 0


def _plan_from_cache(
    repo: str, revision: str, patterns: Sequence[str] | None, layout: Layout | None
) -> Plan:
    """Raises StudioError HUB_OFFLINE_INCOMPLETE."""
    if layout is not None:
        return _layout_from_cache(repo, revision, layout)
    allowed = None if patterns is None else [*patterns]
    try:
        folder = Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=allowed, local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise StudioError(Code.HUB_OFFLINE_INCOMPLETE, plain(error), repo=repo) from None
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    absent = [
        pattern
        for pattern in patterns or ("*",)
        if not fnmatch.filter(paths, f"{pattern}*" if pattern.endswith("/") else pattern)
    ]
    if absent:
        raise StudioError(Code.HUB_OFFLINE_INCOMPLETE, f"missing: {absent}", repo=repo)
    return _offline(
        repo, revision, folder, list(filter_repo_objects(sorted(paths), allow_patterns=allowed))
    )


def _layout_from_cache(repo: str, revision: str, layout: Layout) -> Plan:
    """Raises StudioError HUB_OFFLINE_INCOMPLETE."""
    folder, absent = snapshot_of(repo, revision), lacking(repo, layout, revision)
    if folder is None or absent:
        raise StudioError(Code.HUB_OFFLINE_INCOMPLETE, f"missing: {absent}", repo=repo)
    return _offline(repo, revision, folder, layout.choose(names_in(folder)))


def _offline(repo: str, revision: str, folder: Path, names: list[str]) -> Plan:
    paths = [folder / name for name in names]
    files = tuple(
        RemoteFile(name, path.stat().st_size, path.resolve().name)
        for name, path in zip(names, paths, strict=True)
    )
    total = sum({file.etag: file.size_bytes for file in files}.values())
    return Plan(repo, revision, folder.name, folder, files, (), total, total, offline=True)
