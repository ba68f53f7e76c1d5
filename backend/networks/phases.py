"""The phases of the jobs on ONNX files: look, convert, build; run; export and write."""

import time
from pathlib import Path
from typing import Any

from backend.contracts import (
    Engine,
    EngineResult,
    EngineState,
    LanguageExportRequest,
    NetworkRequest,
    NetworkView,
    RunRequest,
    Runtime,
    TextRequest,
)
from backend.engines import cache
from backend.engines.host import edition_for, this_host
from backend.engines.plan import default_target
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import text
from backend.models.pool import ModelPool
from backend.networks.files import file_to_write, mark_now
from backend.networks.plan import NetworkBuild, manifest_of, plan_network
from backend.settings import Settings

Results = dict[str, Any]
PLAN = "engine.plan"
BUILD_SHARE = 3
"""Memory of a build over the file's size: the weights as read, in the network, and in the plan."""
EXPORT_SHARE = 3
"""Of an export over its weights: the model, its export, and the check of that."""


def look(context: JobContext, file: str, digest: bool = False) -> Results:
    """What `backend.networks.look` answers; the parser is asked unless it is to be built at once,
    which tells the same."""
    context.report("look")
    arguments = {"file": file, "edition": None if digest else _parser(), "digest": digest}
    found: Results = run_child("backend.networks.look", arguments, lambda news: None, context.check)
    return found


def look_only(context: JobContext, file: str) -> Results:
    view: Results = look(context, file)["view"]
    return view


def _parser() -> str | None:
    host = this_host()
    try:
        return edition_for(Runtime.TENSORRT, default_target(Runtime.TENSORRT, host), host)
    except StudioError:
        return "rtx" if "rtx" in host.versions else None


def build_of(context: JobContext, looked: Results) -> NetworkBuild:
    request = NetworkRequest.model_validate(context.row.request)
    view = NetworkView.model_validate(looked["view"])
    return plan_network(request, view, looked["digest"], this_host())


def convert(context: JobContext, settings: Settings, looked: Results) -> Results:
    """The network to build from, unless the engine is there already."""
    build = build_of(context, looked)
    host = this_host()
    usable = {one.manifest.id for one in cache.list_engines(settings, host) if one.usable}
    if build.key.id in usable:
        return {}
    context.report("convert")
    arguments = {
        "file": looked["view"]["file"],
        "folder": str(_work(context, settings)),
        "precision": build.conversion,
        "copy": build.key.runtime is Runtime.ONNXRUNTIME,
    }
    made = run_child(
        "backend.networks.convert",
        arguments,
        lambda news: context.report("convert", news["step"], news["total"]),
        context.check,
    )
    return {"file": made}


def _work(context: JobContext, settings: Settings) -> Path:
    return settings.home / "engines" / f".{context.row.id}"


def build(
    context: JobContext, settings: Settings, pool: ModelPool, looked: Results, converted: Results
) -> Results:
    """Build, and make the finished engine one of those listed."""
    planned = build_of(context, looked)
    work = _work(context, settings)
    if converted:
        needed = BUILD_SHARE * int(looked["view"]["size_bytes"])
        with context.memory(pool, f"build {planned.key.model}", needed):
            made = _build(context, settings, planned, Path(converted["file"]), work)
        source = looked["view"]["file"]
        if mark_now(source, looked["mark"]) != looked["mark"]:
            raise StudioError(Code.ONNX_CHANGED, file=source)
        kept = {made["file"], cache.LAYERS, cache.data_file(work / made["file"]).name}
        for file in work.iterdir():
            if file.name not in kept:
                file.unlink()
        cache.register(settings, manifest_of(planned, looked, made, time.time()), work)
    result = EngineResult(engines=(planned.key.id,), built=int(bool(converted)))
    return result.model_dump(mode="json")


