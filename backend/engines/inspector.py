"""TensorRT's engine inspector: its JSON, read into layers.

Not yet verified on hardware: an engine can only be opened on a GPU that runs it. Written from
NVIDIA's documentation of 10.x, and of the changes in 11.x and TensorRT for RTX: "Bindings" became
"I/O Tensors", and "Format/Datatype" was split in two.
"""

import json
from pathlib import Path
from typing import Any

from backend.contracts import EngineLayer

ONNX_MARK = "[ONNX Layer: "
PRECISION_WORDS = (
    ("nvfp4", ("nvfp4", "fp4")),
    ("fp8", ("fp8", "e4m3")),
    ("bf16", ("bf16", "bfloat")),
    ("fp16", ("fp16", "half")),
    ("int8", ("int8",)),
    ("int64", ("int64",)),
    ("int32", ("int32",)),
    ("bool", ("bool",)),
    ("fp32", ("fp32", "float")),
)
BITS = {"nvfp4": 4, "fp8": 8, "int8": 8, "bool": 8, "fp16": 16, "bf16": 16, "int64": 64}
DEFAULT_BITS = 32


def inspector_layers(text: str) -> list[EngineLayer]:
    """The layers in the inspector's JSON of a whole engine.

    A layer's precision is that of its weights, else of its first output. An engine that was built
    without detailed profiling gives names only. Raises ValueError for anything else.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("Layers"), list):
        raise ValueError("there is no list of layers in it")
    return [_layer(one) for one in found["Layers"]]


def _layer(one: Any) -> EngineLayer:
    if isinstance(one, str):
        return EngineLayer(name=one, kind="", layer="", precision="", shapes=(), bytes=0)
    weights = [one[name] for name in ("Weights", "Bias") if isinstance(one.get(name), dict)]
    outputs = one.get("Outputs") or []
    kinds = [_type_of(tensor) for tensor in outputs]
    own = [precision_of(str(weight.get("Type", ""))) for weight in weights]
    return EngineLayer(
        name=str(one.get("Name", "")),
        kind=str(one.get("LayerType", "")),
        layer="",
        precision=next(filter(None, (*own, *kinds)), ""),
        shapes=tuple("x".join(map(str, tensor.get("Dimensions", ()))) for tensor in outputs),
        bytes=sum(
            int(weight.get("Count", 0)) * BITS.get(kind, DEFAULT_BITS) // 8
            for weight, kind in zip(weights, own, strict=True)
        ),
        parts=_parts(str(one.get("Metadata", ""))),
    )


def _type_of(tensor: dict[str, Any]) -> str:
    said = tensor.get("DataType") or tensor.get("Format/Datatype") or tensor.get("Format") or ""
    return precision_of(str(said))


def precision_of(words: str) -> str:
    """The precision that a type or format names in TensorRT's words; "" where it names none."""
    low = words.lower()
    return next((name for name, marks in PRECISION_WORDS if any(m in low for m in marks)), "")


def _parts(metadata: str) -> tuple[str, ...]:
    """The ONNX nodes that a layer came from: `[ONNX Layer: name]`, set apart by \\x1e."""
    return tuple(
        piece.split("]")[0]
        for piece in metadata.split(ONNX_MARK)[1:]
        if "]" in piece and piece.split("]")[0]
    )


def inspect_engine(arguments: dict[str, Any], tell: Any) -> str:
    """Open the engine in `file` and ask its inspector; JSON. For a child process.

    Raises StudioError ENGINE_BROKEN, TENSORRT_MISSING.
    """
    from backend.engines.editions import load_edition, logger_of
    from backend.errors import Code, StudioError

    trt = load_edition(arguments["edition"]).api
    problems: list[str] = []
    runtime = trt.Runtime(logger_of(trt, problems))
    engine = runtime.deserialize_cuda_engine(Path(arguments["file"]).read_bytes())
    if engine is None:
        problem = problems[-1][:300] if problems else "TensorRT gave no reason"
        name = Path(arguments["file"]).parent.name
        raise StudioError(Code.ENGINE_BROKEN, "\n".join(problems), engine=name, problem=problem)
    inspector = engine.create_engine_inspector()
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


if __name__ == "__main__":
    from backend.jobs.children import child_main

    child_main(inspect_engine)
