"""The machine that figures were measured on."""

import platform
from pathlib import Path

from backend.contracts import Machine
from backend.hardware.capability import target_name
from backend.hardware.gpu import list_gpus, visible_gpus
from backend.hardware.memory import sample
from backend.hardware.software_checks import version

PACKAGES = (
    "spark-studio", "torch", "diffusers", "transformers", "onnxruntime", "tensorrt",
    "tensorrt-rtx", "nvidia-modelopt", "numpy",
)  # fmt: skip


def this_machine() -> Machine:
    """With the first GPU that this process may use. Looks at what is installed; nothing of it is
    loaded."""
    gpu = this_gpu()
    here = None if gpu is None else list_gpus()[gpu]
    versions = {name: version(name) for name in PACKAGES}
    return Machine(
        device=here.name if here else processor_name(),
        compute_capability=(
            target_name(here.compute_capability) if here and here.compute_capability else None
        ),
        driver=here.driver if here else "",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        memory_bytes=sample(gpu_index=gpu or 0).total_bytes,
        unified_memory=here.unified_memory if here else False,
        versions={"python": platform.python_version()}
        | {name: found for name, found in versions.items() if found},
    )


def this_gpu() -> int | None:
    """The first GPU that this process may use."""
    return next(iter(visible_gpus()), None)


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's name where Linux tells it, else its architecture."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()
