"""The servers that are compared: their models brought, started where they do not run, and stopped
again."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.client.outside import outside_endpoint
from backend.chat.fetch import bring_language_model
from backend.chat.models import MANIFEST, SIMULATION
from backend.chat.servers import house
from backend.chat.servers.plan import Plan
from backend.chat.servers.process import ServerProcess
from backend.compare.text.check import serving
from backend.contracts import (
    CheckpointManifest,
    Endpoint,
    LanguageModel,
    ServerKind,
    ServerPhase,
    TextVariant,
)
from backend.errors import Code, StudioError
from backend.jobs.context import JobContext
from backend.models.files import read_json
from backend.models.pool import ModelPool
from backend.quantize.language.results import Made
from backend.settings import Settings


@dataclass(frozen=True)
class Worker:
    """What the job works with."""

    context: JobContext
    settings: Settings
    pool: ModelPool
    servers: house.Servers


@dataclass(frozen=True)
class Side:
    """One variant, its files being here."""

    place: int
    plan: Plan | None
    """None of a server that runs elsewhere."""
    has_template: bool
    facts: dict[str, Any]
    """What is known of it before it is asked, as fields of ComparedServer."""
    outside: Endpoint | None = None


@dataclass(frozen=True)
class Asked:
    """A side that answers now."""

    side: Side
    endpoint: Endpoint
    server: ServerProcess | None
    started_here: bool
    ready_s: float | None


def prepare(worker: Worker, place: int, variant: TextVariant) -> Side:
    """Bring what is to be served: files that are not here, a checkpoint's plain copy.

    Raises StudioError as `bring_language_model`, `simulate`, `plan_of` and `outside_endpoint` do.
    """
    if variant.kind is ServerKind.OUTSIDE:
        return _outside(worker.settings, place, variant)
    model = bring_language_model(worker.context, worker.settings, variant.model)
    request = serving(variant)
    if variant.simulated:
        copy = house.simulated(worker.context, worker.settings, variant.model)
        request = serving(variant, model=copy.name)
    plan = house.plan_of(worker.settings, request, worker.servers.gpu)
    facts = {
        "model": model.name,
        "precision": plan.model.precision.removesuffix(f" ({SIMULATION})"),
        "simulated": plan.model.simulated,
        "weights_bytes": model.weights_bytes,
        **_quality(model),
    }
    return Side(place, plan, plan.model.has_template, facts)


def _outside(settings: Settings, place: int, variant: TextVariant) -> Side:
    """That server has the one model that its owner names."""
    endpoint = asyncio.run(outside_endpoint(settings))
    if variant.model not in ("", variant.kind, endpoint.model):
        raise StudioError(Code.SERVED_MODEL_UNKNOWN, server=endpoint.url, model=variant.model)
    facts = {"model": endpoint.model}
    return Side(place, None, endpoint.has_template, facts, endpoint)


def _quality(model: LanguageModel) -> dict[str, Any]:
    """What the manifest of a checkpoint of ours says, also of one that `model` is the plain copy
    of."""
    folder = Path(model.folder)
    if model.simulated:
        folder = Path(str(read_json(folder / MANIFEST, model.name).get("source", folder)))
    try:
        made: CheckpointManifest = Made("", folder, None).manifest
    except StudioError:
        return {}
    return {
        "perplexity": made.quality.perplexity,
        "source_perplexity": made.quality.perplexity_reference,
        "kl_mean": made.quality.kl_mean,
        "weights_only": made.quality.scope == "weights_only",
    }


@contextmanager
def room_for_all(worker: Worker, sides: Sequence[Side]) -> Iterator[dict[str, ExitStack]]:
    """Memory for all servers that do not run yet, by their keys; all of it at once or none, so that
    no server waits for memory that another one holds.

    Raises StudioError COMPARE_MEMORY_SHORT, MODEL_TOO_LARGE, SERVER_RUNNING_ALREADY.
    """
    plans = [one.plan for one in sides if one.plan and not worker.servers.find(one.plan.key)]
    needed, held_bytes = sum(plan.total_bytes for plan in plans), 0
    with ExitStack() as claims, ExitStack() as all_held:
        held: dict[str, ExitStack] = {}
        for plan in plans:
            claims.enter_context(worker.servers.claimed(plan.key))
            held[plan.key] = all_held.enter_context(ExitStack())
            reserved = worker.pool.reserve(plan.key, plan.total_bytes)
            if not held[plan.key].enter_context(reserved):
                raise StudioError(
                    Code.COMPARE_MEMORY_SHORT,
                    needed_bytes=needed,
                    free_bytes=worker.pool.free_bytes() + held_bytes,
                    budget_bytes=worker.pool.budget_bytes,
                )
            held_bytes += plan.total_bytes
        yield held


@contextmanager
def at_hand(worker: Worker, side: Side, held: ExitStack | None = None) -> Iterator[Asked]:
    """Its server, ready. One that runs already stays, one that is started is stopped afterwards;
    `held` is its memory, and its key claimed, where that was set aside before.

    Raises StudioError as `house.begin`, `house.follow` and `JobContext.memory` do, SERVER_UNKNOWN
    where somebody stopped it.
    """
    plan, servers = side.plan, worker.servers
    if plan is None:
        assert side.outside is not None
        yield Asked(side, side.outside, None, False, None)
        return
    server = servers.find(plan.key)
    started_here = server is None
    try:
        server = server or _begun(worker, plan, held)
        status = house.follow(worker.context, server)
        if status.phase is not ServerPhase.READY:
            raise StudioError(Code.SERVER_UNKNOWN, server=plan.key)
        ready_s = status.ready_s if started_here else None
        yield Asked(side, status.endpoint, server, started_here, ready_s)
    finally:
        if started_here and server is not None:
            servers.stop(plan.key)


def _begun(worker: Worker, plan: Plan, held: ExitStack | None) -> ServerProcess:
    worker.context.report(f"server_{ServerPhase.STARTING}")
    if held is not None:
        return house.begin(worker.context, worker.settings, worker.servers, plan, held)
    held = ExitStack()
    with worker.servers.claimed(plan.key):
        held.enter_context(worker.context.memory(worker.pool, plan.key, plan.total_bytes))
        return house.begin(worker.context, worker.settings, worker.servers, plan, held)
