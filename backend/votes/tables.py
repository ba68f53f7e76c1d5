"""The tables of blind votes and of presentations, and what their rows are.

They join the studio's other tables, see `backend.chat.conversations.tables`. What belongs to a
comparison goes with its job.
"""

import json
from typing import Any

import sqlalchemy as sa

from backend.contracts import Poll, PolledVariant, VoteQuestion
from backend.contracts.base import Contract
from backend.jobs.store import metadata

OWN_CHARACTERS = 200


def _of_job(name: str, **options: Any) -> sa.Column[str]:
    job = sa.ForeignKey("studio_jobs.id", ondelete="CASCADE")
    return sa.Column(name, sa.String(32), job, nullable=False, **options)


polls = sa.Table(
    "studio_polls",
    metadata,
    sa.Column("code", sa.String(16), primary_key=True),
    _of_job("report", index=True),
    sa.Column("owner", sa.String(OWN_CHARACTERS), nullable=False),
    sa.Column("question", sa.String(16), nullable=False),
    sa.Column("variants", sa.Text, nullable=False),
    sa.Column("reference", sa.Integer, nullable=False),
    sa.Column("pictures", sa.Boolean, nullable=False),
    sa.Column("items", sa.Integer, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("early", sa.Boolean, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("cast", sa.Integer, nullable=False),
)
"""`content`: the items as they were when the vote was opened. `secret`: orders the options of each
voter. `cast`: how often a vote was written; every vote changes it, so votes on one poll follow each
other and none is counted after its close."""
votes = sa.Table(
    "studio_votes",
    metadata,
    sa.Column(
        "poll",
        sa.String(16),
        sa.ForeignKey("studio_polls.code", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("voter", sa.String(OWN_CHARACTERS), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True),
    sa.Column("variant", sa.Integer, nullable=False),
    sa.Column("voted_at", sa.Float, nullable=False),
)
presented = sa.Table(
    "studio_presented",
    metadata,
    sa.Column(
        "job", sa.String(32), sa.ForeignKey("studio_jobs.id", ondelete="CASCADE"), primary_key=True
    ),
    _of_job("presentation", index=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("cleared", sa.Boolean, nullable=False),
)
"""The live comparisons made while another one was presented. `cleared`: to be deleted as soon as
they have ended."""


class PollItem(Contract):
    """One choice as it is kept."""

    prompt: str
    choices: tuple[str, ...]
    """A picture's file or an answer of each variant of the poll, in their order."""


def poll_columns(
    poll: Poll, items: tuple[PollItem, ...], owner: str, secret: str
) -> dict[str, Any]:
    return poll.model_dump(mode="json") | {
        "variants": json.dumps([variant.model_dump() for variant in poll.variants]),
        "content": json.dumps([item.model_dump() for item in items]),
        "owner": owner,
        "secret": secret,
        "cast": 0,
    }


def poll_of(record: sa.RowMapping) -> Poll:
    plain = ("code", "report", "reference", "pictures", "items", "early", "open", "opened_at")
    return Poll(
        **{name: record[name] for name in plain},
        question=VoteQuestion(record["question"]),
        variants=tuple(PolledVariant(**each) for each in json.loads(record["variants"])),
    )


def items_of(content: str) -> tuple[PollItem, ...]:
    return tuple(PollItem(**each) for each in json.loads(content))
