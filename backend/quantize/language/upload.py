"""Upload a checkpoint to the hub as one commit, in a child process.

Files go over HTTP, as LFS objects where the hub wants that: so the bytes sent can be told.
"""

import io
import threading
import time
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from backend.chat.fetch import is_repository
from backend.chat.models import MANIFEST
from backend.contracts import CheckpointManifest, PushRequest, PushResult
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.models.hub_errors import FAILURES, explain, plain
from backend.quantize.language.card import licence_in, licence_of, model_card, public_manifest
from backend.quantize.language.results import AGREEMENT, Made

EMPTY = {".gitattributes"}
"""What the hub puts into a repository itself."""
NEWS_S = 0.1
CARD = "README.md"


def upload(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Raises StudioError PUSH_REPO_EXISTS, PUSH_NOT_ALLOWED, HUB_TOKEN_INVALID, HUB_UNREACHABLE,
    HUB_OFFLINE_INCOMPLETE, CHECKPOINT_MANIFEST_BROKEN."""
    source = arguments.pop("source")
    request = PushRequest.model_validate(arguments)
    made = Made("", Path(request.model), None)
    manifest = made.manifest
    names = [file.name for file in made.files if file.name not in (MANIFEST, AGREEMENT, CARD)]
    api = HfApi()
    try:
        _prepare(api, request)
        card = model_card(manifest, request.repo, _licence(api, manifest, source))
        told = public_manifest(manifest).model_dump_json(indent=1)
        counter = Counter(sum((made.folder / name).stat().st_size for name in names), tell)
        operations = [
            CommitOperationAdd(CARD, card.encode()),
            CommitOperationAdd(MANIFEST, told.encode()),
            *(CommitOperationAdd(name, Counted(made.folder / name, counter)) for name in names),
        ]
        done = api.create_commit(
            request.repo, operations, commit_message=f"{manifest.algorithm} by nvidia-modelopt"
        )
    except FAILURES as error:
        raise _explain(error, request.repo) from None
    return PushResult(
        repo=request.repo,
        url=f"{api.endpoint}/{request.repo}",
        commit=done.oid,
        files=len(operations),
        size_bytes=counter.total,
    ).model_dump(mode="json")


def _prepare(api: HfApi, request: PushRequest) -> None:
    """A repository to put it into: a new one, one without files, or one that was agreed to."""
    try:
        found = api.model_info(request.repo)
    except RepositoryNotFoundError as error:
        if error.response.headers.get("X-Error-Code") != "RepoNotFound":
            raise
        api.create_repo(request.repo, private=request.private)
        return
    held = {each.rfilename for each in found.siblings or ()} - EMPTY
    if held and not request.existing:
        raise StudioError(Code.PUSH_REPO_EXISTS, repo=request.repo, files=len(held))


def _licence(api: HfApi, manifest: CheckpointManifest, source: str | None) -> dict[str, str]:
    """From the source's model card: beside its files, or on the hub."""
    found = licence_in(Path(source)) if source else {}
    if not found and is_repository(manifest.source):
        try:
            data = api.model_info(manifest.source).card_data
        except FAILURES:
            return {}
        found = licence_of(data.to_dict()) if data else {}
    return found


def _explain(error: Exception, repo: str) -> StudioError:
    if isinstance(error, HfHubHTTPError) and error.response.status_code == 403:
        return StudioError(Code.PUSH_NOT_ALLOWED, plain(error), repo=repo)
    return explain(error, repo)


class Counter:
    """Tells the bytes that were read of all files: each is read to be hashed and to be sent."""

    def __init__(self, total: int, tell: News) -> None:
        self.total = total
        self._tell, self._read, self._told_at = tell, 0, 0.0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._read += count
            now = time.monotonic()
            if now - self._told_at >= NEWS_S:
                self._told_at = now
                self._tell({"step": min(self._read // 2, self.total), "total": self.total})


class Counted(io.BufferedReader):
    """A file that counts what is read of it."""

    def __init__(self, file: Path, counter: Counter) -> None:
        super().__init__(io.FileIO(file))
        self._counter = counter

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._counter.add(len(data))
        return data


if __name__ == "__main__":
    child_main(upload)
