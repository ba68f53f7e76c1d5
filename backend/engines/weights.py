"""The weights of an ONNX file, in a data file beside it: read one at a time, written as a stream.

A graph alone is small; with its weights it may be larger than the 2 GB that protobuf holds, and
than the memory that is free for a second copy.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from backend.engines.cache import data_file
from backend.errors import Code, StudioError

INLINE_BYTES = 1024
"""Smaller tensors stay in the graph, where shape inference can read them."""
ALIGNMENT = 4096
"""Of tensors in the data file: a page, so that they can be mapped."""


def load_graph(file: Path) -> onnx.ModelProto:
    """The graph in `file`, its external weights left where they are."""
    return onnx.load(str(file), load_external_data=False)


def tensors_of(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Every constant tensor of a graph and of those inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from tensors_of(inner)


def byte_count(tensor: TensorProto) -> int:
    """What the values of `tensor` take when packed."""
    count: int = math.prod(tensor.dims)
    if tensor.data_type == TensorProto.FLOAT4E2M1:
        return (count + 1) // 2
    return count * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def check_data(model: onnx.ModelProto, folder: Path) -> None:
    """Raise StudioError ONNX_DATA_INVALID unless all external data is there and whole."""
    for tensor in tensors_of(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            _place(tensor, folder)


def read(tensor: TensorProto, folder: Path) -> np.ndarray:
    """The values of `tensor`, whose external data is in `folder`.

    Raises StudioError ONNX_DATA_INVALID.
    """
    values: np.ndarray
    if tensor.data_location != TensorProto.EXTERNAL:
        values = numpy_helper.to_array(tensor)
        return values
    file, offset, length = _place(tensor, folder)
    data = np.fromfile(file, np.uint8, length, offset=offset)
    if tensor.data_type == TensorProto.FLOAT4E2M1:
        codes = np.stack([data & 0xF, data >> 4], axis=-1).reshape(-1)[: math.prod(tensor.dims)]
        values = codes.view(ml_dtypes.float4_e2m1fn)
    else:
        values = data.view(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return values.reshape(tuple(tensor.dims))


def _place(tensor: TensorProto, folder: Path) -> tuple[Path, int, int]:
    """File, offset and length of a tensor's external data."""

    def refused(problem: str) -> StudioError:
        return StudioError(Code.ONNX_DATA_INVALID, file=tensor.name, problem=problem)

    about = {entry.key: entry.value for entry in tensor.external_data}
    name = about.get("location", "")
    if not name or name in (".", "..") or Path(name).name != name or "\\" in name:
        raise refused(f"its data is in {name!r}, not in a file beside the model")
    file = folder / name
    if not file.is_file():
        raise refused(f"its data file {name} is missing")
    wanted, size = byte_count(tensor), file.stat().st_size
    try:
        offset = int(about.get("offset", "0"))
        length = int(about.get("length", str(wanted)))
    except ValueError as error:
        raise refused("the place of its data is not a number") from error
    if length != wanted:
        raise refused(f"its data has {length} bytes, its shape needs {wanted}")
    if offset < 0 or offset + length > size:
        raise refused(f"its data ends at byte {offset + length}, but {name} has {size}")
    return file, offset, length


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
        file, offset, length = _place(tensor, folder)
        data = np.fromfile(file, np.uint8, length, offset=offset)
        return self.add(tensor.name, tensor.data_type, tuple(tensor.dims), data)
