"""What a build will need, told before it begins."""

import statistics
from collections.abc import Iterable

from backend.contracts import (
    BuildEstimate,
    BuildTarget,
    Engine,
    EngineRequest,
    PlannedEngine,
    Runtime,
)
from backend.engines.cache import Host
from backend.engines.host import CPU, edition_for
from backend.engines.needs import Needs, phase_needs, weight_bytes
from backend.engines.options import check_prompts, settled
from backend.engines.plan import ModuleBuild, default_target, plan_builds
from backend.errors import Code, ErrorInfo, StudioError
from backend.hardware.targets import PORTABLE, part_name
from backend.jobs.store import JobRow
from backend.models.catalog import Entry
from backend.settings import Settings
from backend.storage import free_bytes


def targets(runtime: Runtime, host: Host) -> tuple[BuildTarget, ...]:
    """What can be built for here, this machine's own first."""
    if runtime is not Runtime.TENSORRT:
        return (BuildTarget(target=CPU, name=part_name(CPU), here=True),)
    own = [host.target] if host.target != CPU else []
    found = []
    for target in dict.fromkeys((*own, *reversed(PORTABLE))):
        try:
            edition_for(runtime, target, host)
        except StudioError:
            continue
        found.append(BuildTarget(target=target, name=part_name(target), here=target == host.target))
    return tuple(found)


def estimate_build(
    settings: Settings,
    request: EngineRequest,
    entry: Entry,
    host: Host,
    engines: Iterable[Engine],
    history: list[JobRow],
    parameters: dict[str, int],
    memory_limit_bytes: int,
) -> BuildEstimate:
    """`history`: engine jobs that succeeded, newest first; `parameters`: of each model by id;
    `memory_limit_bytes`: what a phase may hold."""
    target = request.target or default_target(request.runtime, host)
    target = CPU if request.runtime is Runtime.ONNXRUNTIME else target
    problem: ErrorInfo | None = None
    builds: tuple[ModuleBuild, ...] = ()
    try:
        request = settled(settings, request, entry)
        builds = plan_builds(request, entry, host)
        check_prompts(settings, request, entry)
    except StudioError as error:
        problem = error.info
    sizes = {engine.manifest.id: engine.manifest.size_bytes for engine in engines if engine.usable}
    there = frozenset() if request.again else sizes.keys()
    missing = tuple(build for build in builds if build.key.id not in there)
    needs = _needs(settings, entry, missing, host)
    disk = {phase: each.disk_bytes for phase, each in needs.items()}
    memory = max((each.memory_bytes for each in needs.values()), default=0)
    free = free_bytes(settings)
    if problem is None and sum(disk.values()) > free:
        problem = ErrorInfo(
            code=Code.ENGINE_DISK_SPACE_LOW,
            values={
                "path": str(settings.home),
                "needed_bytes": sum(disk.values()),
                "free_bytes": free,
            },
        )
    if problem is None and memory > memory_limit_bytes:
        problem = ErrorInfo(
            code=Code.BUILD_MEMORY_LOW,
            values={"needed_bytes": memory, "limit_bytes": memory_limit_bytes},
        )
    seconds, source = _seconds(request, entry, len(missing), history, parameters)
    return BuildEstimate(
        engines=tuple(
            PlannedEngine(
                module=build.key.module,
                precision=build.key.precision,
                base=build.base,
                there=build.key.id in there,
                size_bytes=sizes.get(build.key.id) or weight_bytes(entry, build),
            )
            for build in builds
        ),
        target=target,
        target_name=part_name(target),
        edition=builds[0].key.edition if builds else "",
        runs_here=target in (CPU, host.target),
        download_bytes=entry.size_bytes if entry.folder is None else 0,
        onnx_bytes=disk.get("export", 0),
        engine_bytes=disk.get("build", 0),
        disk_free_bytes=free,
        memory_bytes=memory,
        memory_limit_bytes=memory_limit_bytes,
        seconds=seconds,
        seconds_from=source,
        problem=problem,
    )


def _needs(
    settings: Settings, entry: Entry, missing: tuple[ModuleBuild, ...], host: Host
) -> dict[str, Needs]:
    """What each phase needs; nothing where a broken file hides how much there is to do."""
    try:
        return phase_needs(settings, entry, missing, on_gpu=host.gpu is not None)
    except StudioError:
        return {}


def _seconds(
    request: EngineRequest,
    entry: Entry,
    count: int,
    history: list[JobRow],
    parameters: dict[str, int],
) -> tuple[float | None, str]:
    """From what building one engine took, at the nearest of what has been built."""
    if count == 0:
        return 0.0, "variant"
    by_source: dict[str, list[float]] = {"variant": [], "model": [], "models": []}
    for row in history:
        built = int((row.result or {}).get("built", 0))
        if not built or row.started_at is None or row.finished_at is None:
            continue
        asked = EngineRequest.model_validate(row.request)
        if asked.runtime is not request.runtime:
            continue
        each = (row.finished_at - row.started_at) / built
        if asked.model == entry.id:
            by_source["variant" if asked.precision is request.precision else "model"].append(each)
        elif parameters.get(asked.model):
            by_source["models"].append(each * entry.parameters / parameters[asked.model])
    for source, each_s in by_source.items():
        if each_s:
            return statistics.median(each_s) * count, source
    return None, ""
