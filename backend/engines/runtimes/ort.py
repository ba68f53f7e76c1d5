"""ONNX Runtime on the CPU: runs the same ONNX that TensorRT builds from."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import torch

Run = Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, ...]]

ERRORS_ONLY = 3
WEIGHT_BYTES = "1024"
"""From this size on an optimised graph's weights are written beside it."""


def open_session(
    file: Path, int8: bool, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """`int8` lets Q/DQ pairs become integer products; the FP8 ones have no such kernels, and
    ONNX Runtime would try (docs/notes.md). `optimized` gets the graph as it is run, its weights in
    a file beside it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not int8:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
        weights = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{weights}_file_name", f"{optimized.name}.data")
        options.add_session_config_entry(f"{weights}_min_size_in_bytes", WEIGHT_BYTES)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def load(file: Path, int8: bool) -> Run:
    """The model in `file` as a function of named CPU tensors, in the order of its outputs."""
    session = open_session(file, int8)
    names = {value.name: value.type for value in session.get_inputs()}

    def run(inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        feeds = {name: _array(inputs[name], kind) for name, kind in names.items()}
        return tuple(torch.from_numpy(out) for out in session.run(None, feeds))

    return run


def _array(tensor: torch.Tensor, kind: str) -> np.ndarray:
    array = tensor.detach().contiguous().numpy()
    return array.astype(np.int32) if kind == "tensor(int32)" else array
