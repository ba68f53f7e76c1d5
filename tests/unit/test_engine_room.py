"""Room for a phase, and what is said when it was too little after all."""

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from backend.contracts import ResidentModel
from backend.engines.needs import Needs
from backend.engines.validated import judged
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.jobs.failures import explain
from backend.jobs.room import check_disk, check_phases, room
from backend.models.pool import ModelPool

SMALL = Needs(memory_bytes=10, disk_bytes=10)


class Row:
    variant = "demo-flux/fp8/tensorrt"


class Context(JobContext):
    """A context whose job nobody cancels."""

    def __init__(self) -> None:
        self.row = cast(Any, Row())

    def check(self) -> None:
        pass


def pool(budget: int = 1000) -> ModelPool:
    made = ModelPool(budget, lambda: 0, lambda: None)
    with made.use("demo-flux/fp32/torch", 5, object):
        pass
    return made


@pytest.mark.parametrize("phase", ["calibrate", "export", "build"])
def test_memory_that_ran_out_is_named_by_phase_with_what_is_loaded(
    phase: str, tmp_path: Path
) -> None:
    models = pool()
    assert isinstance(models.resident()[0], ResidentModel)
    with (
        pytest.raises(StudioError) as refusal,
        room(Context(), models, tmp_path, phase, SMALL, on_host=False),
    ):
        raise StudioError(Code.OUT_OF_MEMORY, "the child's log")
    info = refusal.value.info
    assert str(info.code).endswith("_OUT_OF_MEMORY")
    assert info.detail == "the child's log"
    for language in ("en", "ko"):
        assert info.message(language)
        assert "demo-flux/fp32/torch" in info.hint(language)
    assert models.free_bytes() == 995


def test_a_phase_holds_its_memory_while_it_runs(tmp_path: Path) -> None:
    models = pool()
    with room(Context(), models, tmp_path, "export", SMALL, on_host=False):
        assert models.free_bytes() == 985
    assert models.free_bytes() == 995


def test_what_can_never_fit_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StudioError) as refusal,
        room(Context(), pool(5), tmp_path, "export", SMALL, on_host=False),
    ):
        pytest.fail("it began all the same")
    assert refusal.value.code is Code.MODEL_TOO_LARGE


def test_a_phase_that_can_never_fit_is_refused_before_those_that_come_first() -> None:
    needs = {"export": SMALL, "build": Needs(memory_bytes=2000, disk_bytes=0)}
    with pytest.raises(StudioError) as refusal:
        check_phases(Context(), pool(), needs)
    assert refusal.value.code is Code.MODEL_TOO_LARGE
    assert "build" in refusal.value.info.message()
    check_phases(Context(), pool(3000), needs)


def test_disk_is_looked_at_before_anything_is_written(tmp_path: Path) -> None:
    check_disk(tmp_path, 1)
    with pytest.raises(StudioError) as refusal:
        check_disk(tmp_path, 1 << 60)
    assert refusal.value.code is Code.ENGINE_DISK_SPACE_LOW
    assert str(tmp_path) in refusal.value.info.message("ko")


def wrapped(error: BaseException) -> RuntimeError:
    outer = RuntimeError("the exporter failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), Code.OUT_OF_MEMORY),
        (RuntimeError("std::bad_alloc"), Code.OUT_OF_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), Code.OUT_OF_MEMORY),
        (wrapped(MemoryError()), Code.OUT_OF_MEMORY),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/x"), Code.DISK_FULL),
        (wrapped(OSError(errno.ENOSPC, "full", "/home/x")), Code.DISK_FULL),
        (RuntimeError("write failed: No space left on device"), Code.DISK_FULL),
        (OSError(errno.EROFS, "read-only", "/home/x"), Code.HOME_NOT_WRITABLE),
        (StudioError(Code.ENGINE_BROKEN, engine="e", problem="p"), Code.ENGINE_BROKEN),
        (ValueError("anything"), Code.INTERNAL),
    ],
)
def test_failures_of_libraries_have_our_codes(error: BaseException, code: Code) -> None:
    found = explain(error)
    assert found.code is code
    assert found.detail
    assert found.message("ko") and found.hint("en")


class Stopped(Exception):
    pass


@pytest.mark.parametrize(("deaf", "grace_s"), [(False, 60.0), (True, 0.1)])
def test_a_child_is_asked_to_stop_and_killed_when_it_does_not(
    deaf: bool, grace_s: float, tmp_path: Path
) -> None:
    arguments = {"deaf": deaf, "last_word": str(tmp_path / "last word")}
    heard: list[dict[str, Any]] = []

    def check() -> None:
        if heard:
            raise Stopped

    with pytest.raises(Stopped):
        run_child("tests.stopping_child", arguments, heard.append, check, grace_s)
    assert (tmp_path / "last word").exists() != deaf
    with pytest.raises(ProcessLookupError):
        os.kill(heard[0]["pid"], 0)


def test_an_engine_is_judged_by_what_rounding_explains() -> None:
    assert judged(0.01, 0.02, "sm121").validated is True
    assert judged(0.03, 0.02, "sm121").validated is False
    assert judged(float("nan"), 0.02, "sm121").validated is False
    assert "sm121" in judged(0.03, 0.02, "sm121").reason.render("ko")