def _build(
    context: JobContext, settings: Settings, planned: NetworkBuild, file: Path, work: Path
) -> Results:
    key = planned.key
    context.report("build", message=text("job.building", module=key.model))
    made: Results
    if key.runtime is Runtime.ONNXRUNTIME:
        arguments = {"file": str(file), "precision": key.precision}
        made = run_child("backend.networks.session", arguments, lambda news: None, context.check)
        return made | {"file": file.name}
    part = f"{key.edition}-{key.version}-{key.gpu or key.target}"
    request = NetworkRequest.model_validate(context.row.request)
    made = run_child(
        "backend.engines.build",
        {
            "edition": key.edition,
            "onnx": str(file),
            "plan": str(work / PLAN),
            "shapes": {name: list(shapes) for name, shapes in planned.shapes.items()},
            "target": key.target,
            "optimization_level": request.optimization_level,
            "workspace_bytes": None,
            "weight_streaming": False,
            "refit": False,
            "timing_cache": str(settings.home / "timing" / part.replace(" ", "-")),
        },
        lambda news: context.report("build", news["step"], news["total"]),
        context.check,
    )
    return made | {"file": PLAN}


def run(context: JobContext, settings: Settings, pool: ModelPool) -> Results:
    request = RunRequest.model_validate(context.row.request)
    engine = runnable(settings, request.engine)
    context.report("compare")

    def on_news(news: Results) -> None:
        key = "job.running_engine" if news["engine"] else "job.running_reference"
        context.report("compare", news["step"], news["total"], message=text(key))

    arguments = _engine_arguments(settings, engine) | {
        "inputs": request.inputs,
        "seed": request.seed,
    }
    with context.memory(pool, f"run {engine.manifest.model}", _running_bytes(engine)):
        found: Results = run_child("backend.networks.run", arguments, on_news, context.check)
    return found


def write(context: JobContext, settings: Settings, pool: ModelPool) -> Results:
    request = TextRequest.model_validate(context.row.request)
    engine = runnable(settings, request.engine)
    context.report("write")
    arguments = _engine_arguments(settings, engine) | {
        "prompt": request.prompt,
        "tokens": request.tokens,
    }
    with context.memory(pool, f"write {engine.manifest.model}", _running_bytes(engine)):
        found: Results = run_child(
            "backend.networks.write",
            arguments,
            lambda news: context.report("write", news["step"], news["total"]),
            context.check,
        )
    return found


def _running_bytes(engine: Engine) -> int:
    """Memory of an engine and of the original beside it, with the original's packed weights."""
    assert engine.manifest.onnx_source is not None
    return engine.manifest.size_bytes + 2 * cache.size_of(Path(engine.manifest.onnx_source))


def _engine_arguments(settings: Settings, engine: Engine) -> Results:
    manifest = engine.manifest
    folder = cache.folder_of(settings, manifest.id)
    return {"manifest": manifest.model_dump(mode="json"), "folder": str(folder)}


def runnable(settings: Settings, engine_id: str) -> Engine:
    """An engine of an ONNX file that runs here now. Raises StudioError ENGINE_NOT_FOUND,
    ENGINE_NOT_RUNNABLE."""
    engine = cache.find_engine(settings, engine_id, this_host())
    if engine.manifest.onnx_source is None:
        reason = text("engine.not_of_a_file")
        raise StudioError(Code.ENGINE_NOT_RUNNABLE, engine=engine_id, reason=reason)
    if engine.state is not EngineState.VALID:
        raise StudioError(Code.ENGINE_NOT_RUNNABLE, engine=engine_id, reason=engine.reason)
    return engine


def export_language_model(
    context: JobContext, settings: Settings, pool: ModelPool, folder: str
) -> Results:
    request = LanguageExportRequest.model_validate(context.row.request)
    context.report("export")
    name = request.name or Path(request.model).name
    weights = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))
    with context.memory(pool, f"export {name}", EXPORT_SHARE * weights):
        found: Results = run_child(
            "backend.networks.language",
            {"model": folder, "folder": str(file_to_write(settings, name))},
            lambda news: context.report("export", news["step"], news["total"]),
            context.check,
        )
    return found
