"""ONNX Runtime on the CPU: runs the same ONNX that TensorRT builds from."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from backend.contracts import Precision

if TYPE_CHECKING:
    import torch

Run = Callable[[Mapping[str, "torch.Tensor"]], tuple["torch.Tensor", ...]]

ERRORS_ONLY = 3
COPYING = ["ConstantFolding", "TransposeOptimizer"]
WEIGHT_BYTES = "1024"
"""From this size on an optimised graph's weights are written beside it."""
NUMPY_NAMES = {"float": "float32", "double": "float64"}
"""Of element types that ONNX Runtime calls otherwise."""
KERNEL_MARK = "_kernel_time"
"""How ONNX Runtime's profile calls the computing of a node."""


def multiplies_integers(precision: Precision) -> bool:
    """Whether Q/DQ pairs may become integer products: all but the FP8 ones, which have no such
    kernels though ONNX Runtime would try (docs/notes.md)."""
    return precision is not Precision.FP8


def open_session(
    file: Path,
    int8: bool,
    lean: bool = False,
    optimized: Path | None = None,
    profile: Path | None = None,
) -> onnxruntime.InferenceSession:
    """`int8` lets Q/DQ pairs become integer products, see `multiplies_integers`. `lean` keeps
    weights in the mapped file as they are, for one run: neither widened nor packed beforehand.
    `optimized` gets the graph as it is run, its weights in a file beside it. `profile` begins the
    name of a file that gets the time of every node in every run."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not int8:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if lean:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
        weights = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{weights}_file_name", f"{optimized.name}.data")
        options.add_session_config_entry(f"{weights}_min_size_in_bytes", WEIGHT_BYTES)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(
        str(file),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=COPYING if lean else None,
    )


def input_types(session: onnxruntime.InferenceSession) -> dict[str, str]:
    """What NumPy calls the type of each input: `tensor(int64)` is int64."""
    inner = {one.name: one.type[len("tensor(") : -1] for one in session.get_inputs()}
    return {name: NUMPY_NAMES.get(kind, kind) for name, kind in inner.items()}


def run_session(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """The outputs in order; INT32 inputs may be given in any integer type."""
    feeds = {
        value.name: inputs[value.name].astype(np.int32)
        if value.type == "tensor(int32)"
        else inputs[value.name]
        for value in session.get_inputs()
    }
    found: list[np.ndarray] = session.run(None, feeds)
    return found


def node_times(session: onnxruntime.InferenceSession) -> dict[str, list[float]]:
    """Milliseconds of every node in every run of a session with a profile, by the node's name."""
    times: dict[str, list[float]] = {}
    for event in json.loads(Path(session.end_profiling()).read_text("utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL_MARK):
            name = event["name"].removesuffix(KERNEL_MARK)
            times.setdefault(name, []).append(event["dur"] / 1000)
    return times


def load(file: Path, int8: bool, lean: bool = False) -> Run:
    """The model in `file` as a function of named CPU tensors, in the order of its outputs."""
    import torch

    session = open_session(file, int8, lean)

    def run(inputs: Mapping[str, "torch.Tensor"]) -> tuple["torch.Tensor", ...]:
        arrays = {name: one.detach().contiguous().numpy() for name, one in inputs.items()}
        return tuple(torch.from_numpy(out) for out in run_session(session, arrays))

    return run
