"""Open an ONNX file in ONNX Runtime and run it once, as running it will, in a child process."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from backend.engines.cache import sha256_of, size_of
from backend.engines.runtimes.ort import open_session, run_session
from backend.engines.weights import check_data, load_graph
from backend.jobs.children import News, child_main


def try_onnx(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Open `onnx`; where there is a `reference` (see check.py), run it on its inputs.

    Raises StudioError ONNX_DATA_INVALID.
    """
    file = Path(arguments["onnx"])
    graph = load_graph(file)
    check_data(graph, file.parent)
    started = time.perf_counter()
    session = open_session(file, arguments["int8"])
    seconds = time.perf_counter() - started
    error = None
    if Path(arguments["reference"]).is_file():
        known = load_file(arguments["reference"])
        inputs = {value.name: known[f"input.{value.name}"] for value in session.get_inputs()}
        found = run_session(session, inputs)
        error = max(_error(out, known[f"output.{i}"]) for i, out in enumerate(found))
    return {
        "build_s": seconds,
        "layer_count": len(graph.graph.node),
        "size_bytes": size_of(file),
        "sha256": sha256_of(file),
        "validation_error": error,
    }


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    """As check.py has it."""
    difference = found.astype(np.float32) - wanted
    return float(np.sqrt(np.square(difference).mean()) / np.sqrt(np.square(wanted).mean()))


if __name__ == "__main__":
    child_main(try_onnx)
