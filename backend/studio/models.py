"""Models: where they stand, their files, and the workers' memory. `Studio.models`."""

from functools import cache
from pathlib import Path

from backend.contracts import (
    Engine,
    EngineRequest,
    FetchPlan,
    FetchRequest,
    JobKind,
    LoadRequest,
    Model,
    Precision,
    VariantState,
    VerifyRequest,
)
from backend.engines.cache import list_engines
from backend.engines.host import this_host
from backend.engines.sources import source_of
from backend.engines.variants import engine_variants
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.hardware.capability import cpu_precisions
from backend.models.catalog import Entry, Machine, describe, find_model, find_models, variant_key
from backend.models.fetch import needs_of_request, plan_needs
from backend.models.needs import needs_of
from backend.studio.desk import Desk

MIB = 1024**2


class Models:
    """Raises StudioError MODEL_UNKNOWN, and TOO_MANY_WAITING from all that queues a job."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def all(self) -> tuple[Model, ...]:
        """Every model, and where each of its variants stands on this machine now."""
        engines = list_engines(self._desk.settings, this_host())
        entries = find_models(self._desk.settings).values()
        return tuple(self.describe(entry, engines) for entry in entries)

    def find(self, model_id: str) -> Model:
        """One of them."""
        entry = find_model(self._desk.settings, model_id)
        return self.describe(entry, list_engines(self._desk.settings, this_host()))

    def describe(self, entry: Entry, engines: tuple[Engine, ...]) -> Model:
        """A catalogue entry with its variants, torch's and those on these engines."""
        alive = [worker for worker in self._desk.board.read().workers if worker.alive]
        resident = {model.key: model.memory_bytes for model in self._desk.resident()}
        sample = alive[0].memory if alive else memory.sample()
        machine = Machine(
            total_bytes=sample.total_bytes,
            on_gpu=sample.kind != "cpu",
            native=frozenset(Precision) if sample.kind != "cpu" else _cpu_native(),
        )
        model = describe(entry, machine, resident)
        on_engines = engine_variants(entry, this_host(), engines, resident)
        return model.model_copy(update={"variants": (*model.variants, *on_engines)})

    def verify(self, request: VerifyRequest, owner: str | None) -> str:
        """Queue a check of a model's files; the job's id."""
        entry = find_model(self._desk.settings, request.model)
        return self._submit_files(JobKind.VERIFY, entry, request, owner)

    def fetch(self, request: FetchRequest, owner: str | None) -> str:
        """Queue a download; the job's id. Access and disk are checked by the job, before a byte is
        fetched.

        Raises StudioError NOTHING_TO_FETCH, PREEXPORTED_MISSING, INVALID_REQUEST.
        """
        entry = find_model(self._desk.settings, request.model)
        needs_of_request(entry, request)
        return self._submit_files(JobKind.FETCH, entry, request, owner)

    def plan_fetch(self, request: FetchRequest | EngineRequest) -> FetchPlan:
        """What a download, or that of a build, would take, and what is in its way: no token, no
        access, no room. Asks the hub and waits for it, up to some ten seconds a repository.

        Raises StudioError NOTHING_TO_FETCH, PREEXPORTED_MISSING, INVALID_REQUEST.
        """
        entry = find_model(self._desk.settings, request.model)
        if isinstance(request, FetchRequest):
            return plan_needs(entry.id, needs_of_request(entry, request))
        source = source_of(request, entry)
        needs = needs_of(entry, source, request.precision, request.module)
        return plan_needs(entry.id, [need for need in needs if not need.is_here()])

    def load(self, request: LoadRequest, owner: str | None) -> str:
        """Queue the loading of a variant into a worker's memory; the job's id.

        Raises StudioError VARIANT_UNKNOWN, VARIANT_UNAVAILABLE.
        """
        key = variant_key(request.model, request.precision, request.runtime)
        model = self.find(request.model)
        for variant in model.variants:
            if (variant.precision, variant.runtime) == (request.precision, request.runtime):
                if variant.state is not VariantState.READY:
                    raise StudioError(Code.VARIANT_UNAVAILABLE, variant=key, reason=variant.reason)
                work = max(model.size_bytes, 1) / MIB
                return self._desk.submit(JobKind.LOAD, owner, model.name, key, request, work)
        raise StudioError(
            Code.VARIANT_UNKNOWN,
            model=request.model,
            precision=str(request.precision),
            runtime=str(request.runtime),
        )

    def unload(self, key: str) -> None:
        """Have every worker let a resident model go; done within a second.

        Raises StudioError MODEL_IN_USE.
        """
        for worker in self._desk.store.workers():
            for model in worker.resident:
                if model.key == key and model.in_use:
                    raise StudioError(Code.MODEL_IN_USE, variant=key)
                if model.key == key:
                    self._desk.store.request_unload(worker.name, key)

    def _submit_files(
        self, kind: JobKind, entry: Entry, request: VerifyRequest | FetchRequest, owner: str | None
    ) -> str:
        work = max(entry.size_bytes, 1) / MIB
        return self._desk.submit(kind, owner, entry.name, f"{entry.id}/files", request, work)


@cache
def _cpu_native() -> frozenset[Precision]:
    """Precisions that this computer's CPU computes natively."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpu_precisions(cpuinfo.read_text() if cpuinfo.exists() else "")
