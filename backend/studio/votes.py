"""Blind votes on comparisons: `Studio.votes`."""

import secrets
import time

from backend.contracts import (
    ComparedState,
    PictureReport,
    Poll,
    PolledVariant,
    Report,
    TextReport,
    VoteItem,
    VoteQuestion,
    VoteResult,
)
from backend.errors import Code, StudioError
from backend.studio.compare import Comparisons
from backend.studio.desk import LOCAL, Desk
from backend.votes.blind import new_code, order_for, pixels_alone, read_code, voter_mark
from backend.votes.pace import Pace
from backend.votes.statistics import shares
from backend.votes.store import VoteStore
from backend.votes.tables import PollItem, items_of, poll_columns, poll_of

MOST_VOTERS = 2000
"""Of one vote; forged visitors count like others."""
VOTER_PER_S, VOTER_AT_ONCE = 1.0, 15
ALL_PER_S, ALL_AT_ONCE = 50.0, 200
"""Votes on one poll, by whomever: what keeps a flood from the database."""


class Votes:
    """A vote is opened on a report by its owner, and its items are then those of that moment.

    Voters are whoever knows the code. All raise StudioError POLL_NOT_FOUND for a code that means
    no vote, and for one of somebody else where an owner is asked for.
    """

    def __init__(self, desk: Desk, comparisons: Comparisons) -> None:
        self._settings = desk.settings
        self._comparisons = comparisons
        self._store = VoteStore(desk.store.engine)
        self._voter_pace = Pace(VOTER_PER_S, VOTER_AT_ONCE)
        self._poll_pace = Pace(ALL_PER_S, ALL_AT_ONCE)

    # ---- the owner -------------------------------------------------------------------------

    def open(
        self,
        report_id: str,
        question: VoteQuestion,
        variants: tuple[int, ...],
        owner: str | None,
        early: bool = True,
    ) -> str:
        """Put these variants of a report to the vote, on every item that all of them finished; the
        vote's code.

        Raises StudioError COMPARISON_NOT_FOUND, POLL_VARIANTS_INVALID, POLL_EMPTY.
        """
        report = self._comparisons.show(report_id, owner)
        chosen = tuple(sorted(set(variants)))
        known = range(len(report.variants))
        blind_reference = question is VoteQuestion.REFERENCE and report.reference not in chosen
        if len(chosen) < 2 or not set(chosen) <= set(known) or blind_reference:
            raise StudioError(Code.POLL_VARIANTS_INVALID)
        items = poll_items(report, chosen)
        if not items:
            raise StudioError(Code.POLL_EMPTY)
        poll = Poll(
            code=new_code(),
            report=report_id,
            question=question,
            variants=tuple(_named(report, variant) for variant in chosen),
            reference=report.reference,
            pictures=isinstance(report, PictureReport),
            items=len(items),
            early=early,
            open=True,
            opened_at=time.time(),
        )
        self._store.open(poll_columns(poll, items, owner or LOCAL, secrets.token_hex(32)))
        return poll.code

    def polls(self, report_id: str, owner: str | None) -> tuple[Poll, ...]:
        """The oldest first."""
        found = self._store.of_report(report_id)
        return tuple(poll_of(row) for row in found if owner in (None, row["owner"]))

    def result(self, code: str, owner: str | None) -> VoteResult:
        return self._result(self._own(code, owner))

    def close(self, code: str, owner: str | None) -> None:
        """Count no more votes; voters see the result."""
        self._store.close(self._own(code, owner).code)

    def reset(self, code: str, owner: str | None) -> None:
        """Delete all its votes, and open it where it was closed."""
        self._store.reset(self._own(code, owner).code)

    def delete(self, code: str, owner: str | None) -> None:
        self._store.delete(self._own(code, owner).code)

    # ---- voters ----------------------------------------------------------------------------

    def poll(self, code: str) -> Poll:
        return poll_of(self._store.find(_read(code)))

    def mark(self, code: str, voter: str) -> str:
        """A short name of this voter's orders: what a picture's address must change with."""
        return voter_mark(self._store.find(_read(code))["secret"], voter)

    def items(self, code: str, voter: str) -> tuple[VoteItem, ...]:
        """Each item with its options in this voter's order."""
        row = self._store.find(_read(code))
        variants = poll_of(row).variants
        places = {variant.variant: place for place, variant in enumerate(variants)}
        voted = self._store.of_voter(row["code"], voter)
        found = []
        for number, item in enumerate(items_of(row["content"])):
            order = order_for(row["secret"], voter, number, len(variants))
            taken = voted.get(number)
            found.append(
                VoteItem(
                    item=number,
                    prompt=item.prompt,
                    options=len(variants),
                    voted=None if taken is None else order.index(places[taken]),
                )
            )
        return tuple(found)

    def option(self, code: str, voter: str, item: int, option: int) -> bytes | str:
        """What an option shows: the pixels of a PNG without any text in it, or an answer.

        Raises StudioError VOTE_INVALID, COMPARISON_NOT_FOUND.
        """
        row = self._store.find(_read(code))
        poll = poll_of(row)
        place = self._place(poll, row["secret"], voter, item, option)
        choice = items_of(row["content"])[item].choices[place]
        if not poll.pictures:
            return choice
        try:
            return pixels_alone((self._settings.outputs / poll.report / choice).read_bytes())
        except (OSError, ValueError) as error:
            lost = f"{poll.report}/{choice}"
            raise StudioError(Code.COMPARISON_NOT_FOUND, repr(error), comparison=lost) from error

    def vote(self, code: str, voter: str, item: int, option: int) -> None:
        """One vote for each voter and item; a new one takes the place of the old.

        Raises StudioError VOTE_INVALID, VOTES_TOO_FAST, VOTING_CLOSED, POLL_FULL.
        """
        row = self._store.find(_read(code))
        poll = poll_of(row)
        place = self._place(poll, row["secret"], voter, item, option)
        if not poll.open:
            raise StudioError(Code.VOTING_CLOSED)
        one = self._voter_pace.allows(f"{poll.code}/{voter}")
        if not (one and self._poll_pace.allows(poll.code)):
            raise StudioError(Code.VOTES_TOO_FAST)
        self._store.cast(poll.code, voter, item, poll.variants[place].variant, MOST_VOTERS)

    def result_for(self, code: str, voter: str) -> VoteResult | None:
        """The result as far as this voter may see it: once the vote is closed, or, where its owner
        allows it, once this voter has voted on everything."""
        poll = self.poll(code)
        done = poll.early and len(self._store.of_voter(poll.code, voter)) == poll.items
        return self._result(poll) if done or not poll.open else None

    # ----------------------------------------------------------------------------------------

    def _own(self, code: str, owner: str | None) -> Poll:
        row = self._store.find(_read(code))
        if owner not in (None, row["owner"]):
            raise StudioError(Code.POLL_NOT_FOUND, poll=row["code"])
        return poll_of(row)

    @staticmethod
    def _place(poll: Poll, secret: str, voter: str, item: int, option: int) -> int:
        options = len(poll.variants)
        if not (0 <= item < poll.items and 0 <= option < options):
            raise StudioError(Code.VOTE_INVALID)
        return order_for(secret, voter, item, options)[option]

    def _result(self, poll: Poll) -> VoteResult:
        counts, voters = self._store.tally(poll.code)
        variants = tuple(variant.variant for variant in poll.variants)
        return VoteResult(
            question=poll.question,
            variants=variants,
            votes=sum(counts.values()),
            voters=voters,
            chance=1 / len(variants),
            shares=shares(counts, variants),
            open=poll.open,
        )


