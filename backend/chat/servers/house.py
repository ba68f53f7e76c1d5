"""The servers of one worker: started within its memory budget, listed, stopped."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from backend.chat.client.capabilities import TITLES
from backend.chat.fetch import bring_language_model
from backend.chat.models import find_language_model
from backend.chat.servers import kinds
from backend.chat.servers.plan import Plan, make_plan
from backend.chat.servers.process import ServerProcess
from backend.chat.servers.suitable import Machine, choices, why_not
from backend.chat.simulation import simulate
from backend.contracts import (
    LanguageModel,
    ServerChoice,
    ServeRequest,
    ServerKind,
    ServerPhase,
    ServerStatus,
)
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.hardware.gpu import list_gpus
from backend.jobs.context import JobCancelled, JobContext
from backend.language import text
from backend.models.pool import ModelPool
from backend.settings import Settings

WAIT_S = 0.25


def this_machine(settings: Settings, gpu: int = 0) -> Machine:
    """Looks for every kind of server; some 50 ms where Docker answers."""
    gpus = list_gpus()
    capability = gpus[gpu].compute_capability if gpu < len(gpus) else None
    total = memory.sample(gpu_index=gpu).total_bytes
    return Machine(capability, total, kinds.missing(settings))


def choices_for(
    settings: Settings, model: LanguageModel, machine: Machine
) -> tuple[ServerChoice, ...]:
    """Which servers can serve the model here, and why not the others."""

    def needed(kind: ServerKind) -> int:
        request = ServeRequest(model=model.name, kind=kind)
        return make_plan(settings, request, model, machine.total_bytes).total_bytes

    return choices(model, machine, needed)


def plan_of(settings: Settings, request: ServeRequest, gpu: int = 0) -> Plan:
    """What the request amounts to on this machine.

    Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
    SERVER_NOT_FOUND, SERVER_UNSUITABLE, SAMPLING_OUT_OF_RANGE.
    """
    model = find_language_model(settings, request.model)
    if request.kind not in kinds.SERVERS:
        problem = text("server.not_started", server=TITLES[request.kind])
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    machine = this_machine(settings, gpu)
    plan = make_plan(settings, request, model, machine.total_bytes)
    reason = why_not(request.kind, model, machine, plan.total_bytes)
    if reason is not None:
        absent = reason == machine.missing.get(request.kind)
        code = Code.SERVER_NOT_FOUND if absent else Code.SERVER_UNSUITABLE
        title = kinds.SERVERS[request.kind].title
        raise StudioError(code, server=title, model=model.name, reason=reason)
    return plan


class Servers:
    """What a worker lends to jobs that start a server, and asks for its telemetry. Thread-safe."""

    def __init__(self, settings: Settings, gpu: int = 0) -> None:
        self._settings, self.gpu = settings, gpu
        self._lock = threading.Lock()
        self._running: dict[str, ServerProcess] = {}
        self._starting: set[str] = set()

    def statuses(self) -> tuple[ServerStatus, ...]:
        """Live ones, and those that failed until they are started or stopped again."""
        with self._lock:
            running = dict(self._running)
        found = {key: server.status() for key, server in running.items()}
        with self._lock:
            for key, status in found.items():
                if status.phase is ServerPhase.STOPPED and self._running.get(key) is running[key]:
                    del self._running[key]
        return tuple(one for one in found.values() if one.phase is not ServerPhase.STOPPED)

    def pids(self) -> tuple[int, ...]:
        """Processes of all servers, whose memory counts with the worker's."""
        with self._lock:
            running = list(self._running.values())
        return tuple(pid for server in running for pid in server.pids())

    def find(self, key: str) -> ServerProcess | None:
        """One that runs, or is about to."""
        with self._lock:
            server = self._running.get(key)
        return server if server is not None and server.status().phase.is_live else None

    @contextmanager
    def claimed(self, key: str) -> Iterator[None]:
        """Nobody else begins a server of this key meanwhile. Raises StudioError
        SERVER_RUNNING_ALREADY."""
        with self._lock:
            server = self._running.get(key)
            live = server is not None and server.status().phase.is_live
            if live or key in self._starting:
                raise StudioError(Code.SERVER_RUNNING_ALREADY, server=key)
            self._starting.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._starting.discard(key)

    def start(self, plan: Plan, on_end: Callable[[], None]) -> ServerProcess:
        """A new server of a `claimed` key, `on_end` being called when it has gone for good."""
        container = "spark-studio-" + "".join(c if c.isalnum() else "-" for c in plan.key)
        server = ServerProcess(
            self._settings,
            plan,
            lambda port: kinds.launch(self._settings, plan, port, f"{container}-{port}"),
            kinds.SERVERS[plan.kind].gate,
            self.gpu,
            on_end,
        )
        with self._lock:
            self._running[plan.key] = server
        server.start()
        return server

    def stop(self, key: str, wait: bool = True) -> bool:
        """End a server, or forget one that failed; whether there was one of this key."""
        with self._lock:
            server = self._running.get(key)
            if server is not None and server.status().phase is ServerPhase.FAILED:
                del self._running[key]
        if server is None:
            return False
        server.stop(wait)
        return True

    def stop_all(self) -> None:
        with self._lock:
            running = list(self._running.values())
        for server in running:
            server.stop(wait=False)
        for server in running:
            server.stop()


