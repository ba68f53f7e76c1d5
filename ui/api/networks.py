"""The public API's endpoints for ONNX files."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from backend.contracts import (
    LanguageExportRequest,
    LookRequest,
    NetworkRequest,
    RunRequest,
    TextRequest,
)
from ui.api.answers import valid
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def network_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
    networks = studio.networks

    def look_onnx(request: gr.Request, file: str, repo: str | None = None) -> News:
        """What is in an ONNX file (a path on the server, a name in `onnx_files`, or a file of a
        Hugging Face repository), and what TensorRT refuses of it."""
        source = {"file": file, "repo": repo}
        values = {"source": source}
        yield from follow(request, lambda owner: networks.look(valid(LookRequest, values), owner))

    def build_onnx(
        request: gr.Request,
        file: str,
        repo: str | None = None,
        precision: str | None = None,
        runtime: str = "tensorrt",
        target: str | None = None,
        shapes: dict[str, list[list[int]]] | None = None,
    ) -> News:
        """Build an engine from an ONNX file. `shapes` gives smallest, tuned and largest by input;
        without, sensible ones are taken."""
        named = [
            {"name": name, **dict(zip(("min", "opt", "max"), bounds))}
            for name, bounds in (shapes or {}).items()
        ]
        values = {
            "source": {"file": file, "repo": repo},
            "precision": precision,
            "runtime": runtime,
            "target": target,
            "shapes": named,
        }
        yield from follow(
            request, lambda owner: networks.build(valid(NetworkRequest, values), owner)
        )

    def run_engine(
        request: gr.Request, engine: str, inputs: str | None = None, seed: int = 0
    ) -> News:
        """Run an engine of an ONNX file beside the original in ONNX Runtime: error and latency.
        `inputs` is an .npz file on the server."""
        values = {"engine": engine, "inputs": inputs, "seed": seed}
        yield from follow(request, lambda owner: networks.run(valid(RunRequest, values), owner))

    def export_language_model(request: gr.Request, model: str, name: str | None = None) -> News:
        """Export a causal language model of transformers to ONNX with its key-value cache."""
        values = {"model": model, "name": name}
        yield from follow(
            request,
            lambda owner: networks.export_language_model(
                valid(LanguageExportRequest, values), owner
            ),
        )

    def engine_text(request: gr.Request, engine: str, prompt: str, tokens: int = 20) -> News:
        """Greedy text from an engine of an exported language model, beside transformers'."""
        values = {"engine": engine, "prompt": prompt, "tokens": tokens}
        yield from follow(request, lambda owner: networks.write(valid(TextRequest, values), owner))

    return look_onnx, build_onnx, run_engine, export_language_model, engine_text
