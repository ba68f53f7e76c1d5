"""Memory of the host as Linux reports it: /proc/meminfo and the limits of control groups."""

from dataclasses import dataclass
from pathlib import Path

import psutil

_UNLIMITED = 1 << 62
"""Control groups of version 1 say "no limit" with a number near 2^63."""


@dataclass(frozen=True)
class HostMemory:
    """Sizes in bytes."""

    total: int
    free: int
    """Held by nothing, page cache included in what holds."""
    available: int
    """What new work could get: free, and what the kernel would reclaim."""

    @property
    def used(self) -> int:
        return self.total - self.available


@dataclass(frozen=True)
class GroupMemory:
    """The tightest memory limit around this process, in bytes."""

    limit: int
    used: int


def parse_meminfo(text: str) -> HostMemory:
    """Memory from the text of /proc/meminfo, whose values are in KiB. KeyError on missing lines."""
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.strip():
            values[name] = int(value.split()[0]) * 1024
    return HostMemory(values["MemTotal"], values["MemFree"], values["MemAvailable"])


def host_memory(proc: Path = Path("/proc")) -> HostMemory:
    """Memory of the whole machine."""
    try:
        return parse_meminfo((proc / "meminfo").read_text())
    except (OSError, KeyError):
        memory = psutil.virtual_memory()
        return HostMemory(memory.total, memory.free, memory.available)


def group_memory(
    proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")
) -> GroupMemory | None:
    """The tightest limit of this process's control groups; None without one.

    What the groups hold as inactive page cache does not count as used: it is given up before the
    limit kills anything.
    """
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "memory"
            names = (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            continue
        folder = base / path.lstrip("/")
        while folder.is_relative_to(base):
            limits.append(_group(folder, *names))
            folder = folder.parent
    return min(
        (limit for limit in limits if limit is not None), key=lambda it: it.limit, default=None
    )


def _group(folder: Path, limit_file: str, usage_file: str, cache_field: str) -> GroupMemory | None:
    try:
        limit = (folder / limit_file).read_text().strip()
        if limit == "max" or int(limit) >= _UNLIMITED:
            return None
        used = int((folder / usage_file).read_text())
        statistics = dict(
            line.split(maxsplit=1) for line in (folder / "memory.stat").read_text().splitlines()
        )
    except (OSError, ValueError):
        return None
    return GroupMemory(int(limit), max(0, used - int(statistics.get(cache_field, 0))))
