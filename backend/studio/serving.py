"""How a language model could be served here, and what that takes: `Studio.serving`."""

import importlib
import threading

from backend.chat.fetch import is_repository
from backend.chat.servers import kinds
from backend.chat.servers.house import this_machine
from backend.chat.servers.plan import key_of, make_plan
from backend.chat.servers.suitable import BOTH, Machine, why_not
from backend.chat.simulation import can_simulate, growth_of, simulated_folder
from backend.contracts import (
    LanguageModel,
    ServeOption,
    ServeOptions,
    ServeRequest,
    ServerKind,
    ServerStatus,
)
from backend.errors import Code, StudioError
from backend.language import Text, text
from backend.studio.chat import Chat
from backend.studio.desk import Desk


class Serving:
    def __init__(self, desk: Desk, chat: Chat) -> None:
        self._desk, self._chat = desk, chat

    def servers(self) -> tuple[ServerStatus, ...]:
        """As `Chat.servers`, at most 100 ms old and read once for everybody."""
        workers = self._desk.board.read().workers
        return tuple(one for worker in workers if worker.alive for one in worker.servers)

    def prepare(self) -> None:
        """Import, in the background, what the first question would otherwise wait for."""
        threading.Thread(target=importlib.import_module, args=("openai",), daemon=True).start()

    def options(
        self, name: str, owner: str | None, context_tokens: int | None, parallel: int | None
    ) -> ServeOptions:
        """Every way to serve a model here, with what it would take, and the memory there is.

        Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
        SAMPLING_OUT_OF_RANGE.
        """
        machine = this_machine(self._desk.settings)
        budget, free = self._room()
        try:
            model = self._chat.find(name, owner)
        except StudioError as error:
            if error.code is not Code.CHAT_MODEL_NOT_FOUND or not is_repository(name):
                raise
            options = [_unknown(kind, machine) for kind in kinds.SERVERS]
            return ServeOptions(
                model=None, options=tuple(options), budget_bytes=budget, free_bytes=free
            )
        limits = (context_tokens, parallel)
        options = [self._option(model, kind, machine, *limits) for kind in kinds.SERVERS]
        if can_simulate(model) and not any(one.possible for one in options):
            options.append(self._simulation(model, machine, *limits))
        options = [self._unless_running(one, model) for one in options]
        return ServeOptions(
            model=model, options=tuple(options), budget_bytes=budget, free_bytes=free
        )

    def _option(
        self,
        model: LanguageModel,
        kind: ServerKind,
        machine: Machine,
        context_tokens: int | None,
        parallel: int | None,
    ) -> ServeOption:
        request = ServeRequest(
            model=model.name,
            kind=kind,
            context_tokens=context_tokens,
            parallel=None if kind is ServerKind.TRANSFORMERS else parallel,
        )
        plan = make_plan(self._desk.settings, request, model, machine.total_bytes)
        reason = why_not(kind, model, machine, plan.total_bytes)
        return ServeOption(
            kind=kind,
            title=kinds.SERVERS[kind].title,
            possible=reason is None,
            reason=reason or text("server.suitable"),
            context_tokens=plan.context_tokens,
            parallel=plan.parallel,
            weights_bytes=plan.weights_bytes,
            cache_bytes=plan.cache_bytes,
            total_bytes=plan.total_bytes,
            guessed=kind is not ServerKind.TRANSFORMERS or machine.capability is not None,
        )

    def _simulation(
        self,
        model: LanguageModel,
        machine: Machine,
        context_tokens: int | None,
        parallel: int | None,
    ) -> ServeOption:
        """As if its plain copy were there already."""
        plain = {
            "modelopt": False,
            "algorithm": None,
            "weights_bytes": int(model.weights_bytes * growth_of(model)),
        }
        copy = model.model_copy(update=plain)
        found = self._option(copy, ServerKind.TRANSFORMERS, machine, context_tokens, parallel)
        reason = text("server.simulated_reason") if found.possible else found.reason
        return found.model_copy(update={"simulated": True, "reason": reason})

    def _unless_running(self, option: ServeOption, model: LanguageModel) -> ServeOption:
        name = model.name
        if option.simulated:
            name = simulated_folder(self._desk.settings, model).name
        running = {one.key for one in self.servers() if one.phase.is_live}
        if key_of(name, option.kind) not in running:
            return option
        return option.model_copy(update={"possible": False, "reason": text("server.runs_already")})

    def _room(self) -> tuple[int, int]:
        """Budget of the roomiest worker, and what of it nobody holds."""
        rooms = [(0, 0)]
        for worker in self._desk.board.read().workers:
            if worker.alive:
                held = sum(model.memory_bytes for model in worker.resident if model.in_use)
                held += sum(one.estimate_bytes for one in worker.servers if one.phase.is_live)
                rooms.append((worker.budget_bytes - held, worker.budget_bytes))
        free, budget = max(rooms)
        return budget, max(0, free)


def _unknown(kind: ServerKind, machine: Machine) -> ServeOption:
    """Of a model that is not here yet only this is known: whether there is such a server."""
    absent: Text | None = machine.missing.get(kind)
    if kind in BOTH and machine.capability is None:
        absent = text("server.needs_gpu")
    return ServeOption(
        kind=kind,
        title=kinds.SERVERS[kind].title,
        possible=absent is None,
        reason=absent or text("server.will_fetch"),
    )