def bring(context: JobContext, settings: Settings) -> dict[str, Any]:
    """The first phase of a job that starts a server: its model, fetched where it is not here."""
    request = ServeRequest.model_validate(context.row.request)
    return {"model": bring_language_model(context, settings, request.model).name}


def simulate_if_asked(
    context: JobContext, settings: Settings, brought: dict[str, Any]
) -> dict[str, Any]:
    """The second: the checkpoint's weights computed back, where that is what is to be served."""
    request = ServeRequest.model_validate(context.row.request)
    if not request.simulated:
        return brought
    return {"model": simulated(context, settings, request.model).name}


def simulated(context: JobContext, settings: Settings, name: str) -> LanguageModel:
    """The plain copy of a checkpoint, made unless it is there. Raises what `simulate` raises."""
    model = find_language_model(settings, name)

    def on_news(news: dict[str, Any]) -> None:
        context.report("simulate", news["step"], news["total"])

    return simulate(settings, model, on_news, context.check)


def serve(
    context: JobContext,
    settings: Settings,
    pool: ModelPool,
    running: Servers,
    brought: dict[str, Any],
) -> dict[str, Any]:
    """The last: start the server and follow it until it is ready; its ServerStatus as data. It
    stays, with its memory set aside in `pool`, until it is stopped.

    Raises what `plan_of` raises, SERVER_RUNNING_ALREADY, MODEL_TOO_LARGE, and why it did not start.
    """
    request = ServeRequest.model_validate(context.row.request)
    if request.simulated:
        request = request.model_copy(update={"model": brought["model"]})
    plan = plan_of(settings, request, running.gpu)
    held = ExitStack()
    with running.claimed(plan.key):
        context.report(f"server_{ServerPhase.STARTING}")
        held.enter_context(context.memory(pool, plan.key, plan.total_bytes))
        server = begin(context, settings, running, plan, held)
    try:
        status = follow(context, server)
    except StudioError:  # it has gone by itself, and stays listed with why
        raise
    except BaseException:
        running.stop(plan.key)
        raise
    if status.phase is ServerPhase.STOPPED:
        raise JobCancelled
    return status.model_dump(mode="json")


def begin(
    context: JobContext, settings: Settings, running: Servers, plan: Plan, held: ExitStack
) -> ServerProcess:
    """Start the server of a claimed key; `held`, its memory, is let go when it ends, or is not
    started at all.

    Raises StudioError SERVER_NOT_FOUND, SERVER_START_FAILED.
    """
    try:
        kinds.learn(settings, plan.kind, context.check)
        return running.start(plan, held.close)
    except BaseException:
        held.close()
        raise


def follow(context: JobContext, server: ServerProcess) -> ServerStatus:
    """Its status once it is ready, or was stopped by somebody.

    Raises StudioError with why it did not start.
    """
    status = server.status()
    while status.phase.is_live and status.phase is not ServerPhase.READY:
        context.check()
        context.report(f"server_{status.phase}")
        status = server.wait(WAIT_S, beyond=status.phase)
    if status.phase is ServerPhase.FAILED and status.error is not None:
        raise StudioError(status.error.code, status.error.detail, **status.error.values)
    return status
