"""Language models and their servers: started, asked, stopped. `Studio.chat`."""

from collections.abc import AsyncIterator
from pathlib import Path

from backend.chat.client.answer import Stop, answer
from backend.chat.client.outside import outside_endpoint
from backend.chat.fetch import is_repository
from backend.chat.models import find_language_model, list_language_models
from backend.chat.servers.house import choices_for, plan_of, this_machine
from backend.chat.simulation import check_simulation
from backend.contracts import (
    ChatEvent,
    ChatRequest,
    Endpoint,
    JobKind,
    LanguageModel,
    ServerChoice,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
)
from backend.errors import Code, StudioError
from backend.studio.desk import Desk


class Chat:
    """Raises StudioError TOO_MANY_WAITING from what queues a job."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def models(self) -> tuple[LanguageModel, ...]:
        """The language models on this machine."""
        return list_language_models(self._desk.settings)

    def find(self, model: str, owner: str | None) -> LanguageModel:
        """Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED,
        MODEL_FILES_CORRUPTED."""
        self.check_place(model, owner)
        return find_language_model(self._desk.settings, model)

    def choices(self, model: str, owner: str | None) -> tuple[ServerChoice, ...]:
        """Which servers can serve it here, and why not the others.

        Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED.
        """
        found = self.find(model, owner)
        return choices_for(self._desk.settings, found, this_machine(self._desk.settings))

    def serve(self, request: ServeRequest, owner: str | None) -> str:
        """Queue the start of a server, and first the fetching of a repository that is not here; the
        job's id.

        Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
        CHECKPOINT_NOT_READABLE, SERVER_NOT_FOUND, SERVER_UNSUITABLE.
        """
        self.check_place(request.model, owner)
        work = 1.0
        try:
            model = find_language_model(self._desk.settings, request.model)
            work = max(model.weights_bytes, 1) / 1024**2
            if request.simulated:
                check_simulation(model)
            else:
                plan_of(self._desk.settings, request)
        except StudioError as error:
            if error.code is not Code.CHAT_MODEL_NOT_FOUND or not is_repository(request.model):
                raise
        variant = f"{request.model}/{request.kind}"[:200]
        return self._desk.submit(JobKind.SERVE, owner, request.model, variant, request, work)

    def servers(self) -> tuple[ServerStatus, ...]:
        """Those that the workers run, as they were within the last second."""
        return tuple(
            one for worker in self._desk.store.workers() if worker.alive for one in worker.servers
        )

    def stop(self, key: str) -> None:
        """Have a server ended and unloaded; begun within a second. Raises StudioError
        SERVER_UNKNOWN."""
        for worker in self._desk.store.workers():
            if worker.alive and any(one.key == key for one in worker.servers):
                self._desk.store.request_unload(worker.name, key)
                return
        raise StudioError(Code.SERVER_UNKNOWN, server=key[:200])

    def endpoint(self, key: str) -> Endpoint:
        """What to ask a server of `servers` at. Raises StudioError SERVER_UNKNOWN,
        SERVER_NOT_READY, and why it failed."""
        for one in self.servers():
            if one.key == key and one.phase is ServerPhase.READY:
                return one.endpoint
            if one.key == key and one.error is not None and one.phase is ServerPhase.FAILED:
                raise StudioError(one.error.code, one.error.detail, **one.error.values)
            if one.key == key:
                raise StudioError(Code.SERVER_NOT_READY, server=key)
        raise StudioError(Code.SERVER_UNKNOWN, server=key[:200])

    async def outside(self) -> Endpoint:
        """The server that the owner runs elsewhere, see `outside_endpoint`."""
        return await outside_endpoint(self._desk.settings)

    def answer(
        self, endpoint: Endpoint, request: ChatRequest, stop: Stop | None = None
    ) -> AsyncIterator[ChatEvent]:
        """See `client.answer`. The owner's key goes to the owner's server only."""
        outside = endpoint.kind is ServerKind.OUTSIDE
        key = self._desk.settings.chat_key.get_secret_value() if outside else ""
        return answer(endpoint, request, key, stop)

    def check_place(self, model: str, owner: str | None) -> None:
        """Folders may be named by who sits at this machine: at its command line, or on the page of
        a studio that is not open to the network."""
        anywhere = owner is None or self._desk.settings.auth is None
        if not anywhere and Path(model).expanduser().is_absolute():
            raise StudioError(Code.CHAT_MODEL_NOT_FOUND, model=model[:200])
