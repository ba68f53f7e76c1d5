"""An ONNX file as data: read without its weights, and its external data looked at beforehand."""

import math
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, TensorProto, helper

from backend.errors import Code, StudioError
from backend.language import text

LARGEST_FILE_BYTES = 2**31 - 1
"""Of one protobuf message: weights beyond it must be external data."""
BITS_OF_SMALL = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.STRING: 0,
}


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
    for tensor in tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            location = _location(file, tensor)
            if not alone:
                _check_external(file, tensor, location)
    return model


def unreadable(file: Path, problem: Any, detail: str = "") -> StudioError:
    return StudioError(Code.ONNX_UNREADABLE, detail, file=file.name, problem=problem)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all those inside its nodes (the branches of an If, the body of a Loop)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if _holds_graph(attribute) else ():
                if inner.node or inner.output:
                    yield from graphs(inner)


def _holds_graph(attribute: onnx.AttributeProto) -> bool:
    return attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant of a network: initialisers, and those that nodes carry."""
    nodes = [function.node for function in model.functions]
    for graph in graphs(model.graph):
        yield from graph.initializer
        nodes.append(graph.node)
    for node in chain.from_iterable(nodes):
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors


def external_files(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the files that hold weights, beside that of the network."""
    found = {
        _external(tensor)["location"]
        for tensor in tensors(model)
        if tensor.data_location == TensorProto.EXTERNAL
    }
    return tuple(sorted(found))


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """What a tensor's values take, whether they are here or in another file."""
    count = math.prod(tensor.dims)
    if tensor.data_type in BITS_OF_SMALL:
        return int(count * BITS_OF_SMALL[tensor.data_type] + 7) // 8
    return int(count) * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def type_name(kind: int) -> str:
    """`float32`, `bfloat16`, `int64`, as NumPy says it."""
    if kind in (TensorProto.UNDEFINED, TensorProto.STRING):
        return str(TensorProto.DataType.Name(kind)).lower()
    return str(helper.tensor_dtype_to_np_dtype(kind))


def _external(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _location(file: Path, tensor: onnx.TensorProto) -> Path:
    """Where a tensor's values are: always below the folder of the network's own file."""
    location = _external(tensor).get("location", "")
    folder = os.path.realpath(file.parent)
    real = os.path.realpath(file.parent / location)
    if not location or Path(location).is_absolute() or not real.startswith(folder + os.sep):
        raise StudioError(Code.ONNX_DATA_OUTSIDE, file=file.name, location=location)
    return Path(real)


def _check_external(file: Path, tensor: onnx.TensorProto, real: Path) -> None:
    entry = _external(tensor)
    location = entry["location"]
    if not real.is_file():
        raise StudioError(Code.ONNX_DATA_MISSING, file=file.name, location=location)
    try:
        offset, needed = int(entry.get("offset", 0)), tensor_bytes(tensor)
        length = int(entry.get("length", needed))
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(file, text("onnx.bad_tensor", tensor=tensor.name), str(error)) from error
    if length != needed or offset < 0:
        raise StudioError(
            Code.ONNX_DATA_WRONG,
            file=file.name,
            tensor=tensor.name,
            found_bytes=length,
            needed_bytes=needed,
        )
    here = real.stat().st_size
    if offset + length > here:
        raise StudioError(
            Code.ONNX_DATA_TRUNCATED,
            file=file.name,
            location=location,
            found_bytes=here,
            needed_bytes=offset + length,
        )
