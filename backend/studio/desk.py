"""What the parts of the facade share, and how each of them queues a job."""

from backend.contracts import Contract, JobKind, ResidentModel
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.hardware.host import host_memory
from backend.jobs.board import BoardReader
from backend.jobs.database import open_engine
from backend.jobs.follower import Follower
from backend.jobs.queue import PRIORITY_OF, QUEUE_OF, JobQueue
from backend.jobs.store import Store, new_job
from backend.settings import Settings

LOCAL = "local"
"""The owner of what the machine's own user asks for at the command line."""
GUEST = "guest:"
"""How the owners begin that are visitors of a studio in visitors mode. What they make is nobody
else's, and goes with a reset."""
FOR_GUESTS = frozenset({JobKind.GENERATE})


def is_guest(owner: str | None) -> bool:
    return owner is not None and owner.startswith(GUEST)


class Desk:
    """The settings, the table of jobs, the queue, and the news of both."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(open_engine(settings))
        self.queue = JobQueue(self.store)
        self.follower = Follower(self.store, self.queue)
        self.board = BoardReader(self.store)

    def submit(
        self,
        kind: JobKind,
        owner: str | None,
        title: str,
        variant: str,
        request: Contract,
        work: float,
        queue: str | None = None,
        after: str | None = None,
    ) -> str:
        """Queue a job, after another one has succeeded if `after` names it; its id.

        Raises StudioError TOO_MANY_WAITING, and VISITORS_LOCKED for what visitors may not ask for.
        """
        if is_guest(owner) and kind not in FOR_GUESTS:
            raise StudioError(Code.VISITORS_LOCKED)
        row = new_job(
            kind=kind,
            queue=queue or QUEUE_OF[kind],
            priority=PRIORITY_OF[kind],
            owner=owner or LOCAL,
            title=title,
            variant=variant,
            request=request.model_dump(mode="json"),
            work=work,
        )
        self.queue.submit(row, self.most_waiting(owner), after)
        self.board.forget()
        if after is None:
            self.follower.snapshot(row)
        return row.id

    def most_waiting(self, owner: str | None) -> int:
        """How many jobs the owner may have waiting."""
        most = self.settings.max_waiting_jobs
        return min(most, self.settings.visitor_waiting_jobs) if is_guest(owner) else most

    def live_job(self, kind: JobKind, request: Contract, owner: str | None) -> str | None:
        """The owner's job that does just this already."""
        asked = request.model_dump(mode="json")
        for row in self.board.read().live:
            if (row.kind, row.owner, row.request) == (kind, owner or LOCAL, asked):
                return row.id
        return None

    def memory_limit_bytes(self) -> int:
        """What a phase of a build may hold: the largest budget of a worker that is alive. On a GPU
        with memory of its own the builder works beside it, in the computer's."""
        now = memory.sample()
        if now.kind == "gpu":
            return host_memory().total
        workers = self.board.read().workers
        budgets = [worker.budget_bytes for worker in workers if worker.alive]
        return min(now.total_bytes, max(budgets, default=now.total_bytes))

    def resident(self) -> tuple[ResidentModel, ...]:
        """What the workers that are alive hold in memory."""
        workers = self.board.read().workers
        return tuple(model for worker in workers if worker.alive for model in worker.resident)
