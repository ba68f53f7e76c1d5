"""Open an ONNX file in ONNX Runtime and run it once, as running it will, in a child process.

What its optimiser makes of the graph is kept beside the file: the view after fusion.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession
from safetensors.numpy import load_file

from backend.contracts import Precision
from backend.engines.cache import FUSED, sha256_of, size_of
from backend.engines.fused import fused_layers
from backend.engines.runtimes.ort import multiplies_integers, open_session, run_session
from backend.engines.weights import check_data, load_graph
from backend.jobs.children import News, child_main


def try_onnx(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Open `onnx`; where there is a `reference` (see check.py), run it on its inputs.

    Raises StudioError ONNX_DATA_*.
    """
    file = Path(arguments["onnx"])
    network = load_graph(file)
    check_data(network, file.parent)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".fused-") as folder:
        optimized = Path(folder) / "optimized.onnx"
        started = time.perf_counter()
        session = open_session(
            file, multiplies_integers(Precision(arguments["precision"])), optimized=optimized
        )
        seconds = time.perf_counter() - started
        fused = fused_layers(network, load_graph(optimized))
        error = _validation_error(session, Path(arguments["reference"]))
    content = json.dumps([layer.model_dump(mode="json") for layer in fused])
    (file.parent / FUSED).write_text(content, encoding="utf-8")
    return {
        "build_s": seconds,
        "layer_count": len(network.graph.node),
        "size_bytes": size_of(file),
        "sha256": sha256_of(file),
        "validation_error": error,
    }


def _validation_error(session: InferenceSession, reference: Path) -> float | None:
    """Of the outputs on the inputs in `reference`; None where there is none."""
    if not reference.is_file():
        return None
    known = load_file(reference)
    inputs = {value.name: known[f"input.{value.name}"] for value in session.get_inputs()}
    found = run_session(session, inputs)
    return max(_error(out, known[f"output.{i}"]) for i, out in enumerate(found))


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    """As check.py has it."""
    difference = found.astype(np.float32) - wanted
    return float(np.sqrt(np.square(difference).mean()) / np.sqrt(np.square(wanted).mean()))


if __name__ == "__main__":
    child_main(try_onnx)
