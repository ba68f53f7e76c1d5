"""The memory that one variant takes at its peak."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from backend.compare.machine import this_gpu
from backend.hardware.gpu import list_gpus, process_bytes
from backend.images.device import peak_bytes
from backend.quantize.costs import Costs


class OwnMemory:
    """On a GPU what torch allocated there, and what came beside it (the engines of TensorRT); on
    the CPU the resident memory of this process, looked at every 50 ms."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._costs = Costs(device)
        self._before: int | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        with self._costs.phase("variant"):
            self._before = self._beside_torch()
            yield

    def peak_bytes(self) -> int | None:
        """So far; None where what is beside torch cannot be told."""
        if self._device.type != "cuda":
            return self._costs.memory_bytes()
        now = self._beside_torch()
        if now is None or self._before is None:
            return None
        return peak_bytes(self._device) + max(0, now - self._before)

    def _beside_torch(self) -> int | None:
        """GPU memory in use that torch does not manage: of this process where the driver tells it,
        else of all, but not where the GPU shares the computer's memory."""
        gpu = this_gpu()
        if self._device.type != "cuda" or gpu is None:
            return None
        held = process_bytes(gpu, frozenset({os.getpid()}))
        if held is None:
            if list_gpus()[gpu].unified_memory:
                return None
            free, total = torch.cuda.mem_get_info(self._device)
            held = total - free
        return held - torch.cuda.memory_reserved(self._device)