def _read(code: str) -> str:
    found = read_code(code)
    if found is None:
        raise StudioError(Code.POLL_NOT_FOUND, poll=code[:20])
    return found


def _named(report: Report, variant: int) -> PolledVariant:
    one = report.variants[variant]
    if isinstance(report, PictureReport):
        asked = report.request.variants[variant]
        key = f"{report.request.model}/{asked.precision}/{asked.runtime}"
    else:
        server = report.request.variants[variant]
        key = f"{server.model}/{server.kind}"
    return PolledVariant(variant=variant, key=key, simulated=one.simulated)


def poll_items(report: Report, variants: tuple[int, ...]) -> tuple[PollItem, ...]:
    """What there is to vote on: each prompt with each seed, or each prompt, that all of `variants`
    have finished."""
    made = _answers(report) if isinstance(report, TextReport) else _pictures(report)
    found = []
    for prompt, seed in sorted({(prompt, seed) for _, prompt, seed in made}):
        choices = [made.get((variant, prompt, seed)) for variant in variants]
        whole = tuple(choice for choice in choices if choice is not None)
        if len(whole) == len(variants):
            found.append(PollItem(prompt=report.request.prompts[prompt], choices=whole))
    return tuple(found)


def _pictures(report: PictureReport) -> dict[tuple[int, int, int], str]:
    return {(made.variant, made.prompt, made.seed): made.file for made in report.pictures}


def _answers(report: TextReport) -> dict[tuple[int, int, int], str]:
    return {
        (answer.variant, answer.prompt, 0): answer.text
        for answer in report.answers
        if answer.state is ComparedState.DONE
    }
