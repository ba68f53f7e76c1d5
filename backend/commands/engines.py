"""`engine build / list / inspect / delete`."""

from collections import Counter
from typing import Annotated, Any

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.session import follow, with_worker
from backend.contracts import Engine, EngineRequest, Precision, Runtime
from backend.language import human_bytes, human_seconds
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="Engines: build, list, look inside, delete.", no_args_is_help=True)
EngineId = Annotated[str, typer.Argument(metavar="ID")]
FIELDS = {
    "id", "model", "module", "edition", "version", "target", "precision", "runtime", "size_bytes",
    "build_s", "layer_count", "profile", "relative_error",
}  # fmt: skip


def _as_data(engine: Engine) -> dict[str, Any]:
    return engine.manifest.model_dump(mode="json", include=FIELDS) | {
        "state": engine.state,
        "reason": engine.reason.render(),
    }


def _row(engine: Engine) -> tuple[str, ...]:
    made = engine.manifest
    return (
        made.id,
        engine.state,
        human_bytes(made.size_bytes),
        human_seconds(made.build_s),
        engine.reason.render(),
    )


@app.command()
def build(
    model: str = "demo-flux",
    precision: Precision = Precision.FP32,
    runtime: Runtime = Runtime.TENSORRT,
    module: Annotated[str | None, typer.Option(help="Left out: all of the model's.")] = None,
    target: Annotated[
        str | None, typer.Option(help="GPU to build for, like sm121; left out: this machine's.")
    ] = None,
    optimization_level: Annotated[int, typer.Option(min=0, max=5)] = 3,
    calibration_prompts: Annotated[int | None, typer.Option(min=1)] = None,
    calibration_steps: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: Json = False,
) -> None:
    """Build the engines of a model's variant. Those that are there already are kept."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        request = EngineRequest(
            model=model,
            precision=precision,
            runtime=runtime,
            module=module,
            target=target,
            optimization_level=optimization_level,
            calibration_prompts=calibration_prompts,
            calibration_steps=calibration_steps,
        )
        with with_worker(studio):
            job = follow(studio, studio.build_engine(request, None))
        ids = (job.result or {})["engines"]
        found = [engine for engine in studio.engines() if engine.manifest.id in ids]
        data = {"job": job.id, "engines": [_as_data(engine) for engine in found]}
        answer(as_json, data, table([_row(engine) for engine in found]))


@app.command("list")
def list_engines(as_json: Json = False) -> None:
    """Every engine, and where it stands on this machine."""
    with failing_plainly(as_json):
        found = Studio(load_settings()).engines()
        data = {"engines": [_as_data(engine) for engine in found]}
        answer(as_json, data, table([_row(engine) for engine in found]))


@app.command()
def inspect(engine_id: EngineId, as_json: Json = False) -> None:
    """The layers of an engine, and what precision each has."""
    with failing_plainly(as_json):
        view = Studio(load_settings()).inspect_engine(engine_id)
        layers = [layer.model_dump(mode="json") for layer in view.layers]
        data = {
            "engine": _as_data(view.engine) | {"layers": layers},
            "source": view.source,
            "fused": [layer.model_dump(mode="json") for layer in view.fused],
            "command": view.command,
        }
        counts = Counter((layer.kind, layer.precision) for layer in view.layers)
        sizes: Counter[tuple[str, str]] = Counter()
        for layer in view.layers:
            sizes[layer.kind, layer.precision] += layer.bytes
        rows = [
            (kind, precision, str(count), human_bytes(sizes[kind, precision]))
            for (kind, precision), count in counts.most_common()
        ]
        fused = ""
        if view.fused:
            fused = f"\n\n{len(view.layers)} layers before fusion, {len(view.fused)} after it."
        words = table([("kind", "precision", "layers", "weights"), *rows]) + fused
        answer(as_json, data, words)


@app.command()
def delete(
    engine_id: EngineId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete an engine."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        size = studio.inspect_engine(engine_id).engine.manifest.size_bytes
        if not yes and not as_json:
            typer.confirm(f"Delete {engine_id} ({human_bytes(size)})?", abort=True)
        freed = studio.delete_engine(engine_id)
        answer(as_json, {"freed_bytes": freed}, f"{human_bytes(freed)} freed.")
