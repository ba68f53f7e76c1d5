"""Who asks: a signed-in user, a browser known by its cookie, or one session of an API client.

The page only names the owner; whether something is theirs is decided in the backend.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

import gradio as gr
from fastapi import Request

from backend.errors import Code, StudioError
from backend.studio import GUEST

VISITOR_COOKIE = "studio_visitor"
VISITOR = re.compile(r"[0-9a-f]{32}")
PAGE_HEADER = "x-studio-page"
YEAR_S = 365 * 24 * 3600
VISITOR_MARK = "studio_by_visitor"
"""In the scope of a request that `ui.visitors` found to be a visitor's."""
details_shown = ContextVar("details_shown", default=True)
"""Whether who asks may see all that is known of a failure, paths and logs included."""


def new_visitor() -> str:
    """A random 128-bit id."""
    return secrets.token_hex(16)


def visitor_of(cookies: Mapping[str, str]) -> str | None:
    visitor = cookies.get(VISITOR_COOKIE, "")
    return visitor if VISITOR.fullmatch(visitor) else None


def visitor_cookie(visitor: str) -> str:
    """The header that gives a browser its cookie."""
    return f"{VISITOR_COOKIE}={visitor}; Path=/; Max-Age={YEAR_S}; HttpOnly; SameSite=Lax"


def http_request(event: gr.Request) -> Request:
    """The HTTP request that brought a Gradio event."""
    assert event.request is not None
    return event.request


def by_visitor(request: Request) -> bool:
    """Whether a visitor asks, in visitors mode."""
    return bool(request.scope.get(VISITOR_MARK))


def owner_of(request: gr.Request) -> str:
    """The owner of what a Gradio event or API call makes."""
    http = http_request(request)
    visitor = visitor_of(http.cookies)
    if request.username:
        owner = f"user:{request.username}"
    elif visitor:
        owner = f"visitor:{visitor}"
    else:
        owner = f"session:{request.session_hash or new_visitor()}"
    return _apart(http, owner)


def signed_in(request: Request) -> str | None:
    """The name that signed in through Gradio's own login, if any."""
    gradio_app = request.app.state.gradio
    for kind in ("access-token", "access-token-unsecure"):
        token = request.cookies.get(f"{kind}-{gradio_app.cookie_id}")
        if token in gradio_app.tokens:
            return str(gradio_app.tokens[token])
    return None


def page_owner(request: Request) -> str:
    """The owner of what a request to our own routes asks for.

    Raises StudioError ACCESS_DENIED where one has to sign in first, for a browser without its
    cookie, and for a change that another site asks for.
    """
    user = signed_in(request)
    if request.app.state.gradio.auth is not None and user is None:
        raise StudioError(Code.ACCESS_DENIED)
    if request.method != "GET" and PAGE_HEADER not in request.headers:
        raise StudioError(Code.ACCESS_DENIED)
    if user:
        return _apart(request, f"user:{user}")
    visitor = visitor_of(request.cookies)
    if visitor is None:
        raise StudioError(Code.ACCESS_DENIED)
    return _apart(request, f"visitor:{visitor}")


def _apart(request: Request, owner: str) -> str:
    """What somebody makes as a visitor is apart from what they make otherwise."""
    return GUEST + owner if by_visitor(request) else owner


def voter_of(request: Request) -> str:
    """Who votes: a browser known by its cookie, signed in or not. The code of a vote is all the
    permission that voting takes, so that an audience needs no accounts.

    Raises StudioError ACCESS_DENIED as `page_owner` does, but for signing in.
    """
    visitor = visitor_of(request.cookies)
    if visitor is None or (request.method != "GET" and PAGE_HEADER not in request.headers):
        raise StudioError(Code.ACCESS_DENIED)
    return voter_named(request, visitor)


def voter_named(request: Request, visitor: str) -> str:
    """The voter that a browser is, which may only now be given its cookie."""
    return _apart(request, f"visitor:{visitor}")


def read_accounts(file: Path) -> list[tuple[str, str]]:
    """The accounts of a file of `name:password` lines; blank lines and `#` comments are skipped."""
    accounts = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not (name.strip() and colon and password):
            raise StudioError(
                Code.SETTING_INVALID, name="auth", problem=f"{file}, line {number}: name:password"
            )
        accounts.append((name.strip(), password.strip()))
    if not accounts:
        raise StudioError(Code.SETTING_INVALID, name="auth", problem=f"{file} names nobody")
    return accounts


class Sessions(dict[str, str]):
    """Who is signed in, by token: Gradio's own table, kept in a file so that a restart of the
    server signs nobody out."""

    def __init__(self, home: Path) -> None:
        self._file = home / "sessions.json"
        kept = json.loads(self._file.read_text()) if self._file.exists() else {}
        super().__init__(kept.get("tokens", {}))
        self.cookie_id: str = kept.get("cookie_id") or secrets.token_urlsafe(16)

    def __setitem__(self, token: str, name: str) -> None:
        super().__setitem__(token, name)
        self._save()

    def __delitem__(self, token: str) -> None:
        super().__delitem__(token)
        self._save()

    def _save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({"cookie_id": self.cookie_id, "tokens": self}))
        fresh.replace(self._file)


class FileKeys:
    """Signs file addresses for API clients, who have no cookie to show when they fetch one."""

    def __init__(self, home: Path) -> None:
        file = home / "file-key"
        if not file.exists():
            home.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(32))
        self._secret = bytes.fromhex(file.read_text())

    def sign(self, job_id: str, name: str) -> str:
        return hmac.new(self._secret, f"{job_id}/{name}".encode(), hashlib.sha256).hexdigest()

    def allows(self, job_id: str, name: str, key: str) -> bool:
        return hmac.compare_digest(self.sign(job_id, name), key)
