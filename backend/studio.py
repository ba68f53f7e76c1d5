"""The one door to the backend: the page, the command line and the API all call this.

`owner` is who asks. A job of somebody else is answered with JOB_NOT_FOUND, as one that does not
exist. The owner None is the machine's own user at the command line, who sees all.
"""

import secrets
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backend.contracts import (
    BuildEstimate,
    BuildTarget,
    CleanUp,
    Contract,
    Engine,
    EngineGroup,
    EngineProfile,
    EngineRequest,
    EngineView,
    FetchPlan,
    FetchRequest,
    GenerateRequest,
    Health,
    HistoryPage,
    JobKind,
    JobSnapshot,
    JobState,
    LoadRequest,
    Model,
    Precision,
    QueueEntry,
    ResidentModel,
    Runtime,
    Storage,
    StudioStatus,
    VariantState,
    VerifyRequest,
)
from backend.engines.cache import delete_engine, find_engine, list_engines
from backend.engines.estimate import estimate_build, targets
from backend.engines.groups import engine_groups
from backend.engines.host import this_host
from backend.engines.options import check_prompts, profile_of
from backend.engines.sources import source_of
from backend.engines.variants import check_size, engine_variants
from backend.engines.view import view_of
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.hardware.capability import cpu_precisions
from backend.hardware.targets import part_name
from backend.images.png import read_request
from backend.jobs.board import Board, BoardReader
from backend.jobs.database import open_engine
from backend.jobs.follower import Follower, snapshot_of
from backend.jobs.queue import PRIORITY_OF, QUEUE_OF, JobQueue
from backend.jobs.retention import delete_job
from backend.jobs.store import JobRow, Store, jobs, new_job
from backend.models.catalog import (
    Entry,
    Machine,
    describe,
    find_model,
    find_models,
    variant_key,
)
from backend.models.fetch import needs_of_request, plan_needs
from backend.models.needs import needs_of
from backend.models.requests import (
    MAX_SEED,
    check_negative_prompt,
    check_numbers,
    check_prompt,
    check_request,
)
from backend.networks.service import Networks
from backend.quantize.prompts import keep_prompts, parse_prompts
from backend.settings import Settings
from backend.storage import Keep, clean_up, free_bytes, storage

__all__ = ["MAX_SEED", "Studio", "random_seed", "studio_version"]

PACKAGE = "spark-studio"
LOCAL = "local"
"""The owner of what the machine's own user asks for at the command line."""
CHAINED_LOOK_S = 0.2
BUILDS_LOOKED_AT = 100
"""The newest builds, from which the next one's time is guessed."""


@cache
def studio_version() -> str:
    return version(PACKAGE)


