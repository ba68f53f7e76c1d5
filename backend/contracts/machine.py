"""The machine and its workers."""

from backend.contracts.base import Contract
from backend.contracts.chat import ServerStatus

DROP_CACHES = "sudo sh -c 'sync; echo 3 > /proc/sys/vm/drop_caches'"
"""NVIDIA's advice for a DGX Spark whose page cache is in the way. Shown, never run."""


class MemorySample(Contract):
    """Memory of the device that the models live on, at one moment."""

    kind: str
    """`gpu`, `unified` or `cpu`."""
    total_bytes: int
    used_bytes: int
    process_bytes: int
    """What the worker and its servers hold of it."""
    page_cache_trap: bool = False
    """Unified memory: most of what looks used is reclaimable page cache."""
    taken_at: float


class GpuSample(Contract):
    """A GPU at one moment; None is what its driver does not report."""

    utilisation_percent: int | None
    power_w: float | None
    temperature_c: int | None


class ResidentModel(Contract):
    key: str
    """`model/precision/runtime`."""
    memory_bytes: int
    in_use: bool


class WorkerStatus(Contract):
    name: str
    pid: int
    device: str
    alive: bool
    """Heard from within the last five seconds."""
    budget_bytes: int
    memory: MemorySample
    gpu: GpuSample | None = None
    resident: tuple[ResidentModel, ...]
    servers: tuple[ServerStatus, ...] = ()
    """Servers of language models that it runs."""
    seen_at: float


class StudioStatus(Contract):
    """What the status bar shows."""

    version: str
    workers: tuple[WorkerStatus, ...]
    waiting: int
    running: int


class Health(Contract):
    status: str
    version: str
    worker: str
    """`ready` or `missing`."""
