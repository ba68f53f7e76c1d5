"""Weights that lie beside an ONNX file, checked before anything reads them."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import onnx
from onnx import TensorProto, helper

from backend.errors import Code, StudioError

HALF_BYTES = frozenset({TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1})


def check_external_data(model: onnx.ModelProto, file: Path) -> list[Path]:
    """The files beside `file` that hold the weights of `model`, which was loaded without them.

    Raises StudioError ONNX_DATA_INVALID when one is missing, cut, lies elsewhere, or does not hold
    what a tensor's type and shape need.
    """
    found: dict[str, Path] = {}
    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            location = entries.get("location", "")
            if location not in found:
                found[location] = _beside(file, location)
            _check_extent(tensor, entries, found[location], file)
    return list(found.values())


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _beside(file: Path, location: str) -> Path:
    path = PurePosixPath(location)
    if not location or path.is_absolute() or ".." in path.parts or "\\" in location:
        raise _invalid(file, f"its weights are said to be in {location!r}, outside its folder")
    if not (file.parent / path).is_file():
        raise _invalid(file, f"{location}, which holds its weights, is missing")
    return file.parent / path


def _check_extent(tensor: TensorProto, entries: dict[str, str], data: Path, file: Path) -> None:
    count = 1
    for dim in tensor.dims:
        count *= dim
    wanted = _bytes_of(tensor.data_type, count)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", wanted))
    except ValueError as error:
        raise _invalid(file, f"the place of {tensor.name} cannot be read") from error
    if length != wanted or offset < 0:
        raise _invalid(file, f"{tensor.name} takes {wanted} bytes; it is said to have {length}")
    size = data.stat().st_size
    if offset + length > size:
        raise _invalid(
            file, f"{data.name} ends after {size} bytes; {tensor.name} ends at {offset + length}"
        )


def _bytes_of(kind: int, count: int) -> int:
    if kind in HALF_BYTES:
        return (count + 1) // 2
    return count * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _invalid(file: Path, problem: str) -> StudioError:
    return StudioError(Code.ONNX_DATA_INVALID, file=file.name, problem=problem)
