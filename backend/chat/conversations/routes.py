"""Which server answers which side of a conversation, and what has to happen before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.chat.conversations.taking_turns import Exchange, House, request_to_serve
from backend.chat.servers.house import plan_of
from backend.chat.servers.plan import endpoint_of
from backend.contracts import (
    Endpoint,
    JobKind,
    JobSnapshot,
    JobState,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
)
from backend.errors import Code, StudioError
from backend.jobs.store import Store, jobs
from backend.settings import Settings

OUTSIDE = str(ServerKind.OUTSIDE)


@dataclass(frozen=True)
class Route:
    """The server of one side. Where an exchange has to bring it first, the endpoint has no address
    yet."""

    endpoint: Endpoint
    exchange: Exchange | None = None
    memory_bytes: int = 0


@dataclass(frozen=True)
class Router:
    settings: Settings
    jobs: Store
    house: House
    job: Callable[[str], JobSnapshot]
    written_by: Callable[[str], int]
    outside: Callable[[], Endpoint]

    def routes(self, servers: Sequence[str], owner: str) -> list[Route]:
        """For one server, or for two that are asked side by side, by their keys.

        Raises StudioError SERVER_NOT_CHOSEN, SERVER_NOT_RUNNING (but not of one of two that memory
        does not hold at once), SERVER_NOT_READY, why it failed, and what `outside` raises.
        """
        running = {one.key: one for one in self.house.servers()}
        found = [self._running(server, running) for server in servers]
        for number, server in enumerate(servers):
            if found[number] is None:
                others = [running[key] for key in servers if key in running]
                found[number] = self._exchange(server, others, owner)
        return [route for route in found if route is not None]

    def _running(self, server: str, running: dict[str, ServerStatus]) -> Route | None:
        if not server:
            raise StudioError(Code.SERVER_NOT_CHOSEN)
        if server == OUTSIDE:
            return Route(self.outside())
        if server not in running:
            return None
        status = running[server]
        ready = status.phase is ServerPhase.READY
        endpoint = status.endpoint if ready else self.house.endpoint(server)
        return Route(endpoint, memory_bytes=status.memory_bytes)

    def _exchange(self, server: str, others: list[ServerStatus], owner: str) -> Route:
        if len(others) != 1:
            raise StudioError(Code.SERVER_NOT_RUNNING, server=server[:200])
        request = self._request(server)
        plan = plan_of(self.settings, request)
        budgets = [worker.budget_bytes for worker in self.jobs.workers() if worker.alive]
        if plan.total_bytes + others[0].estimate_bytes <= max(budgets, default=0):
            raise StudioError(Code.SERVER_NOT_RUNNING, server=server[:200])
        exchange = Exchange(
            house=self.house,
            job=self.job,
            written_by=self.written_by,
            start=request,
            end=others[0].key,
            owner=owner,
        )
        return Route(endpoint_of(plan, "", plan.model.name), exchange)

    def _request(self, server: str) -> ServeRequest:
        """As it was started the last time, if it ever was."""
        started = self.jobs.select(
            jobs.c.kind == str(JobKind.SERVE),
            jobs.c.variant == server,
            jobs.c.state == str(JobState.SUCCEEDED),
            limit=1,
        )
        before = [ServeRequest.model_validate(row.request) for row in started]
        return next((one for one in before if not one.simulated), request_to_serve(server))
