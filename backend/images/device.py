"""The device that pictures are made on, and its memory."""

import gc

import psutil
import torch

from backend.contracts import Precision
from backend.hardware import heap

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.FP16: torch.float16,
    Precision.BF16: torch.bfloat16,
}


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def held_bytes(device: torch.device) -> int:
    """Memory that this process holds on the device."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return psutil.Process().memory_info().rss


def collect(device: torch.device) -> None:
    """Give freed memory back to the system."""
    gc.collect()
    heap.return_freed()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """Highest memory allocated on a CUDA device since `reset_peak`."""
    return torch.cuda.max_memory_allocated(device)
