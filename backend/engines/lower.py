"""Lower an ONNX graph to INT8, FP8 or NVFP4: quantise weights, put Q/DQ pairs before the products.

One export serves every precision. The exporter notes with each node which torch module it came
from; the layers that a calibration names are found by that.

Types and layouts are ONNX's QuantizeLinear and DequantizeLinear (opset 19 for FP8, 23 for FP4), and
TensorRT's `TRT_FP4DynamicQuantize` for the activations of NVFP4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from backend.contracts import Precision
from backend.engines.network import node_layers
from backend.engines.weights import WeightWriter, read
from backend.quantize.calibration import Calibration, LayerCalibration

INT8_MAX = 127.0
FP8_MAX = 448.0
"""Largest number of FLOAT8E4M3FN."""
FP4_MAX = 6.0
"""Largest number of FLOAT4E2M1."""
FP4_BLOCK = 16
FP4_OPSET = 23
TINY = 1e-12
TRT_DOMAIN = "trt"
PRODUCTS = ("MatMul", "Gemm", "Conv")
NUMPY_TYPES = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}


@dataclass
class _Graph:
    model: onnx.ModelProto
    initializers: dict[str, onnx.TensorProto]
    folder: Path
    """Of the external data of the plain weights."""
    writer: WeightWriter
    before: dict[int, list[onnx.NodeProto]] = field(default_factory=dict)
    """New nodes by the index of the node that they go in front of."""
    count: int = 0

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_q{self.count}"

    def constant(self, stem: str, value: np.ndarray, kind: int | None = None) -> str:
        return self.packed(stem, value, value.shape, kind or _kind(value))

    def packed(self, stem: str, value: np.ndarray, dims: tuple[int, ...], kind: int) -> str:
        name = self.name(stem)
        self.initializers[name] = self.writer.add(name, kind, dims, value)
        return name

    def floats(self, tensor: onnx.TensorProto) -> np.ndarray:
        return read(tensor, self.folder).astype(np.float32)

    def add(
        self, index: int, op: str, inputs: list[str], domain: str = "", **attributes: object
    ) -> str:
        out = self.name(op)
        node = helper.make_node(op, inputs, [out], name=out, domain=domain, **attributes)
        self.before.setdefault(index, []).append(node)
        return out


def _kind(value: np.ndarray) -> int:
    return int(helper.np_dtype_to_tensor_dtype(value.dtype))


def lower(
    model: onnx.ModelProto,
    folder: Path,
    prefix: str,
    calibration: Calibration,
    writer: WeightWriter,
) -> onnx.ModelProto:
    """A copy of `model` with the calibrated layers quantised; `prefix` as in ExportModule.

    External data of `model` is in `folder`; weights are read, quantised and written one at a time.
    Raises KeyError when a layer of the calibration is not in the graph, StudioError
    ONNX_DATA_*, OSError.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    initializers = {tensor.name: tensor for tensor in lowered.graph.initializer}
    graph = _Graph(lowered, initializers, folder, writer)
    owners = node_layers(lowered, prefix)
    attentions = {n: one for n, one in calibration.layers.items() if one.kind == "attention"}
    layers = {n: one for n, one in calibration.layers.items() if one.kind != "attention"}
    found: set[str] = set()
    shared: dict[tuple[str, Precision, float], str] = {}
    for index, node in enumerate(lowered.graph.node):
        owner = owners.get(node.name, "")
        if owner in layers and node.op_type in PRODUCTS and _is_weight(graph, node, 1):
            _lower_layer(graph, index, node, layers[owner], shared)
            found.add(owner)
    found |= _lower_attentions(graph, owners, attentions)
    missing = calibration.layers.keys() - found
    if missing:
        raise KeyError(f"not in the graph: {', '.join(sorted(missing)[:5])}")
    _write(graph, fp4=any(one.precision is Precision.NVFP4 for one in layers.values()))
    return lowered


def _is_weight(graph: _Graph, node: onnx.NodeProto, position: int) -> bool:
    return len(node.input) > position and node.input[position] in graph.initializers


