"""The tables of conversations, and what their rows are.

They join the studio's other tables, so the one place that creates tables creates these, also in a
database that is older than they are; an older studio never looks at them.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel

from backend.contracts import (
    AnswerMetrics,
    AnswerState,
    Author,
    Contract,
    ConversationSettings,
    ConversationSummary,
    Endpoint,
    Turn,
)
from backend.errors import ErrorInfo
from backend.jobs.store import metadata

B = TypeVar("B", bound=BaseModel)
Row = sa.RowMapping | Mapping[str, Any]
FIRST, SECOND = 0, 1
"""Sides of two conversations that are asked the same."""

conversations = sa.Table(
    "studio_conversations",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("beside", sa.String(32)),
    sa.Column("side", sa.Integer, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Index("studio_conversations_by_owner", "owner", "changed_at"),
)
turns = sa.Table(
    "studio_turns",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("conversation", sa.String(32), nullable=False, index=True),
    sa.Column("parent", sa.String(32)),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("reasoning", sa.Text, nullable=False),
    sa.Column("images", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("shown", sa.Boolean, nullable=False),
    sa.Column("twin", sa.String(32)),
    sa.Column("state", sa.String(16)),
    sa.Column("author", sa.Text),
    sa.Column("asked", sa.Text),
    sa.Column("metrics", sa.Text),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("saved_at", sa.Float, nullable=False),
    sa.Column("stop_requested", sa.Boolean, nullable=False),
)
"""`shown`: the one of its siblings that is shown. `twin`: the same question in the conversation
beside. `saved_at`: when the process that writes the answer was last heard of."""


class Asked(Contract):
    """How an answer was asked for; what was said before it is in the tree."""

    endpoint: Endpoint
    settings: ConversationSettings


def plain(text: str) -> str:
    """The text without what a database cannot keep: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def turn_columns(turn: Turn) -> dict[str, Any]:
    """What a turn is, as columns; where it stands in the tree is not among them."""
    return {
        "content": plain(turn.content),
        "reasoning": plain(turn.reasoning),
        "state": str(turn.state) if turn.state else None,
        "author": _dumped(turn.author),
        "metrics": _dumped(turn.metrics),
        "peak_memory_bytes": turn.peak_memory_bytes,
        "error": plain(_dumped(turn.error) or "") or None,
    }


def new_turn_columns(
    turn: Turn, conversation: str, twin: str | None, saved_at: float
) -> dict[str, Any]:
    return turn_columns(turn) | {
        "id": turn.id,
        "conversation": conversation,
        "parent": turn.parent,
        "role": turn.role,
        "images": json.dumps(turn.images),
        "created_at": turn.created_at,
        "shown": True,
        "twin": twin,
        "asked": None,
        "saved_at": saved_at,
        "stop_requested": False,
    }


def turn_of(record: sa.RowMapping, versions: tuple[str, ...] = ()) -> Turn:
    return Turn(
        id=record["id"],
        parent=record["parent"],
        role=record["role"],
        content=record["content"],
        reasoning=record["reasoning"],
        images=tuple(json.loads(record["images"])),
        created_at=record["created_at"],
        versions=versions,
        state=AnswerState(record["state"]) if record["state"] else None,
        author=_loaded(Author, record["author"]),
        metrics=_loaded(AnswerMetrics, record["metrics"]),
        peak_memory_bytes=record["peak_memory_bytes"],
        error=_loaded(ErrorInfo, record["error"]),
    )


def summary_of(record: Row) -> ConversationSummary:
    names = ConversationSummary.model_fields
    return ConversationSummary(**{name: record[name] for name in names})


def settings_of(record: Row) -> ConversationSettings:
    return ConversationSettings.model_validate_json(record["settings"])


def _dumped(value: BaseModel | None) -> str | None:
    return None if value is None else value.model_dump_json()


def _loaded(kind: type[B], value: str | None) -> B | None:
    return None if value is None else kind.model_validate_json(value)
