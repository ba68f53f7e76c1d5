"""glibc's heap, through its `mallopt(3)` and `malloc_trim(3)`. Elsewhere nothing is done."""

import ctypes

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
MOST_BYTES = 2**31 - 1
LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
"""Above it glibc refuses the threshold (DEFAULT_MMAP_THRESHOLD_MAX of a 64-bit machine)."""


def keep_freed() -> None:
    """Keep the memory of freed tensors for the next ones: asking the system for it anew at every
    step costs a picture on the CPU a twentieth of its time (docs/notes.md)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    libc.mallopt(M_TRIM_THRESHOLD, MOST_BYTES)
    libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)


def return_freed() -> None:
    """Give the system what is free."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
