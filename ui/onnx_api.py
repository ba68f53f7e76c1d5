"""The public API's endpoints for ONNX files. They follow a job to its end: they yield it as it
proceeds, and the last one has its `result`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.contracts import (
    LanguageExportRequest,
    LookRequest,
    NetworkRequest,
    RunRequest,
    TextRequest,
)

if TYPE_CHECKING:
    from backend.studio import Studio

News = Iterator[dict[str, Any]]
Follow = Callable[[gr.Request, type[Any], dict[str, Any], Callable[[Any, str], str]], News]


def onnx_endpoints(studio: "Studio", follow: Follow) -> dict[str, Callable[..., News]]:
    """By name. `follow` makes a request of values, submits it for who asks, and yields the job."""

    def look_onnx(request: gr.Request, file: str, repo: str | None = None) -> News:
        """What is in an ONNX file (a path on the server, a name in `onnx_files`, or a file of a
        Hugging Face repository), and what TensorRT refuses of it."""
        source = {"file": file, "repo": repo}
        yield from follow(request, LookRequest, {"source": source}, studio.networks.look)

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
        yield from follow(request, NetworkRequest, values, studio.networks.build)

    def run_engine(
        request: gr.Request, engine: str, inputs: str | None = None, seed: int = 0
    ) -> News:
        """Run an engine of an ONNX file beside the original in ONNX Runtime: error and latency.
        `inputs` is an .npz file on the server."""
        values = {"engine": engine, "inputs": inputs, "seed": seed}
        yield from follow(request, RunRequest, values, studio.networks.run)

    def export_language_model(request: gr.Request, model: str, name: str | None = None) -> News:
        """Export a causal language model of transformers to ONNX with its key-value cache."""
        values = {"model": model, "name": name}
        export = studio.networks.export_language_model
        yield from follow(request, LanguageExportRequest, values, export)

    def engine_text(request: gr.Request, engine: str, prompt: str, tokens: int = 20) -> News:
        """Greedy text from an engine of an exported language model, beside transformers'."""
        values = {"engine": engine, "prompt": prompt, "tokens": tokens}
        yield from follow(request, TextRequest, values, studio.networks.write)

    found = (look_onnx, build_onnx, run_engine, export_language_model, engine_text)
    return {function.__name__: function for function in found}
