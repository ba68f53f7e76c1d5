"""The weights of an ONNX file, in a data file beside it: read one at a time, written as a stream.

A graph alone is small; with its weights it may be larger than the 2 GB that protobuf holds, and
than the memory that is free for a second copy.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from types import TracebackType

import ml_dtypes
import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from backend.engines.cache import data_file
from backend.errors import Code, StudioError
from backend.language import text

BITS_OF_SMALL = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.STRING: 0,
}
HOLDS_GRAPH = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
INLINE_BYTES = 1024
"""Smaller tensors stay in the graph, where shape inference can read them."""
ALIGNMENT = 4096
"""Of tensors in the data file: a page, so that they can be mapped."""


def load_graph(file: Path) -> onnx.ModelProto:
    """The graph in `file`, its external weights left where they are."""
    return onnx.load(str(file), load_external_data=False)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all those inside its nodes (the branches of an If, the body of a Loop)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.type in HOLDS_GRAPH else ():
                if inner.node or inner.output:
                    yield from graphs(inner)


def tensors_of(model: onnx.ModelProto) -> Iterator[TensorProto]:
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


def byte_count(tensor: TensorProto) -> int:
    """What the values of `tensor` take when packed, whether they are here or in another file."""
    count: int = math.prod(tensor.dims)
    if tensor.data_type in BITS_OF_SMALL:
        return (count * BITS_OF_SMALL[tensor.data_type] + 7) // 8
    return count * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def external(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """The constants whose values are in another file."""
    return (one for one in tensors_of(model) if one.data_location == TensorProto.EXTERNAL)


def check_data(model: onnx.ModelProto, folder: Path) -> None:
    """Look at all external data before anything reads it. Raises what `place_of` raises."""
    for tensor in external(model):
        place_of(tensor, folder)


def read(tensor: TensorProto, folder: Path) -> np.ndarray:
    """The values of `tensor`, whose external data is in `folder`. Raises what `place_of` raises."""
    values: np.ndarray
    if tensor.data_location != TensorProto.EXTERNAL:
        values = numpy_helper.to_array(tensor)
        return values
    place = place_of(tensor, folder)
    data = np.fromfile(place.file, np.uint8, place.length, offset=place.offset)
    if tensor.data_type == TensorProto.FLOAT4E2M1:
        codes = np.stack([data & 0xF, data >> 4], axis=-1).reshape(-1)[: math.prod(tensor.dims)]
        values = codes.view(ml_dtypes.float4_e2m1fn)
    else:
        values = data.view(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return values.reshape(tuple(tensor.dims))


@dataclass(frozen=True)
class Place:
    """Where a tensor's external data is."""

    file: Path
    offset: int
    length: int


def location_of(tensor: TensorProto, folder: Path, network: str, linked: bool = True) -> Path:
    """The file that holds a tensor's external data: always below `folder`, that of the network's
    own file; unless `linked`, as files of the hub's cache are, not through a link either.

    Raises StudioError ONNX_DATA_OUTSIDE; `network` is what it calls the network.
    """
    location = _about(tensor).get("location", "")
    path = PurePosixPath(location)
    outside = not path.parts or path.is_absolute() or ".." in path.parts or "\\" in location
    if not outside and not linked:
        real = os.path.realpath(folder / location)
        outside = not real.startswith(os.path.realpath(folder) + os.sep)
    if outside:
        raise StudioError(Code.ONNX_DATA_OUTSIDE, file=network, location=location)
    return folder / location


def place_of(tensor: TensorProto, folder: Path, network: str = "", linked: bool = True) -> Place:
    """Where a tensor's external data is, checked against its type and shape.

    Raises StudioError ONNX_DATA_OUTSIDE, ONNX_DATA_MISSING, ONNX_DATA_WRONG, ONNX_DATA_TRUNCATED or
    ONNX_UNREADABLE; `network` is what they call the network, else the tensor is named.
    """
    name = network or tensor.name
    file, about = location_of(tensor, folder, name, linked), _about(tensor)
    location = about["location"]
    if not file.is_file():
        raise StudioError(Code.ONNX_DATA_MISSING, file=name, location=location)
    try:
        offset, needed = int(about.get("offset", 0)), byte_count(tensor)
        length = int(about.get("length", needed))
    except (ValueError, KeyError, TypeError) as error:
        problem = text("onnx.bad_tensor", tensor=tensor.name)
        raise StudioError(Code.ONNX_UNREADABLE, str(error), file=name, problem=problem) from error
    if length != needed or offset < 0:
        raise StudioError(
            Code.ONNX_DATA_WRONG,
            file=name,
            tensor=tensor.name,
            found_bytes=length,
            needed_bytes=needed,
        )
    here = file.stat().st_size
    if offset + length > here:
        raise StudioError(
            Code.ONNX_DATA_TRUNCATED,
            file=name,
            location=location,
            found_bytes=here,
            needed_bytes=offset + length,
        )
    return Place(file, offset, length)


def _about(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


class WeightWriter:
    """Writes the data file of the ONNX file `model`, one tensor after the other.

    A context manager; raises OSError.
    """

    def __init__(self, model: Path) -> None:
        self._file = data_file(model)
        self._stream = self._file.open("wb")

    def __enter__(self) -> "WeightWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def add(self, name: str, kind: int, dims: tuple[int, ...], data: np.ndarray) -> TensorProto:
        """A tensor of this type and shape, its values the bytes of `data`."""
        packed = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        if packed.nbytes < INLINE_BYTES:
            return helper.make_tensor(name, kind, dims, packed.tobytes(), raw=True)
        tensor = TensorProto(name=name, data_type=kind, dims=dims)
        tensor.data_location = TensorProto.EXTERNAL
        offset = -(-self._stream.tell() // ALIGNMENT) * ALIGNMENT
        self._stream.seek(offset)
        self._stream.write(packed.data)
        place = {"location": self._file.name, "offset": offset, "length": packed.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def copy(self, tensor: TensorProto, folder: Path) -> TensorProto:
        """`tensor`, its values moved from `folder` into this file."""
        if tensor.data_location != TensorProto.EXTERNAL:
            return tensor
        place = place_of(tensor, folder)
        data = np.fromfile(place.file, np.uint8, place.length, offset=place.offset)
        return self.add(tensor.name, tensor.data_type, tuple(tensor.dims), data)
