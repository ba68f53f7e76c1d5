"""Measurements of the studio; figures that depend on the machine are ratios within one run."""

import importlib
from collections.abc import Iterator

from benchmarks.measure import Result

NAMES = (
    "startup",
    "first_token",
    "latency",
    "cancel",
    "overhead",
    "loop",
    "viewers",
    "page",
    "precisions",
    "chat",
    "quantize",
    "compare",
    "votes",
)


def run(names: list[str]) -> Iterator[Result]:
    """The results of the benchmarks named, or of all, as they come."""
    for name in names or NAMES:
        yield from importlib.import_module(f"benchmarks.{name}").measure()
