"""What a build will need, told before it begins."""

import statistics
from collections.abc import Iterable

from backend.contracts import (
    BuildEstimate,
    BuildTarget,
    Engine,
    EngineRequest,
    PlannedEngine,
    Precision,
    Runtime,
)
from backend.engines.cache import Host
from backend.engines.host import CPU, edition_for
from backend.engines.plan import ModuleBuild, default_target, plan_builds
from backend.errors import Code, ErrorInfo, StudioError
from backend.hardware.targets import PORTABLE, part_name
from backend.jobs.store import JobRow
from backend.models import files
from backend.models.catalog import Entry
from backend.settings import Settings
from backend.storage import free_bytes

BITS = {
    Precision.FP32: 32,
    Precision.FP16: 16,
    Precision.BF16: 16,
    Precision.INT8: 8,
    Precision.FP8: 8,
    Precision.NVFP4: 4.5,
}
"""Of a weight; NVFP4 has an FP8 scale for each 16 of them."""
FOLDERS = {"vae_decoder": "vae"}
"""Where a module's weights are, if not in the folder of its own name. The VAE's encoder is counted
with its decoder: an estimate rather too high."""
QUANTISED_SHARE = 0.8
"""Of a denoiser's weights; embeddings, norms and the last layers stay as they are."""
KERNEL_BYTES = 5 * 1024**2
"""Of compiled kernels in a TensorRT engine, as in those of demo-flux."""
PROCESS_BYTES = 700 * 1024**2
"""A process with torch, diffusers and the exporter, before it loads a model."""
GRAPH_COPIES = 3
"""Of the largest module while it is exported: the graph, the lowered one, and the one that is
tried. TensorRT holds about as many while it builds."""


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
    memory_total_bytes: int,
) -> BuildEstimate:
    """`history`: engine jobs that succeeded, newest first; `parameters`: of each model by id."""
    target = request.target or default_target(request.runtime, host)
    target = CPU if request.runtime is Runtime.ONNXRUNTIME else target
    problem: ErrorInfo | None = None
    builds: tuple[ModuleBuild, ...] = ()
    try:
        builds = plan_builds(request, entry, host)
    except StudioError as error:
        problem = error.info
    sizes = {engine.manifest.id: engine.manifest.size_bytes for engine in engines if engine.usable}
    planned = tuple(_planned(one, entry, sizes, request.again) for one in builds)
    missing = [one for one in planned if not one.there]
    onnx = sum(one.onnx_bytes for one in missing)
    made = sum(one.engine_bytes for one in missing)
    whole = _pipeline_bytes(entry, missing)
    free = free_bytes(settings)
    if problem is None and onnx + made > free:
        problem = ErrorInfo(
            code=Code.BUILD_DISK_LOW,
            values={
                "path": str(settings.home),
                "needed_bytes": onnx + made,
                "free_bytes": free,
            },
        )
    if problem is None and whole > memory_total_bytes:
        problem = ErrorInfo(
            code=Code.BUILD_MEMORY_LOW,
            values={"needed_bytes": whole, "total_bytes": memory_total_bytes},
        )
    seconds, source = _seconds(request, entry, len(missing), history, parameters)
    return BuildEstimate(
        engines=planned,
        target=target,
        target_name=part_name(target),
        edition=builds[0].key.edition if builds else "",
        runs_here=target in (CPU, host.target),
        download_bytes=entry.size_bytes if entry.folder is None else 0,
        onnx_bytes=onnx,
        engine_bytes=made,
        disk_free_bytes=free,
        memory_bytes=_memory_bytes(whole, missing),
        memory_total_bytes=memory_total_bytes,
        seconds=seconds,
        seconds_from=source,
        problem=problem,
    )


def _planned(build: ModuleBuild, entry: Entry, sizes: dict[str, int], again: bool) -> PlannedEngine:
    weights = module_parameters(entry, build.key.module)
    there = build.key.id in sizes and not again
    guessed = _engine_bytes(weights, build)
    return PlannedEngine(
        module=build.key.module,
        precision=build.key.precision,
        base=build.base,
        there=there,
        onnx_bytes=_weight_bytes(weights, build.base),
        engine_bytes=sizes.get(build.key.id, guessed),
    )


def module_parameters(entry: Entry, module: str) -> int:
    """Number of weights in a module's files; 0 where they are not here or cannot be read."""
    if entry.folder is None:
        return 0
    folder = entry.folder / FOLDERS.get(module, module)
    try:
        return sum(
            files.count_in_file(file, entry.id) for file in sorted(folder.glob("*.safetensors"))
        )
    except StudioError:
        return 0


def _engine_bytes(weights: int, build: ModuleBuild) -> int:
    size = _weight_bytes(weights, build.base)
    if build.key.precision is not build.base:
        low = _weight_bytes(weights, build.key.precision)
        size = int(QUANTISED_SHARE * low + (1 - QUANTISED_SHARE) * size)
    return size + (KERNEL_BYTES if build.key.runtime is Runtime.TENSORRT else 0)


def _weight_bytes(parameters: int, precision: Precision) -> int:
    return int(parameters * BITS[precision] / 8)


def _pipeline_bytes(entry: Entry, missing: list[PlannedEngine]) -> int:
    """What must be in memory to export: the whole pipeline in the widest precision asked for."""
    bits = max((BITS[one.base] for one in missing), default=0)
    return int(entry.parameters * bits / 8)


def _memory_bytes(whole: int, missing: list[PlannedEngine]) -> int:
    if not missing:
        return 0
    return PROCESS_BYTES + whole + GRAPH_COPIES * max(one.onnx_bytes for one in missing)


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