@cache
def cpu_native() -> frozenset[Precision]:
    """Precisions that this computer's CPU computes natively."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpu_precisions(cpuinfo.read_text() if cpuinfo.exists() else "")


def random_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


def has_ended(snapshot: JobSnapshot) -> bool:
    return not snapshot.state.is_live


class Studio:
    """One process's view of the studio. Thread-safe; only `wait` blocks.

    Raises StudioError HOME_NOT_WRITABLE, DATABASE_UNREACHABLE or DATABASE_NEWER when made.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store = Store(open_engine(settings))
        self._queue = JobQueue(self._store)
        self._follower = Follower(self._store, self._queue)
        self._board = BoardReader(self._store)
        self.networks = Networks(settings, self._submit)

    def close(self) -> None:
        self._follower.close()
        self._queue.close()

    # ---- models ------------------------------------------------------------------------------

    def models(self) -> tuple[Model, ...]:
        """Every model, and where each of its variants stands on this machine now."""
        engines = self.engines()
        return tuple(
            self._describe(entry, engines) for entry in find_models(self.settings).values()
        )

    def model(self, model_id: str) -> Model:
        """Raises StudioError MODEL_UNKNOWN."""
        return self._describe(find_model(self.settings, model_id), self.engines())

    def _describe(self, entry: Entry, engines: tuple[Engine, ...]) -> Model:
        alive = [worker for worker in self._board.read().workers if worker.alive]
        resident = {model.key: model.memory_bytes for w in alive for model in w.resident}
        sample = alive[0].memory if alive else memory.sample()
        machine = Machine(
            total_bytes=sample.total_bytes,
            on_gpu=sample.kind != "cpu",
            native=frozenset(Precision) if sample.kind != "cpu" else cpu_native(),
        )
        model = describe(entry, machine, resident)
        on_engines = engine_variants(entry, this_host(), engines, resident)
        return model.model_copy(update={"variants": (*model.variants, *on_engines)})

    # ---- jobs --------------------------------------------------------------------------------

    def check(self, request: GenerateRequest) -> None:
        """Raise what `generate` would, without queueing anything."""
        entry = find_model(self.settings, request.model)
        engines = self.engines()
        check_request(request, self._describe(entry, engines), entry)
        if request.runtime is not Runtime.TORCH:
            check_size(request, entry, engines)

    def generate(self, request: GenerateRequest, owner: str | None) -> str:
        """Queue pictures; the job's id.

        Raises StudioError MODEL_UNKNOWN, VARIANT_*, PROMPT_*, SIZE_*, *_OUT_OF_RANGE,
        TOO_MANY_WAITING.
        """
        self.check(request)
        return self._submit_pictures(request, owner)

    def _submit_pictures(
        self, request: GenerateRequest, owner: str | None, after: str | None = None
    ) -> str:
        work = request.count * request.steps * request.width * request.height / 1024**2
        key = variant_key(request.model, request.precision, request.runtime)
        return self._submit(
            JobKind.GENERATE, owner, request.prompt, key, request, work, after=after
        )

    def verify(self, request: VerifyRequest, owner: str | None) -> str:
        """Queue a check of a model's files; the job's id. Raises StudioError MODEL_UNKNOWN."""
        entry = find_model(self.settings, request.model)
        work = max(entry.size_bytes, 1) / 1024**2
        return self._submit(JobKind.VERIFY, owner, entry.name, f"{entry.id}/files", request, work)

    def fetch(self, request: FetchRequest, owner: str | None) -> str:
        """Queue a download; the job's id. Access and disk are checked by the job, before a byte is
        fetched.

        Raises StudioError MODEL_UNKNOWN, NOTHING_TO_FETCH, PREEXPORTED_MISSING, INVALID_REQUEST,
        TOO_MANY_WAITING.
        """
        entry = find_model(self.settings, request.model)
        needs_of_request(entry, request)
        key = f"{entry.id}/files"
        work = max(entry.size_bytes, 1) / 1024**2
        return self._submit(JobKind.FETCH, owner, entry.name, key, request, work)

    def plan_fetch(self, request: FetchRequest | EngineRequest) -> FetchPlan:
        """What a download, or that of a build, would take, and what is in its way: no token, no
        access, no room. Asks the hub and waits for it, up to some ten seconds a repository.

        Raises StudioError MODEL_UNKNOWN, NOTHING_TO_FETCH, PREEXPORTED_MISSING, INVALID_REQUEST.
        """
        entry = find_model(self.settings, request.model)
        if isinstance(request, FetchRequest):
            return plan_needs(entry.id, needs_of_request(entry, request))
        source = source_of(request, entry)
        needs = needs_of(entry, source, request.precision, request.module)
        return plan_needs(entry.id, [need for need in needs if not need.is_here()])

    # ---- engines -----------------------------------------------------------------------------

    def build_engine(self, request: EngineRequest, owner: str | None) -> str:
        """Queue the building of engines, and first the fetching of what they are built from where
        that is not here; the job's id.

        Raises StudioError MODEL_UNKNOWN, VARIANT_UNKNOWN, MODEL_FILES_CORRUPTED, PROFILE_INVALID,
        INVALID_REQUEST, RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN, PROMPTS_UNREADABLE,
        TARGET_UNSUPPORTED, TENSORRT_MISSING, PREEXPORTED_MISSING, ENGINE_DISK_SPACE_LOW,
        BUILD_MEMORY_LOW, TOO_MANY_WAITING.
        """
        entry = find_model(self.settings, request.model)
        request = request.model_copy(update={"source": source_of(request, entry)})
        check_prompts(self.settings, request, entry)
        needs = self.estimate_build(request)
        if needs.problem is not None:
            raise StudioError(needs.problem.code, needs.problem.detail, **needs.problem.values)
        key = variant_key(request.model, request.precision, request.runtime)
        title = f"{entry.name} {request.precision} {request.runtime} {needs.target}"
        work = float(len(needs.engines))
        return self._submit(JobKind.ENGINE, owner, title, key, request, work)

    def estimate_build(self, request: EngineRequest) -> BuildEstimate:
        """What `build_engine` will need, and why it would refuse. Raises StudioError
        MODEL_UNKNOWN."""
        entries = find_models(self.settings)
        entry = find_model(self.settings, request.model)
        built = self._store.select(
            jobs.c.kind == str(JobKind.ENGINE),
            jobs.c.state == str(JobState.SUCCEEDED),
            order=(jobs.c.finished_at.desc(),),
            limit=BUILDS_LOOKED_AT,
        )
        return estimate_build(
            self.settings,
            request,
            entry,
            this_host(),
            self.engines(),
            built,
            {each.id: each.parameters for each in entries.values()},
            memory.sample().total_bytes,
        )

    def build_targets(self, runtime: Runtime) -> tuple[BuildTarget, ...]:
        """The GPUs that engines can be built for here, this machine's own first."""
        return targets(runtime, this_host())

    def part_name(self, target: str) -> str:
        """The parts that a target like sm121 stands for, as people call them."""
        return part_name(target)

    def prepare_then_generate(self, request: GenerateRequest, owner: str | None) -> str:
        """Queue what the request's variant lacks, files or engines, and the pictures after it; the
        id of the pictures' job. They fail with PREPARATION_FAILED when the first does not succeed.

        Raises what `generate`, `fetch` and `build_engine` raise; VARIANT_UNAVAILABLE where neither
        would help.
        """
        entry = find_model(self.settings, request.model)
        model = self._describe(entry, self.engines())
        standing = {(v.precision, v.runtime): v.state for v in model.variants}
        state = standing.get((request.precision, request.runtime))
        if state not in (VariantState.BUILDABLE, VariantState.DOWNLOADABLE):
            return self.generate(request, owner)
        check_prompt(request.prompt, entry)
        check_negative_prompt(request, entry)
        check_numbers(request, model.limits)
        first = (
            self._fetch_or_follow(FetchRequest(model=entry.id), owner)
            if request.runtime is Runtime.TORCH
            else self._build_or_follow(request, entry, owner)
        )
        return self._submit_pictures(request, owner, after=first)

    def _fetch_or_follow(self, request: FetchRequest, owner: str | None) -> str:
        return self._live_job(JobKind.FETCH, request, owner) or self.fetch(request, owner)

    def _build_or_follow(self, pictures: GenerateRequest, entry: Entry, owner: str | None) -> str:
        request = EngineRequest(
            model=entry.id, precision=pictures.precision, runtime=pictures.runtime
        )
        request = request.model_copy(update={"source": source_of(request, entry)})
        return self._live_job(JobKind.ENGINE, request, owner) or self.build_engine(request, owner)

    def _live_job(self, kind: JobKind, request: Contract, owner: str | None) -> str | None:
        """The owner's job that does just this already."""
        asked = request.model_dump(mode="json")
        for row in self._board.read().live:
            if (row.kind, row.owner, row.request) == (kind, owner or LOCAL, asked):
                return row.id
        return None

    def rebuild_engine(self, engine_id: str, owner: str | None) -> str:
        """Queue the building of an engine anew, as it was asked for; the old one stays until the
        new one is whole. The job's id.

        Raises StudioError ENGINE_NOT_FOUND, ENGINE_NOT_REBUILDABLE, and what `build_engine` raises.
        """
        made = find_engine(self.settings, engine_id, this_host()).manifest
        if made.request is None:
            raise StudioError(Code.ENGINE_NOT_REBUILDABLE, engine=engine_id[:120])
        return self.build_engine(made.request.model_copy(update={"again": True}), owner)

    def load(self, request: LoadRequest, owner: str | None) -> str:
        """Queue the loading of a variant into a worker's memory; the job's id.

        Raises StudioError MODEL_UNKNOWN, VARIANT_UNKNOWN, VARIANT_UNAVAILABLE, TOO_MANY_WAITING.
        """
        key = variant_key(request.model, request.precision, request.runtime)
        model = self.model(request.model)
        for variant in model.variants:
            if (variant.precision, variant.runtime) == (request.precision, request.runtime):
                if variant.state is not VariantState.READY:
                    raise StudioError(Code.VARIANT_UNAVAILABLE, variant=key, reason=variant.reason)
                work = max(model.size_bytes, 1) / 1024**2
                return self._submit(JobKind.LOAD, owner, model.name, key, request, work)
        raise StudioError(
            Code.VARIANT_UNKNOWN,
            model=request.model,
            precision=str(request.precision),
            runtime=str(request.runtime),
        )

    def engine_profile(self, model_id: str, **sizes: Any) -> EngineProfile | None:
        """Sizes of an engine of a model from those asked for, see `options.profile_of`.

        Raises StudioError MODEL_UNKNOWN, PROFILE_INVALID.
        """
        return profile_of(find_model(self.settings, model_id).limits, **sizes)

    def keep_prompts(self, content: bytes, name: str) -> str:
        """Keep a text file's prompts, one a line, to calibrate with: `EngineRequest.prompts`.

        Raises StudioError PROMPTS_UNREADABLE.
        """
        return keep_prompts(self.settings.home, parse_prompts(content, name))

    def engines(self) -> tuple[Engine, ...]:
        """Every engine on disk and where it stands, newest first."""
        return list_engines(self.settings, this_host())

    def engine_groups(self) -> tuple[EngineGroup, ...]:
        """The same, by the variants that they make up."""
        return engine_groups(self.models(), self.engines(), this_host(), self._resident())

    def _resident(self) -> tuple[ResidentModel, ...]:
        workers = self._board.read().workers
        return tuple(model for worker in workers if worker.alive for model in worker.resident)

    def inspect_engine(self, engine_id: str) -> EngineView:
        """Its layers before and after fusion. Opens a TensorRT engine in a child process, once,
        where it runs here. Raises StudioError ENGINE_NOT_FOUND."""
        return view_of(self.settings, find_engine(self.settings, engine_id, this_host()))

    def delete_engine(self, engine_id: str) -> int:
        """Delete an engine; the bytes freed. Raises StudioError ENGINE_NOT_FOUND."""
        return delete_engine(self.settings, engine_id)

    # ---- disk --------------------------------------------------------------------------------

    def storage(self, owner: str | None) -> Storage:
        """What is kept on disk, and what of it may go."""
        return storage(self._keep(owner))

    def clean_up(self, keys: tuple[str, ...], owner: str | None) -> CleanUp:
        """Delete exactly these items of `storage`; what has changed since is kept."""
        return clean_up(self._keep(owner), keys)

    def disk_free_bytes(self) -> int:
        """Of the disk that the home folder is on."""
        return free_bytes(self.settings)

    def _keep(self, owner: str | None) -> Keep:
        return Keep(self.settings, self._store, self._queue, this_host(), owner)

    # ---- jobs: what they share -----------------------------------------------------------------

    def _submit(
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
        self._queue.submit(row, self.settings.max_waiting_jobs, after)
        self._board.forget()
        if after is None:
            self._follower.snapshot(row)
        return row.id

    def job(self, job_id: str, owner: str | None) -> JobSnapshot:
        """What is known of a job now. Raises StudioError JOB_NOT_FOUND."""
        return self._snapshot(self._row(job_id, owner))

    def _row(self, job_id: str, owner: str | None) -> JobRow:
        row = self._store.find(job_id)
        if row is None or owner not in (None, row.owner):
            raise StudioError(Code.JOB_NOT_FOUND)
        return row

    def _snapshot(self, row: JobRow) -> JobSnapshot:
        waits_for = self._waits_for(row)
        if waits_for is not None:
            return snapshot_of(row).model_copy(update={"waits_for": waits_for})
        snapshot = self._follower.snapshot(row)
        if snapshot.state is not JobState.QUEUED:
            return snapshot
        position, wait_s = self._board.read().places.get(row.id, (None, None))
        return snapshot.model_copy(update={"position": position, "wait_s": wait_s})

    def _waits_for(self, row: JobRow) -> str | None:
        """The job that must succeed before this one is in a queue; till then there is no news of it
        to follow."""
        if row.state is not JobState.QUEUED:
            return None
        return self._board.read().chained.get(row.id)

    def wait(
        self,
        job_id: str,
        owner: str | None,
        timeout_s: float,
        until: Callable[[JobSnapshot], bool] = has_ended,
    ) -> JobSnapshot:
        """The job once `until` holds of it, or when it has ended, or when the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            row = self._row(job_id, owner)
            left = deadline - time.monotonic()
            if not row.state.is_live or left <= 0:
                return self._snapshot(row)
            if self._waits_for(row) is not None:
                if until(self._snapshot(row)):
                    return self._snapshot(row)
                time.sleep(min(left, CHAINED_LOOK_S))
                continue
            snapshot = self._follower.wait(row, until, left)
            if snapshot is not None and until(snapshot):
                return snapshot

    def cancel(self, job_id: str, owner: str | None) -> None:
        """Raises StudioError JOB_NOT_FOUND, JOB_NOT_CANCELLABLE."""
        self._queue.cancel(self._row(job_id, owner))
        self._board.forget()

    def retry(self, job_id: str, owner: str | None) -> None:
        """Queue an ended job again under its id.

        Raises StudioError JOB_NOT_FOUND, JOB_NOT_RETRYABLE, JOB_KEEPS_CRASHING.
        """
        self._queue.retry(self._row(job_id, owner))
        self._board.forget()

    def delete(self, job_id: str, owner: str | None) -> None:
        """Delete an ended job and its pictures. Raises StudioError JOB_NOT_FOUND,
        JOB_STILL_RUNNING."""
        row = self._row(job_id, owner)
        if row.state.is_live:
            raise StudioError(Code.JOB_STILL_RUNNING)
        delete_job(self.settings, self._store, self._queue, row)

    def history(
        self,
        owner: str | None,
        search: str = "",
        limit: int = 30,
        offset: int = 0,
        kinds: tuple[JobKind, ...] = (),
    ) -> HistoryPage:
        """The owner's jobs, newest first, whose title holds `search`; of these kinds, if given."""
        conditions = [] if owner is None else [jobs.c.owner == owner]
        if kinds:
            conditions.append(jobs.c.kind.in_([str(kind) for kind in kinds]))
        if search:
            conditions.append(jobs.c.title.icontains(search, autoescape=True))
        rows = self._store.select(*conditions, limit=limit, offset=offset)
        return HistoryPage(
            jobs=tuple(self._snapshot(row) for row in rows),
            total=self._store.count(*conditions),
        )

    def owners(self, job_ids: list[str]) -> dict[str, str]:
        """Who each of these jobs belongs to; for the machine's own user."""
        return {row.id: row.owner for row in self._store.select(jobs.c.id.in_(job_ids))}

    def live_jobs(self, owner: str | None) -> tuple[JobSnapshot, ...]:
        """The owner's running and waiting jobs, in order."""
        live = self._board.read().live
        return tuple(self._snapshot(row) for row in live if owner in (None, row.owner))

    def queue(self, owner: str | None) -> tuple[QueueEntry, ...]:
        """Everybody's running and waiting jobs, in order; what they are about only of one's own."""
        board = self._board.read()
        return tuple(_entry(row, owner in (None, row.owner), board) for row in board.live)

    # ---- the machine -------------------------------------------------------------------------

    def status(self) -> StudioStatus:
        board = self._board.read()
        running = sum(row.state is JobState.RUNNING for row in board.live)
        return StudioStatus(
            version=studio_version(),
            workers=board.workers,
            waiting=len(board.live) - running,
            running=running,
        )

    def health(self) -> Health:
        workers = self._board.read().workers
        worker = "ready" if any(w.alive for w in workers) else "missing"
        return Health(status="ok", version=studio_version(), worker=worker)

    def unload(self, key: str) -> None:
        """Have every worker let a resident model go; done within a second.

        Raises StudioError MODEL_IN_USE.
        """
        for worker in self._store.workers():
            for model in worker.resident:
                if model.key == key and model.in_use:
                    raise StudioError(Code.MODEL_IN_USE, variant=key)
                if model.key == key:
                    self._store.request_unload(worker.name, key)

    # ---- pictures ----------------------------------------------------------------------------

    def owner_of_file(self, file: Path) -> str | None:
        """Whose job a file below `outputs/` or `previews/` belongs to; None for any other file."""
        resolved = file.resolve()
        for root in (self.settings.outputs, self.settings.previews):
            if resolved.is_relative_to(root.resolve()) and resolved != root.resolve():
                row = self._store.find(resolved.relative_to(root.resolve()).parts[0])
                return row.owner if row else None
        return None

    def settings_of_image(self, file: Path) -> GenerateRequest:
        """The request a PNG was made from. Raises StudioError IMAGE_UNREADABLE,
        IMAGE_WITHOUT_SETTINGS."""
        return read_request(file)


def _entry(row: JobRow, mine: bool, board: Board) -> QueueEntry:
    position, wait_s = board.places.get(row.id, (None, None))
    return QueueEntry(
        mine=mine,
        id=row.id if mine else None,
        title=row.title if mine else None,
        kind=row.kind,
        variant=row.variant,
        state=row.state,
        position=position,
        wait_s=wait_s,
        waits=row.id in board.chained,
        created_at=row.created_at,
    )
