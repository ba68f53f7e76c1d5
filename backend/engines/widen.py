"""The same graph in FP32, for a runtime without kernels of the types that the file has.

Weights keep their values: BF16 and FP16 ones are widened where they are used, packed NVFP4 ones
become INT8 (twice their value, which is whole) under half their scales. Activations that TensorRT
quantises to NVFP4 are rounded to the same values by standard operators.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

from backend.engines.weights import WeightWriter, read

NARROW = (TensorProto.BFLOAT16, TensorProto.FLOAT16)
DOMAIN = "studio"
ROUNDED = "RoundedToNvfp4"
ROUND_TO_NVFP4 = """
<domain: "studio", opset_import: ["" : 23]>
RoundedToNvfp4 (x, fixed) => (y) {
    shape = Shape (x)
    rows = Constant <value_ints = [-1, 16]> ()
    last = Constant <value_ints = [1]> ()
    tiny = Constant <value_float = 1e-12> ()
    half = Constant <value_float = 0.5> ()
    one = Constant <value_float = 1.0> ()
    two = Constant <value_float = 2.0> ()
    four = Constant <value_float = 4.0> ()
    six = Constant <value_float = 6.0> ()
    least = Constant <value_float = -6.0> ()
    most = Constant <value_float = 448.0> ()
    blocks = Reshape (x, rows)
    sizes = Abs (blocks)
    largest = ReduceMax <keepdims = 1> (sizes, last)
    ideal = Div (largest, six)
    scaled = Div (ideal, fixed)
    limited = Min (scaled, most)
    stored = Cast <to = 17> (limited)
    scale = Cast <to = 1> (stored)
    step = Mul (scale, fixed)
    divisor = Max (step, tiny)
    divided = Div (blocks, divisor)
    values = Clip (divided, least, six)
    size = Abs (values)
    below_two = Less (size, two)
    below_four = Less (size, four)
    upper = Where (below_four, one, two)
    grid = Where (below_two, half, upper)
    ratio = Div (values, grid)
    whole = Round (ratio)
    nearest = Mul (whole, grid)
    plain = Mul (nearest, step)
    y = Reshape (plain, shape)
}
"""
"""Blocks of 16 along the last axis; FP4 (E2M1) has steps of 0.5 below 2, of 1 below 4, else of 2,
and halves go to the even one, as Round has it."""


def widened(model: onnx.ModelProto, folder: Path, writer: WeightWriter) -> onnx.ModelProto:
    """A copy of `model` (its external data in `folder`) that computes in FP32.

    What must be stored anew goes to `writer`. Raises StudioError ONNX_DATA_*, OSError.
    """
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    del wide.graph.value_info[:]
    _unpack_fp4(wide, folder, writer)
    _widen_weights(wide.graph)
    for node in wide.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "output_dtype") and attribute.i in NARROW:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t") and attribute.t.data_type in NARROW:
                values = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(values, attribute.t.name))
    for value in (*wide.graph.input, *wide.graph.output):
        if value.type.tensor_type.elem_type in NARROW:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return wide


def _widen_weights(graph: onnx.GraphProto) -> None:
    narrow = {one.name: f"{one.name}.wide" for one in graph.initializer if one.data_type in NARROW}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = narrow.get(name, name)
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(
        helper.make_node("Cast", [name], [wide], name=wide, to=TensorProto.FLOAT)
        for name, wide in narrow.items()
    )
    graph.node.extend(nodes)


def _unpack_fp4(model: onnx.ModelProto, folder: Path, writer: WeightWriter) -> None:
    graph = model.graph
    packed = {one.name for one in graph.initializer if one.data_type == TensorProto.FLOAT4E2M1}
    dynamic = {
        node.output[0]: node for node in graph.node if node.op_type == "TRT_FP4DynamicQuantize"
    }
    scales = {node.output[1] for node in dynamic.values()}
    if not packed and not dynamic:
        return
    for index, tensor in enumerate(graph.initializer):
        if tensor.name in packed:
            twice = (read(tensor, folder).astype(np.float32) * 2).astype(np.int8)
            stored = writer.add(tensor.name, TensorProto.INT8, tuple(tensor.dims), twice)
            graph.initializer[index].CopyFrom(stored)
    graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        source = node.input[0] if node.input else ""
        if node.op_type == "DequantizeLinear" and source in dynamic:
            asked = list(dynamic[source].input)
            nodes.append(helper.make_node(ROUNDED, asked, list(node.output), domain=DOMAIN))
        elif node.op_type == "DequantizeLinear" and source in packed:
            halved = f"{node.input[1]}.half"
            nodes.append(helper.make_node("Mul", [node.input[1], "half"], [halved]))
            node.input[1] = halved
            nodes.append(node)
        elif source not in scales and node.output[0] not in dynamic:
            nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    model.functions.append(parser.parse_function(ROUND_TO_NVFP4))
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
