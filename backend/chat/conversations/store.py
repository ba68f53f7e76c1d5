"""Reads and writes of conversations. Thread-safe: every call is one transaction."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from backend.chat.conversations.tables import (
    FIRST,
    Asked,
    Row,
    conversations,
    new_turn_columns,
    plain,
    summary_of,
    turn_of,
    turns,
)
from backend.chat.conversations.tree import Node, Tree
from backend.contracts import AnswerState, Author, ConversationPage, ConversationSettings, Turn
from backend.errors import Code, StudioError

LOST_S = 5.0
"""An answer whose writer was not heard of for so long is written by nobody any more."""
WRITING = turns.c.state == str(AnswerState.WRITING)
TITLE_CHARACTERS = 80


@dataclass(frozen=True)
class NewTurn:
    """A turn to be kept; `asked` of an answer that is to be written."""

    conversation: str
    turn: Turn
    twin: str | None = None
    shown: bool = True
    asked: Asked | None = None


def title_from(text: str) -> str:
    """The beginning of a first question."""
    return plain(" ".join(text.split()))[:TITLE_CHARACTERS].strip()


def new_rows(
    owner: str,
    title: str,
    sides: Mapping[str, ConversationSettings],
    created_at: float | None = None,
) -> list[dict[str, Any]]:
    """Of a new conversation, or of two side by side, by their ids."""
    now = time.time()
    ids = list(sides)
    return [
        {
            "id": each,
            "owner": owner,
            "title": plain(title)[:TITLE_CHARACTERS],
            "created_at": now if created_at is None else created_at,
            "changed_at": now,
            "beside": next((other for other in ids if other != each), None),
            "side": number,
            "settings": settings.model_dump_json(),
        }
        for number, (each, settings) in enumerate(sides.items())
    ]


class ConversationStore:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writing = threading.Lock()

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """One writer of this process at a time: SQLite has those that meet sleep for many times
        what a write takes."""
        with self._writing, self._engine.begin() as connection:
            yield connection

    def page(self, owner: str | None, search: str, limit: int) -> ConversationPage:
        """The owner's conversations that hold `search` in their titles or in what was said."""
        conditions = [conversations.c.side == FIRST, *_owned(owner)]
        if search := plain(search):
            said = sa.exists().where(
                turns.c.conversation.in_([conversations.c.id, conversations.c.beside]),
                turns.c.content.icontains(search, autoescape=True),
            )
            named = conversations.c.title.icontains(search, autoescape=True)
            conditions.append(sa.or_(named, said))
        chosen = sa.select(conversations).where(*conditions)
        newest = chosen.order_by(conversations.c.changed_at.desc()).limit(limit)
        with self._engine.connect() as connection:
            found = connection.execute(newest).mappings().all()
            total = connection.execute(
                sa.select(sa.func.count()).select_from(chosen.subquery())
            ).scalar_one()
        return ConversationPage(conversations=tuple(map(summary_of, found)), total=total)

    def find(self, conversation: str, owner: str | None) -> sa.RowMapping:
        """Raises StudioError CONVERSATION_NOT_FOUND."""
        return next(row for row in self.sides(conversation, owner) if row["id"] == conversation)

    def sides(self, conversation: str, owner: str | None) -> tuple[sa.RowMapping, ...]:
        """It, and the one beside it; the first side first.

        Raises StudioError CONVERSATION_NOT_FOUND.
        """
        pair = sa.or_(conversations.c.id == conversation, conversations.c.beside == conversation)
        query = sa.select(conversations).where(pair, *_owned(owner)).order_by(conversations.c.side)
        with self._engine.connect() as connection:
            rows = tuple(connection.execute(query).mappings())
        if not rows:
            raise StudioError(Code.CONVERSATION_NOT_FOUND)
        return rows

    def add(self, rows: Sequence[Row], said: Sequence[NewTurn] = (), alone: bool = False) -> None:
        """Keep what `new_rows` gives, with what was said in it; `alone` as in `ask`."""
        now = time.time()
        with self._write() as connection:
            connection.execute(sa.insert(conversations), [dict(row) for row in rows])
            if alone:
                _refuse_while_writing(connection, [row["id"] for row in rows], now, everywhere=True)
            if said:
                connection.execute(sa.insert(turns), [_columns(each, now) for each in said])

    def change(self, ids: Sequence[str], **values: Any) -> None:
        with self._write() as connection:
            connection.execute(
                sa.update(conversations)
                .where(conversations.c.id.in_(ids))
                .values(**values, changed_at=time.time())
            )

    def delete(self, *conditions: sa.ColumnElement[bool]) -> int:
        """Conversations, with all that was said in them; how many."""
        chosen = sa.select(conversations.c.id).where(*conditions)
        with self._write() as connection:
            connection.execute(sa.delete(turns).where(turns.c.conversation.in_(chosen)))
            return connection.execute(sa.delete(conversations).where(*conditions)).rowcount

    # ---- turns -----------------------------------------------------------------------------

    def tree(self, conversation: str) -> Tree:
        columns = [turns.c[name] for name in ("id", "parent", "role", "shown", "twin")]
        query = (
            sa.select(*columns)
            .where(turns.c.conversation == conversation)
            .order_by(turns.c.created_at, turns.c.id)
        )
        with self._engine.connect() as connection:
            return Tree(Node(*row) for row in connection.execute(query))

    def turns(self, ids: Sequence[str], tree: Tree) -> tuple[Turn, ...]:
        """These turns, in this order."""
        if not ids:
            return ()
        query = sa.select(turns).where(turns.c.id.in_(ids))
        with self._engine.connect() as connection:
            rows = {row["id"]: row for row in connection.execute(query).mappings()}
        if any(_lost(row) for row in rows.values()):
            self._interrupt_lost()
            return self.turns(ids, tree)
        return tuple(turn_of(rows[each], tree.versions(each)) for each in ids if each in rows)

    def place_of(self, turn: str, owner: str | None) -> str:
        """The conversation that a turn is in. Raises StudioError TURN_NOT_FOUND."""
        query = (
            sa.select(turns.c.conversation)
            .join(conversations, conversations.c.id == turns.c.conversation)
            .where(turns.c.id == turn, *_owned(owner))
        )
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise StudioError(Code.TURN_NOT_FOUND)
        return str(found)

    def asked(self, turn: str) -> Asked | None:
        """How an answer was asked for; None of one that came with an import."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(turns.c.asked).where(turns.c.id == turn)).scalar()
        return None if found is None else Asked.model_validate_json(found)

    def ask(
        self,
        said: Sequence[NewTurn],
        path: Sequence[str],
        hidden: Sequence[str],
        title: str,
        alone: bool = False,
    ) -> None:
        """Keep questions and the answers that are to be written; show the turns that lead there,
        hide their other versions; `title` becomes that of a conversation without one.

        Raises StudioError CONVERSATION_NOT_FOUND when it was deleted meanwhile,
        ANSWER_BEING_WRITTEN when another one is written in it, or with `alone` in any conversation
        of its owner.
        """
        now = time.time()
        asked = {each.conversation for each in said}
        named = conversations.c.title
        with self._write() as connection:
            renewed = (
                sa.update(conversations)
                .where(sa.or_(conversations.c.id.in_(asked), conversations.c.beside.in_(asked)))
                .values(
                    changed_at=now,
                    title=sa.case((named == "", title), else_=named),
                )
            )
            if connection.execute(renewed).rowcount < len(asked):
                raise StudioError(Code.CONVERSATION_NOT_FOUND)
            _refuse_while_writing(connection, asked, now, everywhere=alone)
            _show(connection, path, hidden)
            connection.execute(sa.insert(turns), [_columns(each, now) for each in said])

    def show(self, path: Sequence[str], hidden: Sequence[str]) -> None:
        with self._write() as connection:
            _show(connection, path, hidden)

    def save(self, written: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Keep what has come of answers; those of them that nobody wants any more."""
        now = time.time()
        unwanted = set()
        with self._write() as connection:
            for each, columns in written.items():
                done = connection.execute(
                    sa.update(turns).where(turns.c.id == each).values(**columns, saved_at=now)
                )
                if done.rowcount == 0:
                    unwanted.add(each)
            query = sa.select(turns.c.id).where(turns.c.id.in_(written), turns.c.stop_requested)
            return unwanted | set(connection.execute(query).scalars())

    def request_stop(self, turn: str) -> None:
        """Have the process that writes an answer end it, within a second."""
        with self._write() as connection:
            connection.execute(
                sa.update(turns).where(turns.c.id == turn, WRITING).values(stop_requested=True)
            )

    def written_by(self, server: str) -> int:
        """How many answers of this server are being written, by whatever process."""
        query = sa.select(turns.c.author).where(WRITING, turns.c.saved_at > time.time() - LOST_S)
        with self._engine.connect() as connection:
            authors = [Author.model_validate_json(each) for (each,) in connection.execute(query)]
        return sum(author.server == server for author in authors)

    def _interrupt_lost(self) -> None:
        with self._write() as connection:
            connection.execute(
                sa.update(turns)
                .where(WRITING, turns.c.saved_at <= time.time() - LOST_S)
                .values(state=str(AnswerState.INTERRUPTED))
            )


