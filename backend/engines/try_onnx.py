"""Open an ONNX file in ONNX Runtime, as running it will, in a child process.

What its optimiser makes of the graph is kept beside the file: the view after fusion.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import onnx

from backend.engines.cache import FUSED, sha256_of
from backend.engines.fused import fused_layers
from backend.engines.runtimes.ort import open_session
from backend.jobs.children import News, child_main


def try_onnx(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    file = Path(arguments["onnx"])
    network = onnx.load(str(file), load_external_data=False)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".fused-") as folder:
        optimized = Path(folder) / "optimized.onnx"
        started = time.perf_counter()
        open_session(file, arguments["int8"], optimized)
        seconds = time.perf_counter() - started
        fused = fused_layers(network, onnx.load(str(optimized), load_external_data=False))
    content = json.dumps([layer.model_dump(mode="json") for layer in fused])
    (file.parent / FUSED).write_text(content, encoding="utf-8")
    return {
        "build_s": seconds,
        "layer_count": len(network.graph.node),
        "size_bytes": file.stat().st_size,
        "sha256": sha256_of(file),
    }


if __name__ == "__main__":
    child_main(try_onnx)
