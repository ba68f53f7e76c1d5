"""The doctor's look at the machine: Python, GPU, driver, memory, disk."""

import shutil
import sys
from pathlib import Path

from backend.contracts import DROP_CACHES
from backend.hardware.capability import native_precisions, target_name
from backend.hardware.check import Check, fail, ok, warn
from backend.hardware.gpu import Gpu
from backend.hardware.host import GroupMemory, HostMemory
from backend.hardware.memory import page_cache_trap

GIB = 1024**3
DISK_WARN_BYTES = 20 * 10**9
"""One full-size model at FP8 with its engine takes about this much."""
DISK_FAIL_BYTES = 10**9
DRIVER_FOR_CUDA_13 = 580
"""First driver branch of CUDA 13 (CUDA 13.0 release notes), which the pinned torch and TensorRT
for RTX are built with."""
_TRACES_OF_A_GPU = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    shown = ".".join(map(str, version))
    if (3, 10) <= version <= (3, 12):
        return ok("python", f"Python {shown}")
    return fail(
        "python",
        f"Python {shown} is not supported",
        "Use Python 3.10, 3.11 or 3.12: make clean, then make run PYTHON=python3.12",
    )


def check_gpus(gpus: tuple[Gpu, ...], traces: tuple[str, ...] | None = None) -> list[Check]:
    """One check per GPU. `traces` are the signs of a GPU that NVML may fail to see."""
    if gpus:
        return [_check_gpu(gpu) for gpu in gpus]
    traces = traces or tuple(path for path in _TRACES_OF_A_GPU if Path(path).exists())
    if traces:
        return [
            warn(
                "gpu",
                f"{', '.join(traces)} exists, but NVML does not answer",
                "In a container: start it with --gpus all. After a driver update: restart the"
                " computer. `nvidia-smi` should list the GPU.",
            )
        ]
    return [ok("gpu", "none; the small demo models run on the CPU")]


def _check_gpu(gpu: Gpu) -> Check:
    name = f"gpu{gpu.index}"
    words = [gpu.name]
    if gpu.compute_capability is not None:
        words.append(target_name(gpu.compute_capability))
        native = native_precisions(gpu.compute_capability)
        words.append("computes in " + ", ".join(precision.value for precision in native))
    if gpu.total_bytes is not None:
        words.append(f"{gpu.total_bytes / GIB:.0f} GiB")
    else:
        words.append(
            "unified memory (NVML and nvidia-smi say 'Not Supported' about its size:"
            " that is expected and harmless)"
        )
    if gpu.compute_capability is not None and gpu.compute_capability < (7, 5):
        return warn(
            name,
            "; ".join(words),
            "TensorRT needs compute capability 7.5 or newer: use the torch runtime.",
        )
    return ok(name, "; ".join(words))


def check_driver(gpus: tuple[Gpu, ...]) -> Check:
    if not gpus:
        return ok("driver", "no GPU, no driver needed")
    version = gpus[0].driver
    branch = version.split(".")[0]
    if branch.isdigit() and int(branch) < DRIVER_FOR_CUDA_13:
        return warn(
            "driver",
            f"NVIDIA driver {version} is older than CUDA 13 needs",
            f"Install driver {DRIVER_FOR_CUDA_13} or newer (Ubuntu: sudo ubuntu-drivers install),"
            " then restart the computer.",
        )
    return ok("driver", f"NVIDIA driver {version or 'of unknown version'}")


def check_memory(gpus: tuple[Gpu, ...], host: HostMemory, group: GroupMemory | None) -> Check:
    unified = any(gpu.unified_memory for gpu in gpus)
    detail = (
        f"{'unified memory' if unified else 'memory'}: {host.total / GIB:.0f} GiB,"
        f" {host.available / GIB:.0f} GiB available"
    )
    if group is not None and group.limit < host.total:
        detail += f"; this container may use {group.limit / GIB:.1f} GiB"
    if unified and page_cache_trap(host):
        return warn(
            "memory",
            f"{detail}, but only {host.free / GIB:.0f} GiB free: page cache holds the rest",
            f"A large model may fail to load. This gives the page cache back: {DROP_CACHES}",
        )
    return ok("memory", detail)


def check_disk(home: Path) -> Check:
    free = shutil.disk_usage(existing(home)).free
    detail = f"{free / 1e9:.0f} GB free for {home}"
    hint = (
        "Free some space, or set STUDIO_HOME to a folder on a larger disk. `spark-studio engine"
        " list` shows engines that could go."
    )
    if free < DISK_FAIL_BYTES:
        return fail("disk", f"only {free / 1e9:.1f} GB free for {home}", hint)
    if free < DISK_WARN_BYTES:
        return warn("disk", detail, hint)
    return ok("disk", detail)


def existing(folder: Path) -> Path:
    """The folder, or the nearest parent of it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