def _owned(owner: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if owner is None else [conversations.c.owner == owner]


def _refuse_while_writing(
    connection: sa.Connection, asked: Collection[str], now: float, everywhere: bool
) -> None:
    """Raise StudioError ANSWER_BEING_WRITTEN while one is, in these conversations or `everywhere`
    in those of their owner."""
    places = sa.select(conversations.c.id).where(conversations.c.id.in_(asked))
    if everywhere:
        owners = sa.select(conversations.c.owner).where(conversations.c.id.in_(asked))
        places = sa.select(conversations.c.id).where(conversations.c.owner.in_(owners))
    writing = sa.select(turns.c.id).where(
        turns.c.conversation.in_(places), WRITING, turns.c.saved_at > now - LOST_S
    )
    if connection.execute(writing).first() is not None:
        raise StudioError(Code.ANSWER_BEING_WRITTEN)


def _columns(new: NewTurn, now: float) -> dict[str, Any]:
    columns = new_turn_columns(new.turn, new.conversation, new.twin, now)
    asked = new.asked.model_dump_json() if new.asked else None
    return columns | {"shown": new.shown, "asked": asked}


def _show(connection: sa.Connection, path: Sequence[str], hidden: Sequence[str]) -> None:
    for ids, shown in ((path, True), (hidden, False)):
        if ids:
            connection.execute(sa.update(turns).where(turns.c.id.in_(ids)).values(shown=shown))


def _lost(row: sa.RowMapping) -> bool:
    last_heard_of: float = row["saved_at"]
    return row["state"] == str(AnswerState.WRITING) and last_heard_of <= time.time() - LOST_S
