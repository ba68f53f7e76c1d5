"""Reads and writes of blind votes. Thread-safe: every call is one transaction."""

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from backend.errors import Code, StudioError
from backend.votes.tables import polls, presented, votes


class VoteStore:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    # ---- polls -----------------------------------------------------------------------------

    def open(self, columns: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.insert(polls).values(columns))

    def find(self, code: str) -> sa.RowMapping:
        """Raises StudioError POLL_NOT_FOUND."""
        query = sa.select(polls).where(polls.c.code == code)
        with self._engine.connect() as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            raise StudioError(Code.POLL_NOT_FOUND, poll=code)
        return found

    def of_report(self, report: str) -> list[sa.RowMapping]:
        """The oldest first."""
        query = sa.select(polls).where(polls.c.report == report).order_by(polls.c.opened_at)
        with self._engine.connect() as connection:
            return list(connection.execute(query).mappings())

    def close(self, code: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(polls).where(polls.c.code == code).values(open=False))

    def reset(self, code: str) -> None:
        """Delete its votes and open it again."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(polls).where(polls.c.code == code).values(open=True))
            connection.execute(sa.delete(votes).where(votes.c.poll == code))

    def delete(self, code: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.delete(polls).where(polls.c.code == code))

    # ---- votes -----------------------------------------------------------------------------

    def cast(self, code: str, voter: str, item: int, variant: int, most_voters: int) -> None:
        """Write a vote, or put it in the place of the voter's earlier one.

        Raises StudioError VOTING_CLOSED, and POLL_FULL for a voter more than `most_voters`.
        """
        counted = (
            sa.update(polls).where(polls.c.code == code, polls.c.open).values(cast=polls.c.cast + 1)
        )
        row = {"poll": code, "voter": voter, "item": item}
        said = {"variant": variant, "voted_at": time.time()}
        written = self._insert(votes).values(**row, **said)
        written = written.on_conflict_do_update(index_elements=list(row), set_=said)
        with self._engine.begin() as connection:
            if connection.execute(counted).rowcount == 0:
                raise StudioError(Code.VOTING_CLOSED)
            if self._voters(connection, code, votes.c.voter != voter) >= most_voters:
                raise StudioError(Code.POLL_FULL, limit=most_voters)
            connection.execute(written)

    def of_voter(self, code: str, voter: str) -> dict[int, int]:
        """Variant by item."""
        query = sa.select(votes.c.item, votes.c.variant).where(
            votes.c.poll == code, votes.c.voter == voter
        )
        with self._engine.connect() as connection:
            return {row.item: row.variant for row in connection.execute(query)}

    def tally(self, code: str) -> tuple[dict[int, int], int]:
        """Votes by variant, and how many voted."""
        query = (
            sa.select(votes.c.variant, sa.func.count().label("votes"))
            .where(votes.c.poll == code)
            .group_by(votes.c.variant)
        )
        with self._engine.connect() as connection:
            counts = {row.variant: row.votes for row in connection.execute(query)}
            return counts, self._voters(connection, code)

    @staticmethod
    def _voters(connection: sa.Connection, code: str, *more: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count(votes.c.voter.distinct())).where(
            votes.c.poll == code, *more
        )
        return int(connection.execute(query).scalar_one())

    # ---- presentations ---------------------------------------------------------------------

    def present(self, job: str, presentation: str) -> None:
        """Note a live comparison of a presentation."""
        row = {"job": job, "presentation": presentation, "made_at": time.time(), "cleared": False}
        with self._engine.begin() as connection:
            connection.execute(sa.insert(presented).values(row))

    def live(self, presentation: str, cleared: bool = False) -> list[str]:
        """Its live comparisons, the oldest first."""
        query = (
            sa.select(presented.c.job)
            .where(presented.c.presentation == presentation, presented.c.cleared == cleared)
            .order_by(presented.c.made_at)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def clear(self, presentation: str) -> None:
        mine = presented.c.presentation == presentation
        with self._engine.begin() as connection:
            connection.execute(sa.update(presented).where(mine).values(cleared=True))
