"""The studio's own tables: jobs and workers.

DBOS carries a job to a worker and keeps its finished phases; what a job is, whose it is and how it
stands is said here and nowhere else.
"""

import json
import time
import uuid
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from backend.contracts import LEGAL_TRANSITIONS, JobKind, JobState, WorkerStatus
from backend.errors import Code, ErrorInfo, StudioError

SCHEMA_VERSION = 1
SCHEMA_LOCK = 7_265_031
"""Any number, the same for all who create the tables on one Postgres."""
ALIVE_S = 5.0

metadata = sa.MetaData()
schema = sa.Table("studio_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))
jobs = sa.Table(
    "studio_jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("queue", sa.String(32), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("variant", sa.String(200), nullable=False, index=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("work", sa.Float, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("kills", sa.Integer, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("worker", sa.String(200)),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("queued_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    sa.Index("studio_jobs_by_owner", "owner", "created_at"),
)
workers = sa.Table(
    "studio_workers",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
)
unloads = sa.Table(
    "studio_unloads",
    metadata,
    sa.Column("worker", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
)
chains = sa.Table(
    "studio_chains",
    metadata,
    sa.Column("job", sa.String(32), primary_key=True),
    sa.Column("after", sa.String(32), nullable=False),
)
"""Jobs that wait outside their queue until another job has ended."""


@dataclass(frozen=True)
class JobRow:
    """One row of `studio_jobs`; times in seconds since the epoch."""

    id: str
    kind: JobKind
    queue: str
    priority: int
    state: JobState
    owner: str
    title: str
    variant: str
    request: dict[str, Any]
    work: float
    """Size of the job in units of its kind, by which durations are compared."""
    attempt: int
    kills: int
    """How often a worker died while it ran this job."""
    cancel_requested: bool
    worker: str | None
    created_at: float
    queued_at: float
    started_at: float | None
    finished_at: float | None
    peak_memory_bytes: int | None
    result: dict[str, Any] | None
    error: ErrorInfo | None

    @property
    def workflow_id(self) -> str:
        """The DBOS workflow of this attempt."""
        return f"{self.id}.{self.attempt}"


def new_job(
    kind: JobKind,
    queue: str,
    priority: int,
    owner: str,
    title: str,
    variant: str,
    request: dict[str, Any],
    work: float,
) -> JobRow:
    now = time.time()
    return JobRow(
        id=uuid.uuid4().hex,
        kind=kind,
        queue=queue,
        priority=priority,
        state=JobState.QUEUED,
        owner=owner,
        title=title,
        variant=variant,
        request=request,
        work=work,
        attempt=1,
        kills=0,
        cancel_requested=False,
        worker=None,
        created_at=now,
        queued_at=now,
        started_at=None,
        finished_at=None,
        peak_memory_bytes=None,
        result=None,
        error=None,
    )


def _to_columns(values: dict[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    for name in ("request", "result"):
        if columns.get(name) is not None:
            columns[name] = json.dumps(columns[name])
    if columns.get("error") is not None:
        columns["error"] = columns["error"].model_dump_json()
    for name in ("kind", "state"):
        if name in columns:
            columns[name] = str(columns[name])
    return columns


def _to_row(record: sa.RowMapping) -> JobRow:
    values = dict(record)
    values["kind"] = JobKind(values["kind"])
    values["state"] = JobState(values["state"])
    values["request"] = json.loads(values["request"])
    values["result"] = values["result"] and json.loads(values["result"])
    values["error"] = values["error"] and ErrorInfo.model_validate_json(values["error"])
    return JobRow(**values)


class Store:
    """Reads and writes of the studio's tables. Thread-safe: every call is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._prepare()

    def _prepare(self) -> None:
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            metadata.create_all(connection)
            found = connection.execute(sa.select(schema.c.version)).scalar()
            if found is None:
                connection.execute(sa.insert(schema).values(version=SCHEMA_VERSION))
            elif found > SCHEMA_VERSION:
                raise StudioError(Code.DATABASE_NEWER, found=found, known=SCHEMA_VERSION)

    # ---- jobs ------------------------------------------------------------------------------

    def insert(self, connection: sa.Connection, row: JobRow) -> None:
        values = {field.name: getattr(row, field.name) for field in fields(row)}
        connection.execute(sa.insert(jobs).values(_to_columns(values)))

    def find(self, job_id: str) -> JobRow | None:
        with self.engine.connect() as connection:
            query = sa.select(jobs).where(jobs.c.id == job_id)
            record = connection.execute(query).mappings().first()
        return _to_row(record) if record else None

    def select(
        self,
        *conditions: sa.ColumnElement[bool],
        order: tuple[Any, ...] = (jobs.c.created_at.desc(),),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[JobRow]:
        query = sa.select(jobs).where(*conditions).order_by(*order).limit(limit).offset(offset)
        with self.engine.connect() as connection:
            return [_to_row(record) for record in connection.execute(query).mappings()]

    def count(self, *conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(jobs).where(*conditions)
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def highest_priority(self, *conditions: sa.ColumnElement[bool]) -> int | None:
        with self.engine.connect() as connection:
            found = connection.execute(sa.select(sa.func.max(jobs.c.priority)).where(*conditions))
            return found.scalar()

    def move(
        self,
        job_id: str,
        to: JobState,
        *conditions: sa.ColumnElement[bool],
        connection: sa.Connection | None = None,
        **values: Any,
    ) -> bool:
        """Bring a job into state `to` if that is legal from where it stands; whether it was."""
        legal = [str(state) for state, targets in LEGAL_TRANSITIONS.items() if to in targets]
        statement = (
            sa.update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state.in_(legal), *conditions)
            .values(_to_columns({"state": to, **values}))
        )
        if connection is not None:
            return connection.execute(statement).rowcount == 1
        with self.engine.begin() as own:
            return own.execute(statement).rowcount == 1

    def update(self, job_id: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(jobs).where(jobs.c.id == job_id).values(_to_columns(values))
            )

    def is_cancel_requested(self, job_id: str) -> bool:
        with self.engine.connect() as connection:
            query = sa.select(jobs.c.cancel_requested).where(jobs.c.id == job_id)
            return bool(connection.execute(query).scalar())

    def remove(self, job_id: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.delete(chains).where(chains.c.job == job_id))
            connection.execute(sa.delete(jobs).where(jobs.c.id == job_id))

    def durations(
        self, variant: str, limit: int = 20, kind: JobKind | None = None
    ) -> list[tuple[float, float]]:
        """(work, seconds) of the last jobs of a variant that succeeded; of one kind, if given."""
        wanted = sa.true() if kind is None else jobs.c.kind == str(kind)
        query = (
            sa.select(jobs.c.work, jobs.c.finished_at - jobs.c.started_at)
            .where(jobs.c.variant == variant, jobs.c.state == str(JobState.SUCCEEDED), wanted)
            .order_by(jobs.c.finished_at.desc())
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [(work, seconds) for work, seconds in connection.execute(query)]

    def chained(self) -> dict[str, str]:
        """The waiting jobs that another one must precede, and which."""
        with self.engine.connect() as connection:
            return {row.job: row.after for row in connection.execute(sa.select(chains))}

    # ---- workers ---------------------------------------------------------------------------

    def report_worker(self, status: WorkerStatus) -> None:
        values = {"seen_at": status.seen_at, "status": status.model_dump_json()}
        with self.engine.begin() as connection:
            known = connection.execute(
                sa.update(workers).where(workers.c.name == status.name).values(values)
            )
            if known.rowcount == 0:
                connection.execute(sa.insert(workers).values(name=status.name, **values))

    def forget_worker(self, name: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.delete(workers).where(workers.c.name == name))

    def workers(self) -> tuple[WorkerStatus, ...]:
        """All workers known, each with whether it was heard from within `ALIVE_S` seconds."""
        with self.engine.connect() as connection:
            records = connection.execute(sa.select(workers.c.status).order_by(workers.c.name))
            found = [WorkerStatus.model_validate_json(status) for (status,) in records]
        limit = time.time() - ALIVE_S
        return tuple(w.model_copy(update={"alive": w.seen_at >= limit}) for w in found)

    def request_unload(self, worker: str, key: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                sa.delete(unloads).where(unloads.c.worker == worker, unloads.c.key == key)
            )
            connection.execute(sa.insert(unloads).values(worker=worker, key=key))

    def take_unloads(self, worker: str) -> list[str]:
        with self.engine.connect() as connection:
            keys = list(
                connection.execute(
                    sa.select(unloads.c.key).where(unloads.c.worker == worker)
                ).scalars()
            )
        if keys:
            with self.engine.begin() as connection:
                connection.execute(
                    sa.delete(unloads).where(unloads.c.worker == worker, unloads.c.key.in_(keys))
                )
        return keys
