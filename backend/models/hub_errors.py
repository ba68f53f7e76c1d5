"""Failures of the Hugging Face hub, the network and the disk, in the studio's terms.

The token and the signatures of addresses are kept out of them.
"""

import errno
import json
import re

import httpx
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from backend.errors import Code, StudioError

FAILURES = (
    httpx.HTTPError,
    OSError,
    HFValidationError,
    UnicodeEncodeError,
    json.JSONDecodeError,
)
"""What huggingface_hub lets through when the hub, the network or the disk fails."""


def repo_page(repo: str) -> str:
    """Where access to a gated repository is asked for."""
    return f"https://huggingface.co/{repo}"


def _token() -> str | None:
    """The token, where one can be read; one that cannot be is never sent either."""
    try:
        return get_token()
    except OSError:
        return None


def plain(error: BaseException) -> str:
    """What an error says, without the token and without the signatures of addresses."""
    said = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", f"{type(error).__name__}: {error}")
    token = _token()
    return said.replace(token, "...") if token else said


def explain(error: Exception, repo: str, revision: str = "main") -> StudioError:
    """The failure of a request to the hub, or of writing what it sent, with a stable code."""
    detail = plain(error)
    if isinstance(error, OfflineModeIsEnabled):
        return StudioError(Code.HUB_OFFLINE_INCOMPLETE, detail, repo=repo)
    if isinstance(error, RevisionNotFoundError):
        return StudioError(Code.HUB_REVISION_NOT_FOUND, detail, repo=repo, revision=revision)
    if isinstance(error, RemoteEntryNotFoundError):
        return StudioError(Code.HUB_FILES_NOT_FOUND, detail, repo=repo, files=_file_name(error))
    if isinstance(error, GatedRepoError):
        code = Code.HUB_ACCESS_DENIED if _token() else Code.HUB_TOKEN_MISSING
        return StudioError(code, detail, repo=repo, url=repo_page(repo))
    if isinstance(error, (httpx.LocalProtocolError, UnicodeEncodeError)) and _token():
        return StudioError(Code.HUB_TOKEN_INVALID, "the token holds characters no header can hold")
    if isinstance(error, HfHubHTTPError):
        return _explain_answer(error, repo, detail)
    if isinstance(error, HFValidationError):
        return StudioError(Code.HUB_REPO_NOT_FOUND, detail, repo=repo)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StudioError(Code.DISK_FULL, detail, path=_path(error))
    if isinstance(error, OSError) and error.filename is not None:
        return StudioError(Code.FOLDER_NOT_WRITABLE, detail, path=_path(error))
    return StudioError(Code.HUB_UNREACHABLE, detail, problem=detail[:200])


def _explain_answer(error: HfHubHTTPError, repo: str, detail: str) -> StudioError:
    status = error.response.status_code
    absent = isinstance(error, (RepositoryNotFoundError, DisabledRepoError))
    said_so = status != 401 or error.response.headers.get("X-Error-Code") == "RepoNotFound"
    if absent and (said_so or not _token()):
        return StudioError(Code.HUB_REPO_NOT_FOUND, detail, repo=repo)
    if status == 401 and _token():
        return StudioError(Code.HUB_TOKEN_INVALID, detail)
    if status in (401, 403):
        code = Code.HUB_ACCESS_DENIED if _token() else Code.HUB_TOKEN_MISSING
        return StudioError(code, detail, repo=repo, url=repo_page(repo))
    return StudioError(Code.HUB_UNREACHABLE, detail, problem=f"HTTP {status}")


def _file_name(error: RemoteEntryNotFoundError) -> str:
    return error.response.url.path.rpartition("/")[2]


def _path(error: OSError) -> str:
    return str(error.filename or constants.HF_HUB_CACHE)
