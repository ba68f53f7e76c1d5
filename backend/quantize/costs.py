"""What each phase of a child took: seconds, and memory at its peak."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

SAMPLE_S = 0.05
TOLD_EVERY = 10
"""Samples."""


class Costs:
    """Of work on `device`: on a GPU the memory that torch held there, else that of this process."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self.on_sample: Callable[[], None] = lambda: None
        """Called twice a second, by another thread."""
        self.phases: dict[str, dict[str, Any]] = {}
        self._process = psutil.Process()
        self._peak = 0

    def held_bytes(self) -> int:
        """At this moment."""
        if self._gpu:
            return int(torch.cuda.memory_reserved())
        return int(self._process.memory_info().rss)

    def memory_bytes(self) -> int:
        """At the peak of the phase so far."""
        if self._gpu:
            return int(torch.cuda.max_memory_reserved())
        self._peak = max(self._peak, self.held_bytes())
        return self._peak

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._peak = 0
        if self._gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        done = threading.Event()

        def watch() -> None:
            samples = 0
            while not done.wait(SAMPLE_S):
                self.memory_bytes()
                samples += 1
                if samples % TOLD_EVERY == 0:
                    self.on_sample()

        watcher = threading.Thread(target=watch, name="memory-watch", daemon=True)
        watcher.start()
        since = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - since
            done.set()
            watcher.join()
            cost = {"seconds": seconds, "peak_memory_bytes": self.memory_bytes()}
            self.phases[name] = cost
