"""How long each layer of an engine takes, measured in a child process."""

import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.contracts import (
    EngineManifest,
    EngineState,
    Runtime,
    Shapes,
    TensorView,
    TimesRequest,
)
from backend.engines import cache
from backend.engines.cache import TIMES
from backend.engines.host import this_host
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main, run_child
from backend.language import text
from backend.settings import Settings

if TYPE_CHECKING:
    from backend.jobs.context import JobContext
    from backend.models.pool import ModelPool

WARM_UP, RUNS = 2, 10
MEMORY_SHARE = 2
"""Of memory over the engine's size, for weights packed anew and activations: a guess."""


def timeable(settings: Settings, engine_id: str) -> EngineManifest:
    """An engine that runs here now and whose tuned sizes are known.

    Raises StudioError ENGINE_NOT_FOUND, ENGINE_NOT_RUNNABLE.
    """
    engine = cache.find_engine(settings, engine_id, this_host())
    if engine.state is not EngineState.VALID:
        raise StudioError(Code.ENGINE_NOT_RUNNABLE, engine=engine_id, reason=engine.reason)
    if not engine.manifest.shapes:
        reason = text("engine.shapes_older")
        raise StudioError(Code.ENGINE_NOT_RUNNABLE, engine=engine_id, reason=reason)
    return engine.manifest


def time_layers(context: "JobContext", settings: Settings, pool: "ModelPool") -> dict[str, Any]:
    """Measure the layers on random inputs of the tuned sizes, and keep what was found beside the
    engine. Raises what `timeable` and the runtimes raise."""
    manifest = timeable(settings, TimesRequest.model_validate(context.row.request).engine)
    folder = cache.folder_of(settings, manifest.id)
    context.report("times", 0, WARM_UP + RUNS)
    arguments = {"manifest": manifest.model_dump(mode="json"), "folder": str(folder)}
    needed = MEMORY_SHARE * manifest.size_bytes
    with context.memory(pool, f"times {manifest.id}", needed):
        found: dict[str, float] = run_child(
            "backend.engines.times",
            arguments,
            lambda news: context.report("times", news["step"], news["total"]),
            context.check,
        )
    unfinished = folder / f"{TIMES}.part"
    unfinished.write_text(json.dumps(found), encoding="utf-8")
    unfinished.replace(folder / TIMES)
    return {"engine": manifest.id, "total_ms": sum(found.values())}


def measure(arguments: dict[str, Any], tell: News) -> dict[str, float]:
    """The median milliseconds of each layer by name, of an engine on this machine."""
    manifest = EngineManifest.model_validate(arguments["manifest"])
    file = Path(arguments["folder"]) / manifest.file
    on_cpu = manifest.runtime is Runtime.ONNXRUNTIME
    times = (_in_onnxruntime if on_cpu else _in_tensorrt)(file, manifest, tell)
    return {name: statistics.median(each[WARM_UP:]) for name, each in times.items()}


def _in_onnxruntime(file: Path, manifest: EngineManifest, tell: News) -> dict[str, list[float]]:
    from backend.engines.runtimes import ort

    with tempfile.TemporaryDirectory() as folder:
        int8 = ort.multiplies_integers(manifest.precision)
        session = ort.open_session(file, int8, profile=Path(folder) / "times")
        inputs = _inputs(ort.input_types(session), manifest.shapes)
        for done in range(WARM_UP + RUNS):
            tell({"step": done, "total": WARM_UP + RUNS})
            ort.run_session(session, inputs)
        return ort.node_times(session)


def _in_tensorrt(file: Path, manifest: EngineManifest, tell: News) -> dict[str, list[float]]:
    """Not yet verified on hardware."""
    import torch

    from backend.engines.runtimes import trt

    times: dict[str, list[float]] = {}
    engine = trt.load(file, manifest.edition, torch.device("cuda", 0), times=times)
    inputs = _inputs(engine.input_types, manifest.shapes)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    for done in range(WARM_UP + RUNS):
        tell({"step": done, "total": WARM_UP + RUNS})
        engine(tensors)
        torch.cuda.synchronize()
    return times


def _inputs(types: dict[str, str], shapes: Shapes) -> dict[str, Any]:
    from backend.networks.feeds import random_inputs

    views = [TensorView(name=name, type=kind, shape=()) for name, kind in types.items()]
    return random_inputs(views, shapes, seed=0)


if __name__ == "__main__":
    child_main(measure)
