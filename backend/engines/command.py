"""The command line that builds an engine without the studio."""

import shlex

from backend.contracts import EngineManifest, Runtime

TOOLS = {"rtx": "tensorrt_rtx", "enterprise": "trtexec"}
DEFAULT_LEVEL = 3
MIB = 1024**2


def build_command(made: EngineManifest) -> str:
    """`trtexec`, or `tensorrt_rtx` of the RTX edition, with what the engine was built with; empty
    for an engine of ONNX Runtime, which runs its ONNX file as it is.

    Options as NVIDIA documents them for TensorRT 10 and 11 and TensorRT for RTX.
    """
    if made.runtime is not Runtime.TENSORRT:
        return ""
    words = [TOOLS[made.edition], "--onnx=model.onnx", "--saveEngine=engine.plan"]
    if made.edition == "rtx":
        words.append(f"--computeCapabilities={made.target.removeprefix('sm')}")
    elif int(made.version.split(".")[0]) < 11:
        words.append("--stronglyTyped")
    dynamic = {
        name: shapes for name, shapes in made.shapes.items() if len(set(map(tuple, shapes))) > 1
    }
    for index, bound in enumerate(("min", "opt", "max")):
        if dynamic:
            given = ",".join(f"{name}:{_dims(shapes[index])}" for name, shapes in dynamic.items())
            words.append(f"--{bound}Shapes={given}")
    request = made.request
    if request is not None:
        if request.optimization_level != DEFAULT_LEVEL:
            words.append(f"--builderOptimizationLevel={request.optimization_level}")
        if request.workspace_bytes:
            words.append(f"--memPoolSize=workspace:{request.workspace_bytes // MIB}")
        if request.weight_streaming:
            words.append("--allowWeightStreaming")
        if request.refit:
            words.append("--refit")
    words.append("--skipInference")
    return " \\\n  ".join(shlex.quote(word) for word in words)


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
