"""Models kept in memory between jobs, the least recently used one going first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backend.contracts import ResidentModel
from backend.errors import Code, StudioError


@dataclass
class _Resident:
    value: Any
    memory_bytes: int
    users: int = 0


class ModelPool:
    """Holds at most `budget_bytes` of models and of reservations for other work.

    `held_bytes` measures the memory that this process holds on the device; `collect` gives
    freed memory back to the system.
    """

    def __init__(
        self, budget_bytes: int, held_bytes: Callable[[], int], collect: Callable[[], None]
    ) -> None:
        self.budget_bytes = budget_bytes
        self._held_bytes = held_bytes
        self.collect = collect
        self._lock = threading.RLock()
        self._resident: OrderedDict[str, _Resident] = OrderedDict()
        self._reserved: dict[str, int] = {}

    @contextmanager
    def use(
        self,
        key: str,
        estimate_bytes: int,
        load: Callable[[], Any],
        on_evict: Callable[[str, int], None] = lambda key, memory_bytes: None,
        is_current: Callable[[Any], bool] = lambda value: True,
    ) -> Iterator[Any]:
        """The model `key`, loaded if need be, and kept while the block runs. One that `is_current`
        says no of is loaded anew.

        Raises StudioError MODEL_TOO_LARGE when it cannot fit beside what is in use, MODEL_IN_USE
        when another job uses one that is not current.
        """
        with self._lock:
            if key in self._resident and not is_current(self._resident[key].value):
                self.unload(key)
            if key not in self._resident:
                self._make_room(key, estimate_bytes, on_evict)
                before = self._held_bytes()
                value = load()
                measured = self._held_bytes() - before
                self._resident[key] = _Resident(value, max(measured, estimate_bytes))
            entry = self._resident[key]
            entry.users += 1
            self._resident.move_to_end(key)
        try:
            yield entry.value
        finally:
            with self._lock:
                entry.users -= 1

    @contextmanager
    def reserve(self, name: str, needed_bytes: int) -> Iterator[bool]:
        """Set memory aside for work outside the pool; False, and nothing set aside, when it does
        not fit now. Raises StudioError MODEL_TOO_LARGE when it never can."""
        self.check(name, needed_bytes)
        with self._lock:
            self._evict_for(needed_bytes, lambda key, memory_bytes: None)
            fits = needed_bytes <= self.free_bytes()
            if fits:
                self._reserved[name] = needed_bytes
        try:
            yield fits
        finally:
            with self._lock:
                self._reserved.pop(name, None)

    def check(self, name: str, needed_bytes: int) -> None:
        """Raises StudioError MODEL_TOO_LARGE when it cannot fit whatever else goes."""
        if needed_bytes > self.budget_bytes:
            raise self._too_large(name, needed_bytes, 0)

    def unload(self, key: str) -> None:
        """Let a model go. Raises StudioError MODEL_IN_USE while a job uses it."""
        with self._lock:
            entry = self._resident.get(key)
            if entry is None:
                return
            if entry.users:
                raise StudioError(Code.MODEL_IN_USE, variant=key)
            self._drop(key)

    def resident(self) -> tuple[ResidentModel, ...]:
        with self._lock:
            return tuple(
                ResidentModel(key=key, memory_bytes=entry.memory_bytes, in_use=entry.users > 0)
                for key, entry in self._resident.items()
            )

    def holders(self) -> tuple[str, ...]:
        """Who holds memory that cannot be freed now."""
        with self._lock:
            busy = [key for key, entry in self._resident.items() if entry.users]
            return (*busy, *self._reserved)

    def free_bytes(self) -> int:
        with self._lock:
            models = sum(entry.memory_bytes for entry in self._resident.values())
            return self.budget_bytes - models - sum(self._reserved.values())

    def _make_room(self, key: str, needed_bytes: int, on_evict: Callable[[str, int], None]) -> None:
        with self._lock:
            busy = sum(entry.memory_bytes for entry in self._resident.values() if entry.users)
            busy += sum(self._reserved.values())
            if needed_bytes > self.budget_bytes - busy:
                raise self._too_large(key, needed_bytes, busy)
            self._evict_for(needed_bytes, on_evict)

    def _evict_for(self, needed_bytes: int, on_evict: Callable[[str, int], None]) -> None:
        for key in [key for key, entry in self._resident.items() if not entry.users]:
            if needed_bytes <= self.free_bytes():
                return
            freed = self._resident[key].memory_bytes
            self._drop(key)
            on_evict(key, freed)

    def _drop(self, key: str) -> None:
        del self._resident[key]
        self.collect()

    def _too_large(self, key: str, needed_bytes: int, busy_bytes: int) -> StudioError:
        return StudioError(
            Code.MODEL_TOO_LARGE,
            variant=key,
            needed_bytes=needed_bytes,
            budget_bytes=self.budget_bytes,
            busy_bytes=busy_bytes,
        )
