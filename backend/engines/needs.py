"""What the phases of making engines need, estimated before they begin.

From the parameters of each module and bytes a parameter; the factors are measured
(docs/engines.md). Nothing here imports a runtime.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.contracts import EngineSource, Precision, Runtime
from backend.engines.plan import ModuleBuild
from backend.engines.sources import ready_bytes
from backend.errors import StudioError
from backend.hardware.host import group_memory, host_memory
from backend.models import files
from backend.models.catalog import Entry
from backend.models.families import component_of
from backend.settings import Settings

BYTES = {
    Precision.FP32: 4.0,
    Precision.FP16: 2.0,
    Precision.BF16: 2.0,
    Precision.INT8: 1.0,
    Precision.FP8: 1.0,
    Precision.NVFP4: 0.5625,
}
"""Of a weight, NVFP4's block scales included."""
PROCESS_BYTES = 1 << 30
"""What a child process with its libraries takes beside weights."""
ACTIVATIONS_SHARE = 1.25
EXPORT_SHARE = 1.15
"""Memory of torch's exporter over that of the weights."""
BUILD_SHARE = 4.0
"""Memory of TensorRT's builder over that of the weights in the ONNX file."""
DISK_SHARE = 1.05


@dataclass(frozen=True)
class Needs:
    memory_bytes: int
    disk_bytes: int


def module_parameters(entry: Entry, module: str) -> int:
    """Parameters of one module, by its files' headers. Of a model that is not here yet, the
    denoiser is taken for all of it. Raises StudioError MODEL_FILES_CORRUPTED."""
    if entry.folder is None:
        return entry.parameters if module == entry.family.denoiser else 0
    weights = files.component_files(
        entry.folder, component_of(module), files.variant_of(entry.folder)
    )
    return sum(files.count_in_file(file, entry.id) for file in weights)


def weight_bytes(entry: Entry, build: ModuleBuild) -> int:
    """Of an engine, about; 0 where a broken file hides how many weights there are."""
    try:
        return int(module_parameters(entry, build.key.module) * BYTES[build.key.precision])
    except StudioError:
        return 0


def calibrate_needs(entry: Entry, on_gpu: bool) -> Needs:
    """All modules at once, making pictures: BF16 on a GPU, else FP32."""
    base = Precision.BF16 if on_gpu else Precision.FP32
    weights = entry.parameters * BYTES[base]
    return Needs(int(weights * ACTIVATIONS_SHARE) + PROCESS_BYTES, 0)


def export_needs(entry: Entry, builds: Iterable[ModuleBuild], exports: Path) -> Needs:
    """In memory what exporting the modules of one base precision takes; on disk a plain export of
    each module (kept in `exports`, so only those that are missing count) and the quantised file of
    the denoiser."""
    memory: dict[Precision, float] = {}
    disk, known = 0.0, list(builds)
    for base in {one.base for one in known}:
        wanted = [one.key.module for one in known if one.base is base]
        held = sum(module_parameters(entry, name) for name in entry.family.needed_for(wanted))
        memory[base] = held * BYTES[base] * EXPORT_SHARE
    for one in known:
        parameters = module_parameters(entry, one.key.module)
        if not (exports / f"{one.key.module}.{one.base}").exists():
            disk += parameters * BYTES[one.base]
        if one.key.precision is not one.base:
            disk += parameters * BYTES[one.key.precision]
        if one.key.precision is Precision.NVFP4:
            disk += parameters  # unpacked, for the check
    return Needs(int(max(memory.values(), default=0.0)) + PROCESS_BYTES, int(disk * DISK_SHARE))


def check_bytes(parameters: int, base: Precision, quantised: bool) -> int:
    """Memory beside what an export holds: its module widened to FP32, and for a quantised one the
    changed weights of the reference."""
    wide = BYTES[Precision.FP32]
    return int(parameters * (wide - BYTES[base] + (wide if quantised else 0))) + PROCESS_BYTES // 2


def build_needs(entry: Entry, builds: Iterable[ModuleBuild]) -> Needs:
    """One module at a time in memory; on disk the engines, where they are not the ONNX itself."""
    memory, disk = 0.0, 0.0
    for one in builds:
        weights = ready_bytes(entry, one.source, one.key.precision, one.key.module) or (
            module_parameters(entry, one.key.module) * BYTES[one.key.precision]
        )
        memory = max(memory, weights * BUILD_SHARE)
        if one.key.runtime is Runtime.TENSORRT:
            disk += weights
    return Needs(int(memory) + PROCESS_BYTES, int(disk * DISK_SHARE))


def exports_folder(settings: Settings, entry: Entry, builds: Sequence[ModuleBuild]) -> Path:
    """Where the plain exports of these weights are kept."""
    return settings.home / "onnx" / f"{entry.id}.{builds[0].key.fingerprint[:12]}"


def phase_needs(
    settings: Settings, entry: Entry, missing: Sequence[ModuleBuild], on_gpu: bool
) -> dict[str, Needs]:
    """By phase, of the engines that are still to be built; phases with nothing to do are left
    out. Raises StudioError MODEL_FILES_CORRUPTED."""
    if not missing:
        return {}
    found = {"build": build_needs(entry, missing)}
    if missing[0].source is EngineSource.EXPORT:
        exports = exports_folder(settings, entry, missing)
        found = {"export": export_needs(entry, missing, exports)} | found
    if any(one.key.precision is not one.base for one in missing):
        found = {"calibrate": calibrate_needs(entry, on_gpu)} | found
    return found


def free_host_bytes() -> int:
    """Memory that a process could still get, within the control group's limit if there is one."""
    host, group = host_memory(), group_memory()
    return host.available if group is None else min(host.available, group.limit - group.used)
