"""The NVIDIA GPUs of this machine, read through NVML.

A field that the driver does not report (NVML "Not Supported", as for memory on a DGX Spark) is
None. Without a driver there are no GPUs. No function here raises.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

ComputeCapability = tuple[int, int]
Nvml = Any
"""The module `pynvml`, which carries no types, or a stand-in with the functions used here."""
_Value = TypeVar("_Value")

UNIFIED_MEMORY_CAPABILITIES = frozenset({(8, 7), (11, 0), (12, 1)})
"""Parts whose GPU shares the CPU's memory: Jetson Orin, Jetson Thor, GB10 (NVIDIA's table of CUDA
GPUs by compute capability)."""

_CORES_PER_SM = {7: 64, 8: 128, 9: 128, 10: 128, 11: 128, 12: 128}
"""FP32 cores of one multiprocessor by major compute capability (CUDA C++ Programming Guide,
arithmetic instructions). 8.0 alone differs from its major."""


@dataclass(frozen=True)
class Gpu:
    index: int
    name: str
    uuid: str
    compute_capability: ComputeCapability | None
    total_bytes: int | None
    used_bytes: int | None
    utilisation_percent: int | None
    power_w: float | None
    temperature_c: int | None
    sm_count: int | None
    """Streaming multiprocessors; an engine is tuned for their number."""
    driver: str

    @property
    def unified_memory(self) -> bool:
        """Whether the GPU has no memory of its own."""
        return self.total_bytes is None or self.compute_capability in UNIFIED_MEMORY_CAPABILITIES


@cache
def nvml() -> Nvml | None:
    """NVML, initialised once per process; None without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def list_gpus(library: Nvml | None = None) -> tuple[Gpu, ...]:
    """The GPUs in NVML's order; `library` stands in for NVML in tests."""
    library = library or nvml()
    if library is None:
        return ()
    count = _ask(library, library.nvmlDeviceGetCount) or 0
    driver = _ask(library, library.nvmlSystemGetDriverVersion) or ""
    handles = [_ask(library, library.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
    return tuple(
        _read(library, index, handle, driver)
        for index, handle in enumerate(handles)
        if handle is not None
    )


def visible_gpus() -> tuple[int, ...]:
    """Indices of the GPUs that this process may use: all, or what CUDA_VISIBLE_DEVICES names by
    number."""
    present = tuple(gpu.index for gpu in list_gpus())
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return present
    numbers = [int(part) for part in allowed.split(",") if part.strip().isdigit()]
    return tuple(index for index in present if index in numbers)


def process_bytes(index: int, pids: frozenset[int], library: Nvml | None = None) -> int | None:
    """GPU memory that `pids` hold on GPU `index`; None where the driver does not tell.

    In a container the driver may list other process ids than the container sees: then the answer
    is None too.
    """
    library = library or nvml()
    if library is None:
        return None
    handle = _ask(library, library.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return None
    processes = _ask(library, library.nvmlDeviceGetComputeRunningProcesses, handle) or []
    held = [
        process.usedGpuMemory
        for process in processes
        if process.pid in pids and process.usedGpuMemory is not None
    ]
    return sum(held) if held else None


def energy_j(index: int, library: Nvml | None = None) -> float | None:
    """What GPU `index` has used since its driver was loaded, in joules; None where it does not
    tell (NVML counts it from Volta on)."""
    library = library or nvml()
    if library is None:
        return None
    handle = _ask(library, library.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return None
    millijoules = _ask(library, library.nvmlDeviceGetTotalEnergyConsumption, handle)
    return None if millijoules is None else millijoules / 1000


def sm_count(cores: int | None, capability: ComputeCapability | None) -> int | None:
    """Multiprocessors from NVML's count of CUDA cores; None for a part that is not in the table."""
    if not cores or capability is None:
        return None
    per_sm = 64 if capability == (8, 0) else _CORES_PER_SM.get(capability[0])
    return cores // per_sm if per_sm else None


def _read(library: Nvml, index: int, handle: Any, driver: str) -> Gpu:
    memory = _ask(library, library.nvmlDeviceGetMemoryInfo, handle)
    load = _ask(library, library.nvmlDeviceGetUtilizationRates, handle)
    milliwatts = _ask(library, library.nvmlDeviceGetPowerUsage, handle)
    capability = _ask(library, library.nvmlDeviceGetCudaComputeCapability, handle)
    capability = None if capability is None else (capability[0], capability[1])
    cores = _ask(library, library.nvmlDeviceGetNumGpuCores, handle)
    return Gpu(
        index=index,
        name=_ask(library, library.nvmlDeviceGetName, handle) or "NVIDIA GPU",
        uuid=_ask(library, library.nvmlDeviceGetUUID, handle) or "",
        compute_capability=capability,
        total_bytes=memory.total if memory else None,
        used_bytes=memory.used if memory else None,
        utilisation_percent=load.gpu if load else None,
        power_w=None if milliwatts is None else milliwatts / 1000,
        temperature_c=_ask(
            library, library.nvmlDeviceGetTemperature, handle, library.NVML_TEMPERATURE_GPU
        ),
        sm_count=sm_count(cores, capability),
        driver=driver,
    )


def _ask(library: Nvml, question: Callable[..., _Value], *arguments: Any) -> _Value | None:
    try:
        return question(*arguments)
    except library.NVMLError:
        return None
