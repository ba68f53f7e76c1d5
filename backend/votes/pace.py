"""How fast somebody may go: a token bucket for each name."""

import threading
import time
from collections.abc import Callable

MOST_NAMES = 10_000


class Pace:
    """`burst` at once, then `per_s` a second. Thread-safe; of this process alone."""

    def __init__(self, per_s: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._now = per_s, burst, now
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def allows(self, name: str) -> bool:
        """Whether it may go on; takes one token if so."""
        with self._lock:
            now = self._now()
            left = self._tokens(name, now)
            if left < 1:
                return False
            if len(self._left) >= MOST_NAMES:
                self._forget(now)
            self._left[name] = (left - 1, now)
            return True

    def _tokens(self, name: str, now: float) -> float:
        left, at = self._left.get(name, (self._burst, now))
        return min(self._burst, left + (now - at) * self._per_s)

    def _forget(self, now: float) -> None:
        """Those who have rested so long that forgetting them changes nothing."""
        self._left = {
            name: kept for name, kept in self._left.items() if self._tokens(name, now) < self._burst
        }
