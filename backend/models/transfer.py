"""A fetch under way: how far it has come, how fast it goes, and its begun files."""

import hashlib
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.models.files import corrupted
from backend.models.hub import Plan, RemoteFile

CHUNK_BYTES = 1024**2
NEWS_INTERVAL_S = 0.1
SMOOTHING_S = 5.0


class Transfer:
    """Its threads add to it; one thread tells of it."""

    def __init__(self, plan: Plan) -> None:
        self.stop = threading.Event()
        self.failures: list[Exception] = []
        self._total, self._done = plan.total_bytes, plan.here_bytes
        self._told, self._speed = plan.here_bytes, 0.0
        self._received = 0
        self._seen_received, self._seen_at = 0, time.monotonic()
        self._lock = threading.Lock()
        self._active: list[str] = []
        self._ended: list[str] = []
        self._last = plan.files[0].name

    @contextmanager
    def file(self, name: str) -> Iterator[None]:
        with self._lock:
            self._active.append(name)
        try:
            yield
        finally:
            with self._lock:
                self._active.remove(name)
        if not self.stop.is_set():
            with self._lock:
                self._ended.append(name)

    def add(self, size: int, received: bool = True) -> None:
        """Count bytes that are now there; negative ones when a begun file turns out useless."""
        with self._lock:
            self._done += size
            self._received += size if received else 0

    def finish(self) -> None:
        with self._lock:
            self._done = self._total

    def is_due(self) -> bool:
        return time.monotonic() - self._seen_at >= NEWS_INTERVAL_S

    def news(self) -> dict[str, Any]:
        """Bytes done (`step`) and in `total`, bytes per second, seconds to go, the file's name, and
        the files `ended` since the last call.

        The speed is an exponential average over `SMOOTHING_S`; `step` never goes back.
        """
        with self._lock:
            now = time.monotonic()
            passed = max(now - self._seen_at, 1e-6)
            rate = (self._received - self._seen_received) / passed
            share = 1.0 if self._speed == 0 else 1 - math.exp(-passed / SMOOTHING_S)
            self._speed += share * (rate - self._speed)
            self._seen_received, self._seen_at = self._received, now
            self._told = max(self._told, min(self._done, self._total))
            self._last = self._active[0] if self._active else self._last
            left = self._total - self._told
            ended, self._ended = self._ended, []
            return {
                "step": self._told,
                "total": self._total,
                "file": self._last,
                "ended": ended,
                "speed_bytes": round(self._speed),
                "eta_s": round(left / self._speed, 1) if self._speed > 0 else None,
            }


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class Part:
    """The first bytes of a file on disk, and the digest of them."""

    def __init__(self, path: Path, file: RemoteFile, transfer: Transfer) -> None:
        self.path, self.file, self._transfer = path, file, transfer
        self.restart(keep=size_of(path) <= file.size_bytes)

    def restart(self, keep: bool) -> None:
        """Begin with what is on disk, or with nothing."""
        is_sha256 = len(self.file.etag) == hashlib.sha256().digest_size * 2
        self._digest = hashlib.sha256() if is_sha256 else hashlib.sha1(usedforsecurity=False)
        if not is_sha256:
            self._digest.update(f"blob {self.file.size_bytes}\0".encode())
        self.size = 0
        with self.path.open("ab") as stream:
            if not keep:
                stream.truncate(0)
        if not size_of(self.path):
            return
        with self.path.open("rb") as stream:
            while (chunk := stream.read(CHUNK_BYTES)) and not self._transfer.stop.is_set():
                self._digest.update(chunk)
                self.size += len(chunk)

    def write(self, chunks: Iterator[bytes]) -> None:
        with self.path.open("ab") as stream:
            for chunk in chunks:
                if self._transfer.stop.is_set():
                    return
                stream.write(chunk)
                stream.flush()  # before it is told
                self._digest.update(chunk)
                self.size += len(chunk)
                self._transfer.add(len(chunk))

    def finish(self, blob: Path, repo: str) -> None:
        """Let the whole file take its place. Raises StudioError MODEL_FILES_CORRUPTED."""
        if self._digest.hexdigest() != self.file.etag:
            self.path.unlink()
            raise corrupted(repo, f"{self.file.name} arrived damaged")
        self.path.replace(blob)
