"""An engine for people to read: its layers before and after fusion."""

import json
import threading
from pathlib import Path

from backend.contracts import Engine, EngineLayer, EngineState, EngineView, Runtime
from backend.engines.cache import FUSED, LAYERS, TIMES, folder_of
from backend.engines.command import build_command
from backend.engines.inspector import inspector_layers
from backend.errors import StudioError
from backend.jobs.children import run_child
from backend.language import Text, text
from backend.settings import Settings

_opening = threading.Lock()
"""One engine is opened at a time, however many ask."""


def view_of(settings: Settings, engine: Engine) -> EngineView:
    """The network as it was parsed, kept when the engine was built, and what became of it.

    A TensorRT engine that runs here is opened once, in a child process, and its inspector's answer
    kept. Raises StudioError ENGINE_NOT_FOUND.
    """
    folder = folder_of(settings, engine.manifest.id)
    fused, reason = _fused(engine, folder)
    times = _times(folder)
    return EngineView(
        engine=engine,
        source="network",
        layers=_read(folder / LAYERS),
        fused=tuple(
            one.model_copy(update={"time_ms": times[one.name]}) if one.name in times else one
            for one in fused
        ),
        unfused_reason=reason,
        command=build_command(engine.manifest),
    )


def _times(folder: Path) -> dict[str, float]:
    file = folder / TIMES
    found: dict[str, float] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def _read(file: Path) -> tuple[EngineLayer, ...]:
    return tuple(EngineLayer.model_validate(one) for one in json.loads(file.read_text("utf-8")))


def _fused(engine: Engine, folder: Path) -> tuple[tuple[EngineLayer, ...], Text | None]:
    file, made = folder / FUSED, engine.manifest
    if file.exists():
        return _read(file), None
    if made.runtime is not Runtime.TENSORRT:
        return (), text("engine.unfused_older")
    if engine.state is not EngineState.VALID:
        return (), text("engine.unfused_elsewhere", reason=engine.reason)
    arguments = {"edition": made.edition, "file": str(folder / made.file)}
    try:
        with _opening:
            if not file.exists():
                answer = run_child(
                    "backend.engines.inspector", arguments, lambda news: None, lambda: None
                )
                layers = [layer.model_dump(mode="json") for layer in inspector_layers(answer)]
                unfinished = file.with_suffix(".part")
                unfinished.write_text(json.dumps(layers), encoding="utf-8")
                unfinished.replace(file)
    except (StudioError, ValueError) as error:
        return (), text("engine.unfused_problem", problem=str(error)[:300])
    return _read(file), None
