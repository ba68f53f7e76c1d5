"""What visitors of a studio in visitors mode have made."""

from backend.contracts.base import Contract


class VisitorsMade(Contract):
    visitors: int
    pictures: int
    """Jobs that make pictures, waiting, running or ended."""
    conversations: int
    votes: int


class VisitorsReset(Contract):
    gone: VisitorsMade
    left: VisitorsMade
    """What could not be stopped in time, or has come since."""
