"""Visitors mode: the key that makes a browser the host's, and what visitors leave behind.
`Studio.visitors`."""

import hashlib
import hmac
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

import psutil
import sqlalchemy as sa

from backend.chat.conversations.tables import conversations
from backend.contracts import VisitorsMade, VisitorsReset
from backend.errors import StudioError
from backend.jobs.queue import LIVE
from backend.jobs.store import jobs
from backend.settings import Settings
from backend.studio.conversations import Conversations
from backend.studio.desk import GUEST, Desk
from backend.studio.jobs import Jobs
from backend.votes.tables import votes

KEY_FILE = "host-key"
STOP_S = 10.0
"""How long a reset waits for running pictures to stop."""
MADE_BY = {"pictures": jobs.c.owner, "conversations": conversations.c.owner, "votes": votes.c.voter}
"""Whose what visitors make is."""
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})


class Visitors:
    def __init__(self, desk: Desk, jobs: Jobs, chat: Conversations) -> None:
        self._desk, self._jobs, self._chat = desk, jobs, chat

    def host_key(self) -> str:
        return host_key(self._desk.settings.home)

    def host_mark(self) -> str:
        """What a browser keeps that has opened the host link; the key cannot be told from it."""
        return hmac.new(self.host_key().encode(), b"host", hashlib.sha256).hexdigest()

    def addresses(self) -> tuple[str, ...]:
        return addresses(self._desk.settings)

    def made(self) -> VisitorsMade:
        """What visitors have made, to be told before a reset."""
        people = sa.union(
            *(sa.select(who).where(who.startswith(GUEST)) for who in MADE_BY.values())
        ).subquery()
        with self._desk.store.engine.connect() as connection:

            def count(what: sa.FromClause, *of: sa.ColumnElement[bool]) -> int:
                query = sa.select(sa.func.count()).select_from(what).where(*of)
                return int(connection.execute(query).scalar_one())

            return VisitorsMade(
                visitors=count(people),
                **{name: count(who.table, who.startswith(GUEST)) for name, who in MADE_BY.items()},
            )

    def reset(self) -> VisitorsReset:
        """Stop and delete all that visitors have made: pictures, conversations and votes."""
        before = self.made()
        mine = jobs.c.owner.startswith(GUEST)
        for row in self._desk.store.select(mine, LIVE):
            with suppress(StudioError):  # it has ended meanwhile
                self._jobs.cancel(row.id, None)
        deadline = time.monotonic() + STOP_S
        for row in self._desk.store.select(mine):
            with suppress(StudioError):  # it cannot be stopped in time
                self._jobs.wait(row.id, None, max(0.0, deadline - time.monotonic()))
                self._jobs.delete(row.id, None)
        self._chat.delete_of_guests()
        with self._desk.store.engine.begin() as connection:
            connection.execute(sa.delete(votes).where(votes.c.voter.startswith(GUEST)))
        self._desk.board.forget()
        left = self.made()
        gone = {name: max(0, count - getattr(left, name)) for name, count in before}
        return VisitorsReset(gone=VisitorsMade(**gone), left=left)


def addresses(settings: Settings) -> tuple[str, ...]:
    """Where browsers find the page, the network's addresses first where it is open to it."""
    host, port = settings.host, settings.port
    if host not in ANY_ADDRESS:
        return (_address(host, port),)
    found = [
        one.address
        for card in psutil.net_if_addrs().values()
        for one in card
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    ]
    return tuple(_address(each, port) for each in (*found, "127.0.0.1"))


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def host_key(home: Path) -> str:
    """128 bits in hex, made once for the home folder and readable by its owner only."""
    file = home / KEY_FILE
    if file.exists():
        return file.read_text()
    home.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_hex(16))
    try:
        os.link(fresh, file)
    except FileExistsError:  # another process was first
        pass
    finally:
        fresh.unlink()
    return file.read_text()
