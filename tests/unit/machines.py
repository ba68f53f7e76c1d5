"""Machines for the hardware tests: what NVML, the kernel and control groups say on each.

The laptop and the container are readings; the three GPUs are put together from NVIDIA's
documentation and published `nvidia-smi` and /proc/meminfo output.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

MIB = 1024**2


class NVMLError(Exception):
    pass


@dataclass
class FakeGpu:
    name: str
    capability: tuple[int, int]
    cores: int
    total_mib: int | None
    used_mib: int = 0
    milliwatts: int | None = 20_000
    millijoules: int | None = 1_500
    processes: dict[int, int | None] = field(default_factory=dict)
    """Bytes held, by process id."""


class FakeNvml:
    """The functions of NVML that are used, over a list of GPUs."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *gpus: FakeGpu, driver: str = "580.95.05") -> None:
        self.gpus = gpus
        self.driver = driver

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlSystemGetDriverVersion(self) -> str:
        return self.driver

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        try:
            return self.gpus[index]
        except IndexError:
            raise NVMLError("Invalid Argument") from None

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:
        return gpu.name

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:
        return f"GPU-{gpu.name}"

    def nvmlDeviceGetCudaComputeCapability(self, gpu: FakeGpu) -> list[int]:
        return list(gpu.capability)

    def nvmlDeviceGetNumGpuCores(self, gpu: FakeGpu) -> int:
        return gpu.cores

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu) -> Any:
        total = _supported(gpu.total_mib)
        return SimpleNamespace(total=total * MIB, used=gpu.used_mib * MIB)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> Any:
        return SimpleNamespace(gpu=7, memory=1)

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:
        return _supported(gpu.milliwatts)

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: FakeGpu) -> int:
        return _supported(gpu.millijoules)

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 41

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: FakeGpu) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in gpu.processes.items()]


def _supported(value: int | None) -> int:
    if value is None:
        raise NVMLError("Not Supported")
    return value


def gb10() -> FakeNvml:
    return FakeNvml(FakeGpu("NVIDIA GB10", (12, 1), 6144, None, processes={41: 7000 * MIB}))


def rtx_4090() -> FakeNvml:
    processes = {41: 900 * MIB, 42: 100 * MIB, 43: None}
    return FakeNvml(
        FakeGpu("NVIDIA GeForce RTX 4090", (8, 9), 16384, 24564, 1500, processes=processes)
    )


def h200() -> FakeNvml:
    return FakeNvml(
        FakeGpu("NVIDIA H200", (9, 0), 16896, 143771, 4, milliwatts=None), driver="570.124.06"
    )


GB10_MEMINFO = """\
MemTotal:       125513896 kB
MemFree:         3145728 kB
MemAvailable:   104857600 kB
Buffers:          312420 kB
Cached:         98123456 kB
SwapTotal:      16777212 kB
HugePages_Total:       0
"""

LAPTOP_MEMINFO = """\
MemTotal:       24684096 kB
MemFree:         1200000 kB
MemAvailable:   20000000 kB
Cached:         18000000 kB
VmallocTotal:   34359738367 kB
DirectMap4k:      102400 kB
"""