def _lower_layer(
    graph: _Graph,
    index: int,
    node: onnx.NodeProto,
    scales: LayerCalibration,
    shared: dict[tuple[str, Precision, float], str],
) -> None:
    tensor = graph.initializers[node.input[1]]
    kind = tensor.data_type
    weight = graph.floats(tensor)
    in_axis, out_axis = _axes(node)
    source = node.input[0]
    if scales.pre_quant_scale is not None:
        shape = [1] * weight.ndim
        shape[in_axis] = -1
        weight = weight / scales.pre_quant_scale.astype(np.float32).reshape(shape)
        factor = graph.constant("pre_scale", scales.pre_quant_scale.astype(NUMPY_TYPES[kind]))
        source = graph.add(index, "Mul", [source, factor])
    assert scales.input_amax is not None
    assert scales.weight_amax is not None
    key = (source, scales.precision, scales.input_amax)
    if key not in shared:
        shared[key] = _quantise_input(graph, index, source, scales, kind)
    node.input[0] = shared[key]
    if scales.precision is Precision.NVFP4:
        node.input[1] = _fp4_weight(graph, index, weight, float(scales.weight_amax), kind, in_axis)
    elif scales.precision is Precision.FP8:
        node.input[1] = _fp8_weight(graph, index, weight, float(scales.weight_amax), kind)
    else:
        node.input[1] = _int8_weight(graph, index, weight, scales.weight_amax, kind, out_axis)


