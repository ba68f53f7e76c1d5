"""Blind votes on comparisons."""

from backend.contracts.base import Contract
from backend.errors import Name


class VoteQuestion(Name):
    REFERENCE = "reference"
    """Which one is the reference?"""
    PREFER = "prefer"
    """Which one do you prefer?"""


class VoteItem(Contract):
    """One choice put to a voter: unlabelled, in an order of the voter's own."""

    item: int
    prompt: str
    options: int
    voted: int | None = None
    """The option that this voter took, in the voter's own order."""


class VoteShare(Contract):
    """How often one variant was chosen."""

    variant: int
    votes: int
    share: float
    low: float
    high: float
    """Wilson's 95 % interval (Wilson 1927, JASA 22)."""


class VoteResult(Contract):
    question: VoteQuestion
    variants: tuple[int, ...]
    """Those put to the vote, as places in the report's variants."""
    votes: int
    voters: int
    chance: float
    """What guessing would give each: one over the number of options."""
    shares: tuple[VoteShare, ...]
    open: bool


class PolledVariant(Contract):
    """What is put to the vote, as its result names it."""

    variant: int
    key: str
    """`model/precision/runtime`, or `model/server`."""
    simulated: bool = False


class Poll(Contract):
    """A blind vote on one report."""

    code: str
    """What voters type or scan: it alone is the permission to vote."""
    report: str
    question: VoteQuestion
    variants: tuple[PolledVariant, ...]
    """Two or more; their order is that of the report."""
    reference: int
    """Place of the report's reference among its variants."""
    pictures: bool
    """Else answers."""
    items: int
    early: bool
    """Whether who has voted on everything sees the result before the vote is closed."""
    open: bool
    opened_at: float
