"""`engine build / list / inspect / delete`, and those of backend/commands/networks.py."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands import networks
from backend.commands.networks import HubRepo, OnnxFile, ShapesOption, source_of
from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json, parse_size
from backend.commands.session import follow, with_worker
from backend.contracts import (
    Engine,
    EngineRequest,
    EngineSource,
    NetworkRequest,
    Precision,
    Runtime,
)
from backend.language import human_bytes, human_seconds
from backend.networks.profile import parse_shapes
from backend.quantize.prompts import read_prompts
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="Engines: build, list, look inside, delete.", no_args_is_help=True)
SIZES, BUILDER, CALIBRATION = "Sizes", "Builder", "Calibration (INT8, FP8, NVFP4)"
GIB = 1 << 30

for command in (networks.look, networks.run, networks.text, networks.export_language_model):
    app.command()(command)
EngineId = Annotated[str, typer.Argument(metavar="ID")]
FIELDS = {
    "id", "model", "module", "edition", "version", "target", "precision", "runtime", "size_bytes",
    "build_s", "layer_count", "profile", "shapes", "relative_error", "validated", "source",
    "onnx_source",
}  # fmt: skip


def _as_data(engine: Engine) -> dict[str, Any]:
    made = engine.manifest
    return made.model_dump(mode="json", include=FIELDS) | {
        "check": made.check and made.check.render(),
        "validation": made.validation and made.validation.render(),
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
        made.source,
        engine.reason.render(),
    )


def _kept(studio: Studio, file: Path) -> str:
    """Raises StudioError PROMPTS_UNREADABLE."""
    lines = read_prompts(file)
    return studio.engines.keep_prompts("\n".join(lines).encode(), str(file))


@app.command()
def build(
    model: str = "demo-flux",
    onnx: OnnxFile = None,
    repo: HubRepo = None,
    shapes: ShapesOption = "",
    precision: Annotated[
        Precision | None,
        typer.Option(help="Left out: FP32, or for an ONNX file as it says."),
    ] = None,
    runtime: Runtime = Runtime.TENSORRT,
    module: Annotated[str | None, typer.Option(help="Left out: all of the model's.")] = None,
    source: Annotated[
        EngineSource | None,
        typer.Option(help="Left out: ready ONNX where there is some and the weights are not here."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="GPU to build for, like sm121; left out: this machine's.")
    ] = None,
    min_side: Annotated[
        int | None, typer.Option(help="Smallest side in pixels.", rich_help_panel=SIZES)
    ] = None,
    max_side: Annotated[
        int | None, typer.Option(help="Largest side in pixels.", rich_help_panel=SIZES)
    ] = None,
    opt_size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size it is tuned for.", rich_help_panel=SIZES),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Pictures at once, at the most.", rich_help_panel=SIZES)
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="For one size only.", rich_help_panel=SIZES)
    ] = False,
    optimization_level: Annotated[
        int, typer.Option(help="0 (fast build) to 5.", rich_help_panel=BUILDER)
    ] = 3,
    workspace: Annotated[
        float | None,
        typer.Option(metavar="GIB", help="Memory for a layer's scratch.", rich_help_panel=BUILDER),
    ] = None,
    weight_streaming: Annotated[
        bool, typer.Option("--weight-streaming", rich_help_panel=BUILDER)
    ] = False,
    refit: Annotated[bool, typer.Option("--refit", rich_help_panel=BUILDER)] = False,
    level: Annotated[
        float | None,
        typer.Option(help="What is quantised: 1, 2, 2.5, 3 or 4.", rich_help_panel=CALIBRATION),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(help="SmoothQuant (INT8), 0 to 1.", rich_help_panel=CALIBRATION),
    ] = None,
    percentile: Annotated[
        float | None,
        typer.Option(help="Of convolutions' inputs (INT8).", rich_help_panel=CALIBRATION),
    ] = None,
    calibration_prompts: Annotated[
        int | None, typer.Option(help="Pictures to watch.", rich_help_panel=CALIBRATION)
    ] = None,
    calibration_steps: Annotated[
        int | None, typer.Option(help="Steps of each.", rich_help_panel=CALIBRATION)
    ] = None,
    calibration_file: Annotated[
        Path | None,
        typer.Option(help="Prompts of your own, one a line.", rich_help_panel=CALIBRATION),
    ] = None,
    as_json: Json = False,
) -> None:
    """Build the engines of a model's variant, or that of an ONNX file, fetching first what they are
    built from. Those that are there already are kept."""
    if onnx is None and (repo or shapes):
        raise typer.BadParameter("--repo and --shapes go with --onnx")
    of_a_model = (module, source, min_side, max_side, opt_size, batch, static or None)
    calibrated = (
        level,
        alpha,
        percentile,
        calibration_prompts,
        calibration_steps,
        calibration_file,
    )
    if onnx is not None and any(value is not None for value in (*of_a_model, *calibrated)):
        raise typer.BadParameter(
            "an ONNX file has no modules, has --shapes for its sizes, and is not calibrated"
        )
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if onnx is not None:
            network = NetworkRequest(
                source=source_of(onnx, repo),
                precision=precision,
                runtime=runtime,
                target=target,
                shapes=parse_shapes(shapes),
                optimization_level=optimization_level,
            )
            _build(studio, lambda: studio.networks.build(network, None), as_json)
            return
        width, height = parse_size(opt_size) if opt_size else (None, None)
        profile = studio.engines.profile(
            model,
            min_side=min_side,
            max_side=max_side,
            opt_width=width,
            opt_height=height,
            batch=batch,
            static=static,
        )
        prompts = None if calibration_file is None else _kept(studio, calibration_file)
        asked = EngineRequest(
            model=model,
            precision=precision or Precision.FP32,
            runtime=runtime,
            module=module,
            source=source,
            target=target,
            profile=profile,
            optimization_level=optimization_level,
            workspace_bytes=None if workspace is None else int(workspace * GIB),
            weight_streaming=weight_streaming,
            refit=refit,
            level=level,
            smoothquant_alpha=alpha,
            percentile=percentile,
            prompts=prompts,
            calibration_prompts=calibration_prompts,
            calibration_steps=calibration_steps,
        )
        _build(studio, lambda: studio.engines.build(asked, None), as_json)


def _build(studio: Studio, submit: Callable[[], str], as_json: bool) -> None:
    with with_worker(studio):
        job = follow(studio, submit())
    ids = (job.result or {})["engines"]
    found = [engine for engine in studio.engines.all() if engine.manifest.id in ids]
    data = {"job": job.id, "engines": [_as_data(engine) for engine in found]}
    answer(as_json, data, table([_row(engine) for engine in found]))


@app.command("list")
def list_engines(as_json: Json = False) -> None:
    """Every engine, and where it stands on this machine."""
    with failing_plainly(as_json):
        found = Studio(load_settings()).engines.all()
        data = {"engines": [_as_data(engine) for engine in found]}
        answer(as_json, data, table([_row(engine) for engine in found]))


@app.command()
def inspect(engine_id: EngineId, as_json: Json = False) -> None:
    """The layers of an engine, and what precision each has."""
    with failing_plainly(as_json):
        view = Studio(load_settings()).engines.inspect(engine_id)
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
        size = studio.engines.inspect(engine_id).engine.manifest.size_bytes
        if not yes and not as_json:
            typer.confirm(f"Delete {engine_id} ({human_bytes(size)})?", abort=True)
        freed = studio.engines.delete(engine_id)
        answer(as_json, {"freed_bytes": freed}, f"{human_bytes(freed)} freed.")
