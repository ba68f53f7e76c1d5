"""Fetch the files of a plan into huggingface_hub's cache, in a child process.

huggingface_hub (looked at: 1.33) downloads to a name of its own for each process and deletes it
when it fails, through hf_xet as through HTTP: nothing is left to resume from. So the bytes are
fetched here, by HTTP ranges into `<etag>.incomplete`, which survives a kill; what arrived is
checked against the digest that the hub gives; and huggingface_hub links the whole files.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from huggingface_hub import constants, get_session, hf_hub_url, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (
    WeakFileLock,
    build_hf_headers,
    disable_progress_bars,
    hf_raise_for_status,
)

from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.models.hub import Plan, RemoteFile, free_disk, make_plan
from backend.models.hub_errors import FAILURES, explain
from backend.models.transfer import NEWS_INTERVAL_S, Part, Transfer, size_of

CONNECTIONS = 4
READ_TIMEOUT_S = 10.0
RETRY_WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses between attempts at a file while no byte of it arrives."""
STOP_PATIENCE_S = 0.5
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})


def fetch(
    plan: Plan,
    on_news: News,
    check: Callable[[], None],
    retry_waits_s: Sequence[float] = RETRY_WAITS_S,
) -> Path:
    """Bring what is missing into the cache; the folder with the files.

    `on_news` gets `Transfer.news` at most ten times a second, and once at the end. `check` is
    called ten times a second and stops the fetch by raising. What has arrived is kept, and the
    next fetch goes on from there. Raises StudioError DOWNLOAD_INTERRUPTED, DISK_SPACE_LOW,
    DISK_FULL, FOLDER_NOT_WRITABLE, MODEL_FILES_CORRUPTED, or one of `check_access`.
    """
    if plan.offline:
        return plan.folder
    free_disk(plan.missing_bytes)
    transfer = Transfer(plan)
    queue = sorted(plan.missing, key=lambda file: file.size_bytes)

    def work() -> None:
        while not transfer.stop.is_set():
            try:
                file = queue.pop()
            except IndexError:
                return
            with transfer.file(file.name):
                _fetch_file(plan, file, transfer, retry_waits_s)

    def tick() -> None:
        check()
        if transfer.is_due():
            on_news(transfer.news())

    try:
        _beside([work] * min(CONNECTIONS, len(queue)), transfer, tick)
        _beside([lambda: _place(plan)], transfer, tick)
    except FAILURES as error:
        if error not in transfer.failures:
            raise
        problem = explain(error, plan.repo, plan.revision)
        if problem.code is not Code.HUB_UNREACHABLE:
            raise problem from None
        news = transfer.news()
        raise StudioError(
            Code.DOWNLOAD_INTERRUPTED,
            problem.info.detail,
            repo=plan.repo,
            done_bytes=news["step"],
            total_bytes=news["total"],
            problem=problem.info.values["problem"],
        ) from None
    transfer.finish()
    on_news(transfer.news())
    return plan.folder


def _beside(
    tasks: Sequence[Callable[[], None]], transfer: Transfer, tick: Callable[[], None]
) -> None:
    """Run tasks in threads, calling `tick` meanwhile; the first failure of a task is raised.

    A thread that waits for the network when it is told to stop is left behind: it writes nothing
    more.
    """

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001  raised again below, in the caller's thread
            transfer.failures.append(error)
            transfer.stop.set()

    threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive() and not transfer.stop.is_set():
                tick()
                thread.join(NEWS_INTERVAL_S)
    finally:
        if any(thread.is_alive() for thread in threads):
            transfer.stop.set()
            deadline = time.monotonic() + STOP_PATIENCE_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
    if transfer.failures:
        raise transfer.failures[0]


def _fetch_file(
    plan: Plan, file: RemoteFile, transfer: Transfer, retry_waits_s: Sequence[float]
) -> None:
    locks = Path(constants.HF_HUB_CACHE) / ".locks" / plan.blobs.parent.name
    for folder in (plan.blobs, locks):
        folder.mkdir(parents=True, exist_ok=True)
    counted = min(size_of(plan.begun(file)), file.size_bytes)
    with WeakFileLock(locks / f"{file.etag}.lock"):
        if plan.blob(file).exists():
            transfer.add(file.size_bytes - counted, received=False)
            return
        part = Part(plan.begun(file), file, transfer)
        transfer.add(part.size - counted, received=False)
        attempt = 0
        while part.size < file.size_bytes and not transfer.stop.is_set():
            before = part.size
            try:
                _receive(plan, part, transfer)
            except FAILURES as error:
                attempt = 0 if part.size > before else attempt
                if not _passes(error) or attempt == len(retry_waits_s):
                    raise
                transfer.stop.wait(retry_waits_s[attempt])
                attempt += 1
        if not transfer.stop.is_set():
            part.finish(plan.blob(file), plan.repo)


def _passes(error: Exception) -> bool:
    """Whether trying again may help."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in PASSING_STATUSES
    return isinstance(error, httpx.TransportError) and not isinstance(
        error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)
    )


def _receive(plan: Plan, part: Part, transfer: Transfer) -> None:
    """Ask for the rest of a file and write what comes."""
    url = hf_hub_url(plan.repo, part.file.name, revision=plan.commit)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
    with get_session().stream(
        "GET", url, headers=headers, timeout=READ_TIMEOUT_S, follow_redirects=True
    ) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        if part.size and response.status_code != httpx.codes.PARTIAL_CONTENT:
            transfer.add(-part.size, received=False)
            part.restart(keep=False)
        part.write(response.iter_raw())
    if part.size < part.file.size_bytes and not transfer.stop.is_set():
        raise httpx.RemoteProtocolError(f"{part.file.name} ended after {part.size} bytes")


def _place(plan: Plan) -> None:
    """Have huggingface_hub list the commit and link its files, then name it as the revision's."""
    snapshot_download(
        plan.repo, revision=plan.commit, allow_patterns=[file.name for file in plan.files]
    )
    if plan.revision != plan.commit:
        reference = plan.blobs.parent / "refs" / plan.revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        draft = reference.with_name(f"{reference.name}.new")
        draft.write_text(plan.commit)
        draft.replace(reference)


def fetch_in_child(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Plan and, unless `plan_only`, fetch; tells the plan's sizes first.

    Arguments: `repo`, and optionally `revision`, `patterns`, `plan_only`, `retry_waits_s`.
    """
    disable_progress_bars()
    plan = make_plan(
        arguments["repo"], arguments.get("revision", "main"), arguments.get("patterns")
    )
    result = facts_of(plan)
    tell({"step": plan.here_bytes, "total": plan.total_bytes, "plan": result})
    if not arguments.get("plan_only", False):
        waits = arguments.get("retry_waits_s", RETRY_WAITS_S)
        fetch(plan, tell, lambda: None, waits)
    return result


def facts_of(plan: Plan) -> dict[str, Any]:
    """A plan as a child tells of it."""
    return {
        "repo": plan.repo,
        "commit": plan.commit,
        "folder": str(plan.folder),
        "files": len(plan.files),
        "total_bytes": plan.total_bytes,
        "missing_bytes": plan.missing_bytes,
        "offline": plan.offline,
    }


if __name__ == "__main__":
    child_main(fetch_in_child)