def _axes(node: onnx.NodeProto) -> tuple[int, int]:
    """Axes of input and output channels in a node's weight."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return (1, 0) if node.op_type == "Conv" or transposed else (0, 1)


def _quantise_input(
    graph: _Graph, index: int, source: str, scales: LayerCalibration, kind: int
) -> str:
    assert scales.input_amax is not None
    if scales.precision is Precision.NVFP4:
        return _dynamic_fp4(graph, index, source, scales.input_amax, kind)
    return _pair(graph, index, source, scales.precision, scales.input_amax, kind)


def _pair(graph: _Graph, index: int, source: str, to: Precision, amax: float, kind: int) -> str:
    """`source` through QuantizeLinear and DequantizeLinear with one scale."""
    limit = INT8_MAX if to is Precision.INT8 else FP8_MAX
    scale = graph.constant("scale", np.array(amax / limit, NUMPY_TYPES[kind]))
    zero = graph.constant("zero", *_zero(to))
    quantised = graph.add(index, "QuantizeLinear", [source, scale, zero])
    return graph.add(index, "DequantizeLinear", [quantised, scale, zero])


def _zero(to: Precision) -> tuple[np.ndarray, int | None]:
    if to is Precision.INT8:
        return np.array(0, np.int8), None
    return np.array(0, np.uint8), TensorProto.FLOAT8E4M3FN


def _fp8_weight(graph: _Graph, index: int, weight: np.ndarray, amax: float, kind: int) -> str:
    scale = np.array(amax / FP8_MAX, NUMPY_TYPES[kind])
    values = (weight / scale.astype(np.float32)).clip(-FP8_MAX, FP8_MAX)
    stored = graph.constant(
        "weight", values.astype(ml_dtypes.float8_e4m3fn), TensorProto.FLOAT8E4M3FN
    )
    return graph.add(index, "DequantizeLinear", [stored, graph.constant("scale", scale)])


def _int8_weight(
    graph: _Graph, index: int, weight: np.ndarray, amax: np.ndarray, kind: int, out_axis: int
) -> str:
    scales = (amax / INT8_MAX).astype(NUMPY_TYPES[kind])
    shape = [1] * weight.ndim
    shape[out_axis] = -1
    values = np.round(weight / scales.astype(np.float32).reshape(shape)).clip(-128, 127)
    inputs = [graph.constant("weight", values.astype(np.int8)), graph.constant("scale", scales)]
    return graph.add(index, "DequantizeLinear", inputs, axis=out_axis)


def _dynamic_fp4(graph: _Graph, index: int, source: str, amax: float, kind: int) -> str:
    """Blocks of 16 along the last axis, their scales found at run time under one fixed scale."""
    fixed = graph.constant("scale", np.array(amax / (FP4_MAX * FP8_MAX), np.float32))
    blocks, scales = graph.name("fp4"), graph.name("fp4_scale")
    graph.before.setdefault(index, []).append(
        helper.make_node(
            "TRT_FP4DynamicQuantize",
            [source, fixed],
            [blocks, scales],
            name=blocks,
            domain=TRT_DOMAIN,
            axis=-1,
            block_size=FP4_BLOCK,
            scale_type=TensorProto.FLOAT8E4M3FN,
        )
    )
    plain = graph.add(index, "DequantizeLinear", [scales, fixed])
    out = graph.add(index, "DequantizeLinear", [blocks, plain], axis=-1, block_size=FP4_BLOCK)
    return _cast(graph, index, out, kind)


def _fp4_weight(
    graph: _Graph, index: int, weight: np.ndarray, amax: float, kind: int, in_axis: int
) -> str:
    """NVFP4: FP4 in blocks of 16 input channels, FP8 block scales, one FP32 scale for all."""
    blocks = weight.shape[in_axis] // FP4_BLOCK
    by_block = np.moveaxis(weight, in_axis, -1)
    by_block = by_block.reshape(*by_block.shape[:-1], blocks, FP4_BLOCK)
    fixed = np.float32(amax / (FP4_MAX * FP8_MAX))
    scales = (np.abs(by_block).max(axis=-1) / FP4_MAX / fixed).clip(0, FP8_MAX)
    scales = scales.astype(ml_dtypes.float8_e4m3fn)
    steps = np.maximum(scales.astype(np.float32) * fixed, TINY)
    values = (by_block / steps[..., None]).clip(-FP4_MAX, FP4_MAX)
    values = np.moveaxis(values.reshape(*values.shape[:-2], -1), -1, in_axis)
    codes = np.ascontiguousarray(values).astype(ml_dtypes.float4_e2m1fn).view(np.uint8).reshape(-1)
    packed = (codes[0::2] & 0xF) | (codes[1::2] << 4)
    name = graph.packed("weight", packed, weight.shape, TensorProto.FLOAT4E2M1)
    block_scales = np.ascontiguousarray(np.moveaxis(scales, -1, in_axis))
    stored = graph.constant("block_scale", block_scales, TensorProto.FLOAT8E4M3FN)
    plain = graph.add(index, "DequantizeLinear", [stored, graph.constant("scale", np.array(fixed))])
    out = graph.add(index, "DequantizeLinear", [name, plain], axis=in_axis, block_size=FP4_BLOCK)
    return _cast(graph, index, out, kind)


def _cast(graph: _Graph, index: int, source: str, kind: int) -> str:
    if kind == TensorProto.FLOAT:
        return source
    return graph.add(index, "Cast", [source], to=kind)


def _lower_attentions(
    graph: _Graph, owners: Mapping[str, str], attentions: Mapping[str, LayerCalibration]
) -> set[str]:
    products: dict[str, list[int]] = {}
    makers = {name: node for node in graph.model.graph.node for name in node.output}
    kind = _float_type(graph)
    for index, node in enumerate(graph.model.graph.node):
        owner = owners.get(node.name, "")
        weighted = any(_is_weight(graph, node, position) for position in (0, 1))
        if owner in attentions and node.op_type == "MatMul" and not weighted:
            products.setdefault(owner, []).append(index)
    for owner, indices in products.items():
        first, second = indices
        scales = attentions[owner]
        for index, amaxes in (
            (first, (scales.q_amax, scales.k_amax)),
            (second, (scales.softmax_amax, scales.v_amax)),
        ):
            node = graph.model.graph.node[index]
            for position, amax in enumerate(amaxes):
                source = node.input[position]
                assert amax is not None
                scaled = amax * _factor(graph, makers.get(source))
                node.input[position] = _pair(graph, index, source, Precision.FP8, scaled, kind)
    return set(products)


def _factor(graph: _Graph, maker: onnx.NodeProto | None) -> float:
    """What the exporter multiplied a query or key with before the product: the root of the
    attention's scale."""
    if maker is None or maker.op_type != "Mul" or maker.input[1] not in graph.initializers:
        return 1.0
    return float(graph.floats(graph.initializers[maker.input[1]]).max())


def _float_type(graph: _Graph) -> int:
    kinds = {tensor.data_type for tensor in graph.model.graph.initializer}
    for kind in (TensorProto.BFLOAT16, TensorProto.FLOAT16):
        if kind in kinds:
            return int(kind)
    return int(TensorProto.FLOAT)


def _write(graph: _Graph, fp4: bool) -> None:
    model = graph.model
    nodes = list(_in_order(graph))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    used |= {value.name for value in model.graph.output}
    plain = {tensor.name for tensor in model.graph.initializer}
    kept = [
        graph.writer.copy(tensor, graph.folder) if name in plain else tensor
        for name, tensor in graph.initializers.items()
        if name in used
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    if fp4:
        for opset in model.opset_import:
            if opset.domain == "":
                opset.version = FP4_OPSET
        model.opset_import.append(helper.make_opsetid(TRT_DOMAIN, 1))
        model.ir_version = max(model.ir_version, 11)


def _in_order(graph: _Graph) -> Iterator[onnx.NodeProto]:
    for index, node in enumerate(graph.model.graph.node):
        yield from graph.before.get(index, ())
        yield node
