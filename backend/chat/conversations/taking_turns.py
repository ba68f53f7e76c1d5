"""Two servers side by side that memory does not hold at once: one is asked, then the other."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from backend.chat.conversations.draft import Draft
from backend.chat.conversations.writer import Opening
from backend.contracts import (
    Endpoint,
    JobSnapshot,
    JobState,
    ServeRequest,
    ServerKind,
    ServerStatus,
)
from backend.errors import Code, StudioError
from backend.language import text

LOOK_S = 0.25
READY_LOOKS = 40


class House(Protocol):
    """What of the studio is needed to exchange one server for another."""

    def servers(self) -> tuple[ServerStatus, ...]: ...

    def stop(self, key: str) -> None: ...

    def serve(self, request: ServeRequest, owner: str | None) -> str: ...

    def endpoint(self, key: str) -> Endpoint: ...


def request_to_serve(key: str) -> ServeRequest:
    """The start of the server that a key names. Raises StudioError SERVER_UNKNOWN."""
    model, _, kind = key.rpartition("/")
    if not model or kind not in list(ServerKind):
        raise StudioError(Code.SERVER_UNKNOWN, server=key[:200])
    return ServeRequest(model=model, kind=ServerKind(kind))


@dataclass(frozen=True)
class Exchange:
    """Puts the server `start` in the place of `end`, for the owner of a conversation."""

    house: House
    job: Callable[[str], JobSnapshot]
    written_by: Callable[[str], int]
    """How many answers of a server are being written, by anybody."""
    start: ServeRequest
    end: str
    owner: str

    @property
    def key(self) -> str:
        return f"{self.start.model}/{self.start.kind}"

    def after(self, beside: Draft | None) -> Opening:
        """The opening of an answer that waits for the one beside it first."""

        async def opening(draft: Draft) -> Endpoint:
            while beside is not None and not beside.has_ended:
                draft.wait_for(text("waiting.beside"))
                await asyncio.sleep(LOOK_S)
            while await asyncio.to_thread(self.written_by, self.end):
                draft.wait_for(text("waiting.others", server=self.end))
                await asyncio.sleep(LOOK_S)
            await self._unload(draft)
            return await self._load(draft)

        return opening

    async def _unload(self, draft: Draft) -> None:
        with suppress(StudioError):  # it went by itself
            await asyncio.to_thread(self.house.stop, self.end)
        while any(one.key == self.end for one in await asyncio.to_thread(self.house.servers)):
            draft.wait_for(text("waiting.unload", server=self.end))
            await asyncio.sleep(LOOK_S)

    async def _load(self, draft: Draft) -> Endpoint:
        job_id = await asyncio.to_thread(self.house.serve, self.start, self.owner)
        while (job := await asyncio.to_thread(self.job, job_id)).state.is_live:
            phase = text(f"phase.{job.phase or 'queue'}")
            draft.wait_for(text("waiting.load", server=self.key, phase=phase))
            await asyncio.sleep(LOOK_S)
        if job.error is not None:
            raise StudioError(job.error.code, job.error.detail, **job.error.values)
        if job.state is not JobState.SUCCEEDED:
            raise StudioError(Code.JOB_STOPPED, state=text(f"state.{job.state}"))
        for _ in range(READY_LOOKS - 1):  # the worker tells of its servers once a second
            with suppress(StudioError):
                return await asyncio.to_thread(self.house.endpoint, self.key)
            await asyncio.sleep(LOOK_S)
        return await asyncio.to_thread(self.house.endpoint, self.key)
