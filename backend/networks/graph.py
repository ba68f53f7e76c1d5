"""An ONNX file as data: read without its weights, and its external data looked at beforehand."""

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper

from backend.engines.weights import external, location_of, place_of
from backend.errors import Code, StudioError
from backend.language import text

LARGEST_FILE_BYTES = 2**31 - 1
"""Of one protobuf message: weights beyond it must be external data."""


def read_graph(file: Path, alone: bool = False) -> onnx.ModelProto:
    """The network in `file` without its external weights, whose files are checked to be there
    unless the file is `alone` so far.

    Raises StudioError ONNX_UNREADABLE, ONNX_DATA_OUTSIDE, ONNX_DATA_MISSING, ONNX_DATA_TRUNCATED
    or ONNX_DATA_WRONG.
    """
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise unreadable(file, text("onnx.too_large", limit_bytes=LARGEST_FILE_BYTES))
        model = onnx.load(str(file), load_external_data=False)
    except OSError as error:
        raise unreadable(file, error.strerror or str(error)) from error
    except DecodeError as error:
        raise unreadable(file, text("onnx.not_protobuf"), str(error)) from error
    if not model.graph.node or not model.opset_import:
        raise unreadable(file, text("onnx.no_network"))
    look = location_of if alone else place_of
    for tensor in external(model):
        look(tensor, file.parent, file.name, linked=False)
    return model


def unreadable(file: Path, problem: Any, detail: str = "") -> StudioError:
    return StudioError(Code.ONNX_UNREADABLE, detail, file=file.name, problem=problem)


def external_files(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the files that hold weights, beside that of the network."""
    found = {
        entry.value
        for tensor in external(model)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return tuple(sorted(found))


def type_name(kind: int) -> str:
    """`float32`, `bfloat16`, `int64`, as NumPy says it."""
    if kind in (TensorProto.UNDEFINED, TensorProto.STRING):
        return str(TensorProto.DataType.Name(kind)).lower()
    return str(helper.tensor_dtype_to_np_dtype(kind))
