"""How full the memory is that models live in: the GPU's, the unified one, or the computer's."""

import time
from collections.abc import Iterable

import psutil

from backend.contracts import MemorySample
from backend.hardware.gpu import Gpu, list_gpus, process_bytes
from backend.hardware.host import GroupMemory, HostMemory, group_memory, host_memory

_LITTLE_FREE = 0.10
_MUCH_RECLAIMABLE = 0.25
"""Shares of the total at which the trap below is worth a word: a judgement, not a measurement."""


def sample(pids: Iterable[int] = (), gpu_index: int = 0) -> MemorySample:
    """Memory now, and what the processes `pids` hold of it. Takes a millisecond or so.

    With a GPU that has memory of its own it is that memory; else the computer's, bounded by the
    limit of the control group (a container's) where there is one.
    """
    wanted = frozenset(pids)
    gpu = next((gpu for gpu in list_gpus() if gpu.index == gpu_index), None)
    on_gpu = process_bytes(gpu.index, wanted) if gpu and wanted else None
    resident = 0 if gpu and not gpu.unified_memory else resident_bytes(wanted)
    return describe(gpu, on_gpu, resident, host_memory(), group_memory(), time.time())


def describe(
    gpu: Gpu | None,
    on_gpu: int | None,
    resident: int,
    host: HostMemory,
    group: GroupMemory | None,
    taken_at: float,
) -> MemorySample:
    """The sample that these readings amount to.

    `on_gpu` and `resident` are what the processes in question hold, as NVML and as the kernel
    count it, in bytes; the former is taken where it is known.
    """
    if gpu is not None and not gpu.unified_memory:
        return MemorySample(
            kind="gpu",
            total_bytes=gpu.total_bytes or 0,
            used_bytes=gpu.used_bytes or 0,
            process_bytes=on_gpu or 0,
            taken_at=taken_at,
        )
    total, used = host.total, host.used
    if group is not None and group.limit < total:
        total, used = group.limit, group.used
    return MemorySample(
        kind="cpu" if gpu is None else "unified",
        total_bytes=total,
        used_bytes=used,
        process_bytes=resident if on_gpu is None else on_gpu,
        page_cache_trap=gpu is not None and page_cache_trap(host),
        taken_at=taken_at,
    )


def page_cache_trap(host: HostMemory) -> bool:
    """Whether page cache holds most of what is not in use, so that a large allocation on a GPU
    with unified memory can fail though the kernel could reclaim enough for it. `DROP_CACHES` is
    the remedy."""
    reclaimable = host.available - host.free
    return host.free < _LITTLE_FREE * host.total and reclaimable > _MUCH_RECLAIMABLE * host.total


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of the processes that still exist, in bytes."""
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.Error:
            continue
    return total
