"""Open an ONNX file in ONNX Runtime, as running it will, in a child process."""

import time
from pathlib import Path
from typing import Any

import onnx

from backend.engines.cache import sha256_of
from backend.engines.runtimes.ort import open_session
from backend.jobs.children import News, child_main


def try_onnx(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    file = Path(arguments["onnx"])
    started = time.perf_counter()
    open_session(file, arguments["int8"])
    seconds = time.perf_counter() - started
    return {
        "build_s": seconds,
        "layer_count": len(onnx.load(str(file), load_external_data=False).graph.node),
        "size_bytes": file.stat().st_size,
        "sha256": sha256_of(file),
    }


if __name__ == "__main__":
    child_main(try_onnx)
