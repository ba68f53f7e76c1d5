"""`engine build`: of a model's variant, or of an ONNX file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.engine_words import as_data, rows_of
from backend.commands.networks import HubRepo, OnnxFile, ShapesOption, source_of
from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json, parse_size
from backend.commands.session import follow, with_worker
from backend.contracts import EngineRequest, EngineSource, NetworkRequest, Precision, Runtime
from backend.networks.profile import parse_shapes
from backend.quantize.prompts import read_prompts
from backend.settings import load_settings
from backend.studio import Studio

GIB = 1 << 30


def _option(panel: str, words: str | None, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=words, metavar=metavar, rich_help_panel=panel)


SIZES, BUILDER, CALIBRATION = "Sizes", "Builder", "Calibration (INT8, FP8, NVFP4)"

OptionalPrecision = Annotated[
    Precision | None, typer.Option(help="Left out: FP32, or for an ONNX file as it says.")
]
Module = Annotated[str | None, typer.Option(help="Left out: all of the model's.")]
Source = Annotated[
    EngineSource | None,
    typer.Option(help="Left out: ready ONNX where there is some and the weights are not here."),
]
Target = Annotated[
    str | None, typer.Option(help="GPU to build for, like sm121; left out: this machine's.")
]
MinSide = Annotated[int | None, _option(SIZES, "Smallest side in pixels.")]
MaxSide = Annotated[int | None, _option(SIZES, "Largest side in pixels.")]
OptSize = Annotated[str | None, _option(SIZES, "Size it is tuned for.", metavar="WxH")]
Batch = Annotated[int | None, _option(SIZES, "Pictures at once, at the most.")]
Static = Annotated[bool, _option(SIZES, "For one size only, that of --opt-size.", "--static")]
OptimizationLevel = Annotated[int, _option(BUILDER, "0 (fast build) to 5.")]
Workspace = Annotated[
    float | None, _option(BUILDER, "Memory for a layer's scratch.", metavar="GIB")
]
WeightStreaming = Annotated[bool, _option(BUILDER, None, "--weight-streaming")]
Refit = Annotated[bool, _option(BUILDER, None, "--refit")]
Level = Annotated[float | None, _option(CALIBRATION, "What is quantised: 1, 2, 2.5, 3 or 4.")]
Alpha = Annotated[float | None, _option(CALIBRATION, "SmoothQuant (INT8), 0 to 1.")]
Percentile = Annotated[float | None, _option(CALIBRATION, "Of convolutions' inputs (INT8).")]
Prompts = Annotated[int | None, _option(CALIBRATION, "Pictures to watch.")]
Steps = Annotated[int | None, _option(CALIBRATION, "Steps of each.")]
PromptsFile = Annotated[Path | None, _option(CALIBRATION, "Prompts of your own, one a line.")]


def build(
    model: str = "demo-flux",
    onnx: OnnxFile = None,
    repo: HubRepo = None,
    shapes: ShapesOption = "",
    precision: OptionalPrecision = None,
    runtime: Runtime = Runtime.TENSORRT,
    module: Module = None,
    source: Source = None,
    target: Target = None,
    min_side: MinSide = None,
    max_side: MaxSide = None,
    opt_size: OptSize = None,
    batch: Batch = None,
    static: Static = False,
    optimization_level: OptimizationLevel = 3,
    workspace: Workspace = None,
    weight_streaming: WeightStreaming = False,
    refit: Refit = False,
    level: Level = None,
    alpha: Alpha = None,
    percentile: Percentile = None,
    calibration_prompts: Prompts = None,
    calibration_steps: Steps = None,
    calibration_file: PromptsFile = None,
    as_json: Json = False,
) -> None:
    """Build the engines of a model's variant, or that of an ONNX file, fetching first what they are
    built from. Those that are there already are kept."""
    builder = {
        "workspace_bytes": None if workspace is None else int(workspace * GIB),
        "weight_streaming": weight_streaming,
        "refit": refit,
    }
    sizes = {"min_side": min_side, "max_side": max_side, "batch": batch, "static": static}
    calibration = {
        "level": level,
        "smoothquant_alpha": alpha,
        "percentile": percentile,
        "calibration_prompts": calibration_prompts,
        "calibration_steps": calibration_steps,
    }
    asked = {
        "precision": precision,
        "runtime": runtime,
        "target": target,
        "optimization_level": optimization_level,
    }
    of_a_model = (module, source, opt_size, *sizes.values(), *calibration.values())
    _refuse_mixtures(onnx, (repo, shapes), (*of_a_model, calibration_file))
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if onnx is not None:
            network = NetworkRequest(
                source=source_of(onnx, repo), shapes=parse_shapes(shapes), **asked
            )
            _build(studio, lambda: studio.networks.build(network, None), as_json)
            return
        width, height = parse_size(opt_size) if opt_size else (None, None)
        request = EngineRequest(
            model=model,
            module=module,
            source=source,
            profile=studio.engines.profile(model, opt_width=width, opt_height=height, **sizes),
            prompts=None if calibration_file is None else _kept(studio, calibration_file),
            **asked | {"precision": precision or Precision.FP32},
            **builder,
            **calibration,
        )
        _build(studio, lambda: studio.engines.build(request, None), as_json)


def _refuse_mixtures(
    onnx: str | None, of_a_file: tuple[object, ...], of_a_model: tuple[object, ...]
) -> None:
    """Refuse options that say nothing of what is built. Raises typer.BadParameter."""
    if onnx is None and any(of_a_file):
        raise typer.BadParameter("--repo and --shapes go with --onnx")
    if onnx is not None and any(value is not None and value is not False for value in of_a_model):
        raise typer.BadParameter(
            "an ONNX file has no modules, has --shapes for its sizes, and is not calibrated"
        )


def _kept(studio: Studio, file: Path) -> str:
    """Raises StudioError PROMPTS_UNREADABLE."""
    lines = read_prompts(file)
    return studio.engines.keep_prompts("\n".join(lines).encode(), str(file))


def _build(studio: Studio, submit: Callable[[], str], as_json: bool) -> None:
    with with_worker(studio):
        job = follow(studio, submit())
    ids = (job.result or {})["engines"]
    found = [engine for engine in studio.engines.all() if engine.manifest.id in ids]
    data = {"job": job.id, "engines": [as_data(engine) for engine in found]}
    answer(as_json, data, table(rows_of(found)))
