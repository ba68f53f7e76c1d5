import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from backend.contracts import LEGAL_TRANSITIONS, JobKind, JobState
from backend.errors import Code, StudioError
from backend.jobs.database import open_engine
from backend.jobs.store import JobRow, Store, new_job, schema
from backend.settings import Settings


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(open_engine(settings))


def added(store: Store, **changes: Any) -> JobRow:
    values: dict[str, Any] = {
        "kind": JobKind.GENERATE,
        "queue": "interactive",
        "priority": 10,
        "owner": "someone",
        "title": "a red circle",
        "variant": "demo/fp32/torch",
        "request": {"prompt": "a red circle"},
        "work": 1.0,
    }
    row = new_job(**(values | changes))
    with store.engine.begin() as connection:
        store.insert(connection, row)
    return row


def test_a_row_comes_back_as_it_went_in(store: Store) -> None:
    row = added(store)
    assert store.find(row.id) == row


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_only_legal_transitions_happen(store: Store, before: JobState, after: JobState) -> None:
    row = added(store)
    store.update(row.id, state=before)
    moved = store.move(row.id, after)
    assert moved == (after in LEGAL_TRANSITIONS[before])
    found = store.find(row.id)
    assert found is not None
    assert found.state is (after if moved else before)


def test_durations_are_those_of_jobs_that_succeeded(store: Store) -> None:
    row = added(store, work=4.0)
    store.move(row.id, JobState.RUNNING, started_at=100.0)
    assert store.durations(row.variant) == []
    store.move(row.id, JobState.SUCCEEDED, finished_at=102.0)
    assert store.durations(row.variant) == [(4.0, 2.0)]


def test_a_database_of_a_newer_studio_is_refused(settings: Settings) -> None:
    engine = open_engine(settings)
    Store(engine)
    with engine.begin() as connection:
        connection.execute(sa.update(schema).values(version=99))
    with pytest.raises(StudioError) as refusal:
        Store(engine)
    assert refusal.value.code is Code.DATABASE_NEWER


@pytest.mark.parametrize(
    "url", ["postgresql://studio@127.0.0.1:1/none", "mysql://here/there", "nonsense"]
)
def test_a_database_that_does_not_answer_is_said_in_words(settings: Settings, url: str) -> None:
    with pytest.raises(StudioError) as refusal:
        open_engine(settings.model_copy(update={"database_url": url}))
    assert refusal.value.code is Code.DATABASE_UNREACHABLE
