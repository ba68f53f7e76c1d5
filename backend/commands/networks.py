"""`engine look / run / text / export-language-model`: any ONNX file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.session import follow, with_worker
from backend.contracts import (
    InputShapes,
    LanguageExportRequest,
    LanguageExportResult,
    LookRequest,
    NetworkSource,
    NetworkView,
    RunRequest,
    RunResult,
    TextRequest,
    TextResult,
)
from backend.language import human_bytes
from backend.settings import load_settings
from backend.studio import Studio

OnnxFile = Annotated[
    str | None,
    typer.Option(
        "--onnx",
        metavar="FILE",
        help="An ONNX file: a path, a name in the home's onnx_files, or with --repo on the hub.",
    ),
]
HubRepo = Annotated[str | None, typer.Option(help="Hugging Face repository of the ONNX file.")]
ShapesOption = Annotated[
    str,
    typer.Option(help="Of an ONNX file: input=1x1:1x64:4x256,... (smallest : tuned : largest)."),
]
EngineId = Annotated[str, typer.Argument(metavar="ID")]


def source_of(file: str, repo: str | None) -> NetworkSource:
    """A relative path counts from here where there is such a file, else from `onnx_files`."""
    here = Path(file).expanduser().absolute()
    return NetworkSource(file=str(here) if repo is None and here.exists() else file, repo=repo)


def _result(submit: Callable[[Studio], str]) -> dict[str, Any]:
    studio = Studio(load_settings())
    with with_worker(studio):
        return follow(studio, submit(studio)).result or {}


def look(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    repo: HubRepo = None,
    as_json: Json = False,
) -> None:
    """What is in an ONNX file, and what TensorRT does not take of it."""
    with failing_plainly(as_json):
        request = LookRequest(source=source_of(file, repo))
        data = _result(lambda studio: studio.networks.look(request, None))
        answer(as_json, {"network": data}, _said(NetworkView.model_validate(data)))


def _said(view: NetworkView) -> str:
    weights = ", ".join(f"{human_bytes(size)} {kind}" for kind, size in view.weights.items())
    rows = [("", "name", "type", "shape", "proposed")]
    proposed = {each.name: _shapes(each) for each in view.profile}
    for side, tensors in (("in", view.inputs), ("out", view.outputs)):
        rows += [
            (side, each.name, each.type, _shape(each.shape), proposed.get(each.name, ""))
            for each in tensors
        ]
    problems = [
        (f"#{each.index}", each.operator, each.name, each.kind, each.reason)
        for each in view.problems
    ]
    return "\n\n".join(
        part
        for part in (
            f"{view.file}\nopset {view.opset}, {view.nodes} nodes, weights: {weights or 'none'}",
            table(rows),
            table([(name, str(count)) for name, count in view.operators.items()]),
            f"TensorRT ({view.edition or 'none here'}) refuses:\n{table(problems)}"
            if problems
            else "",
        )
        if part
    )


def _shape(shape: tuple[int | str, ...]) -> str:
    return "x".join(str(size) for size in shape) or "scalar"


def _shapes(each: InputShapes) -> str:
    return ":".join(_shape(shape) for shape in (each.min, each.opt, each.max))


def run(
    engine_id: EngineId,
    inputs: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Left out: random inputs.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Run an engine of an ONNX file beside the original in ONNX Runtime: error and latency."""
    with failing_plainly(as_json):
        given = str(inputs.absolute()) if inputs else None
        request = RunRequest(engine=engine_id, inputs=given, seed=seed)
        data = _result(lambda studio: studio.networks.run(request, None))
        result = RunResult.model_validate(data)
        rows = [
            (each.name, _shape(each.shape), f"{each.max_abs:.2e}", f"{each.relative_rms:.2e}")
            for each in result.outputs
        ]
        words = (
            f"engine {result.engine_ms:.2f} ms, original {result.reference_ms:.2f} ms "
            f"(median of {result.passes})\n"
        )
        header = ("output", "shape", "largest error", "relative error")
        answer(as_json, data, words + table([header, *rows]))


def text(
    engine_id: EngineId,
    prompt: Annotated[str, typer.Option()],
    tokens: Annotated[int, typer.Option(min=1, max=4096)] = 20,
    as_json: Json = False,
) -> None:
    """Greedy text from an engine of an exported language model, beside that of transformers."""
    with failing_plainly(as_json):
        request = TextRequest(engine=engine_id, prompt=prompt, tokens=tokens)
        data = _result(lambda studio: studio.networks.write(request, None))
        result = TextResult.model_validate(data)
        same = "the same as" if result.equal else "NOT the same as"
        words = f"{result.text}\n\n{len(result.tokens)} tokens, {same} transformers', "
        answer(as_json, data, f"{words}{result.tokens_per_s:.1f} tokens/s")


def export_language_model(
    model: Annotated[str, typer.Argument(metavar="FOLDER_OR_REPO")],
    name: Annotated[str | None, typer.Option(help="Of the folder in onnx_files.")] = None,
    revision: str = "main",
    as_json: Json = False,
) -> None:
    """Export GPT-2 or another decoder of transformers to ONNX, with its key-value cache."""
    with failing_plainly(as_json):
        given = str(Path(model).expanduser().absolute()) if Path(model).is_dir() else model
        request = LanguageExportRequest(model=given, name=name, revision=revision)
        data = _result(lambda studio: studio.networks.export_language_model(request, None))
        made = LanguageExportResult.model_validate(data)
        words = f"{made.file} ({human_bytes(made.size_bytes)}, off by {made.relative_error:.1e})"
        answer(as_json, data, words)
