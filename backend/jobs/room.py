"""Room for a phase: memory set aside and disk looked at before it begins, and what to do when it
was too little after all."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backend.engines.needs import Needs, free_host_bytes
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.jobs.context import JobContext
from backend.models.pool import ModelPool

OUT_OF_MEMORY = {
    "calibrate": Code.CALIBRATION_OUT_OF_MEMORY,
    "export": Code.EXPORT_OUT_OF_MEMORY,
    "build": Code.BUILD_OUT_OF_MEMORY,
    "pictures": Code.PICTURES_OUT_OF_MEMORY,
    "sensitivity": Code.PICTURES_OUT_OF_MEMORY,
}


@contextmanager
def room(
    context: JobContext, pool: ModelPool, home: Path, phase: str, needs: Needs, on_host: bool
) -> Iterator[None]:
    """Memory for `phase` while the block runs, waiting until it is there.

    `on_host` is for work that leaves a GPU with memory of its own alone. Raises StudioError
    ENGINE_DISK_SPACE_LOW, MODEL_TOO_LARGE (it can never fit), and the phase's own code of
    OUT_OF_MEMORY for an OUT_OF_MEMORY in the block.
    """
    check_disk(home, needs.disk_bytes)
    name = f"{phase} {context.row.variant}"
    try:
        if on_host and memory.sample().kind == "gpu":
            check_host(name, needs.memory_bytes)
            yield
        else:
            with context.memory(pool, name, needs.memory_bytes):
                yield
    except StudioError as error:
        if error.code is not Code.OUT_OF_MEMORY:
            raise
        loaded = ", ".join(model.key for model in pool.resident()) or "-"
        raise StudioError(
            OUT_OF_MEMORY[phase],
            error.info.detail,
            needed_bytes=needs.memory_bytes,
            loaded=loaded,
        ) from error


def check_phases(context: JobContext, pool: ModelPool, needs: Mapping[str, Needs]) -> None:
    """Raises StudioError MODEL_TOO_LARGE for a phase that can never fit, before time is spent on
    the phases that come first. On a GPU with memory of its own each phase looks for itself."""
    if memory.sample().kind == "gpu":
        return
    for phase, each in needs.items():
        pool.check(f"{phase} {context.row.variant}", each.memory_bytes)


def check_disk(home: Path, needed_bytes: int) -> None:
    """Raises StudioError ENGINE_DISK_SPACE_LOW."""
    free = shutil.disk_usage(home).free
    if needed_bytes > free:
        raise StudioError(
            Code.ENGINE_DISK_SPACE_LOW, path=str(home), needed_bytes=needed_bytes, free_bytes=free
        )


def check_host(name: str, needed_bytes: int) -> None:
    """Raises StudioError MODEL_TOO_LARGE."""
    free = free_host_bytes()
    if needed_bytes > free:
        raise StudioError(
            Code.MODEL_TOO_LARGE,
            variant=name,
            needed_bytes=needed_bytes,
            budget_bytes=free,
            busy_bytes=0,
        )
