"""One database for DBOS and the studio's own tables: SQLite in WAL mode, or Postgres."""

import json
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, Serializer
from sqlalchemy.exc import SQLAlchemyError

from backend.errors import Code, StudioError
from backend.settings import Settings


class JsonSerializer(Serializer):
    """Keeps what DBOS stores readable and free of pickles."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=repr)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "studio_json"


def open_engine(settings: Settings) -> sa.Engine:
    """The engine of `settings.database_url`, or of `studio.db` in the home folder.

    Raises StudioError HOME_NOT_WRITABLE or DATABASE_UNREACHABLE.
    """
    engine = _postgres(settings.database_url) if settings.database_url else _sqlite(settings)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        problem = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise StudioError(Code.DATABASE_UNREACHABLE, problem=problem) from error
    DBOS.migrate(engine.url.render_as_string(hide_password=False))
    return engine


def _postgres(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except SQLAlchemyError as error:
        raise StudioError(Code.DATABASE_UNREACHABLE, problem="not a database URL") from error
    if parsed.get_backend_name() != "postgresql":
        raise StudioError(Code.DATABASE_UNREACHABLE, problem="only postgresql:// URLs are taken")
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"), pool_size=10, pool_pre_ping=True
    )


def _sqlite(settings: Settings) -> sa.Engine:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(Code.HOME_NOT_WRITABLE, path=str(settings.home)) from error
    engine = sa.create_engine(f"sqlite:///{settings.home / 'studio.db'}")

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
