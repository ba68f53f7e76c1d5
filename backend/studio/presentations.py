"""Comparisons in front of an audience: `Studio.presentations`."""

from backend.contracts import CompareTextRequest, Report
from backend.errors import Code, StudioError
from backend.studio.compare import Comparisons
from backend.studio.compare_text import CompareText
from backend.studio.desk import Desk
from backend.studio.jobs import Jobs
from backend.studio.votes import Votes
from backend.votes.store import VoteStore


class Presentations:
    """A presentation is a comparison and the live ones that were asked for while it was shown. It
    goes by the comparison's id.

    Raises StudioError COMPARISON_NOT_FOUND for one that is none of the owner's.
    """

    def __init__(
        self, desk: Desk, jobs: Jobs, pictures: Comparisons, answers: CompareText, votes: Votes
    ) -> None:
        self._store = VoteStore(desk.store.engine)
        self._jobs = jobs
        self._pictures = pictures
        self._answers = answers
        self._votes = votes

    def reports(self, presentation: str, owner: str | None) -> tuple[Report, ...]:
        """The one prepared beforehand, then the live ones in the order they were asked for."""
        prepared = self._pictures.show(presentation, owner)
        live = self._store.live(presentation)
        return (prepared, *(self._pictures.show(job, owner) for job in live))

    def ask(self, presentation: str, prompt: str, owner: str | None) -> str:
        """Queue the same comparison of one more prompt, with its first seed, by variants that stay
        in memory; the job's id.

        Raises what queueing a comparison raises.
        """
        request = self._pictures.show(presentation, owner).request
        if isinstance(request, CompareTextRequest):
            again = request.model_copy(update={"prompts": (prompt,)})
            job = self._answers.compare(again, owner)
        else:
            live = {"prompts": (prompt,), "seeds": request.seeds[:1], "keep_loaded": True}
            job = self._pictures.compare(request.model_copy(update=live), owner)
        self._store.present(job, presentation)
        return job

    def reset(self, presentation: str, owner: str | None) -> None:
        """Clear what the last audience did: the live comparisons, stopped where they still run, and
        the votes."""
        self._pictures.show(presentation, owner)
        for poll in self._votes.polls(presentation, owner):
            self._votes.reset(poll.code, owner)
        for job in self._store.live(presentation):
            if self._jobs.get(job, owner).state.is_live:
                self._stop(job, owner)
        self._store.clear(presentation)
        self.sweep(presentation, owner)

    def sweep(self, presentation: str, owner: str | None) -> None:
        """Delete the live comparisons that were cleared and have ended since."""
        for job in self._store.live(presentation, cleared=True):
            if not self._jobs.get(job, owner).state.is_live:
                self._pictures.delete(job, owner)

    def _stop(self, job: str, owner: str | None) -> None:
        try:
            self._jobs.cancel(job, owner)
        except StudioError as error:  # it ended just now
            if error.code is not Code.JOB_NOT_CANCELLABLE:
                raise
