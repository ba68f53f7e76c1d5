"""FP32 to FP16 or BF16 inside a network, for strongly typed building: the types in the graph are
all that decides.

Every FP32 value gets the other type but for the network's inputs and outputs, and for nodes that
must or can only compute in FP32; those read and write through casts. onnxconverter-common does the
same for FP16 only, and lifts small weights to 1e-7; this is one pass for both types.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from ml_dtypes import bfloat16
from onnx import AttributeProto, TensorProto, defs, helper, numpy_helper

from backend.contracts import Precision
from backend.engines.weights import graphs

TYPES: dict[Precision, tuple[int, Any, str]] = {
    Precision.FP16: (TensorProto.FLOAT16, np.float16, "tensor(float16)"),
    Precision.BF16: (TensorProto.BFLOAT16, bfloat16, "tensor(bfloat16)"),
}
KEPT = frozenset({"Resize", "Upsample", "Range", "CumSum", "TopK", "NonMaxSuppression", "RoiAlign"})
"""Operators left in FP32: TensorRT has no BF16 Resize; the others count or compare, where half as
many digits are too few."""
FLOAT = TensorProto.FLOAT
FULL = "tensor(float)"
TYPE_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype"})
Constants = dict[str, onnx.TensorProto]


def cast_network(model: onnx.ModelProto, kinds: dict[str, int], precision: Precision) -> None:
    """Convert `model` in place. `kinds` gives the type of every value; the weights must be loaded,
    and local functions inlined."""
    opsets = {each.domain: each.version for each in model.opset_import}
    _Casting(precision, opsets, kinds).network(model.graph)
    for graph in graphs(model.graph):
        del graph.value_info[:]


class _Casting:
    def __init__(self, precision: Precision, opsets: dict[str, int], kinds: dict[str, int]) -> None:
        self.kind, self.dtype, self.allowed = TYPES[precision]
        self.opsets = opsets
        self.kinds = kinds
        self.count = 0

    def network(self, graph: onnx.GraphProto) -> None:
        constants = {tensor.name for tensor in graph.initializer}
        inside: dict[str, str] = {}
        full: dict[str, str] = {}
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type == FLOAT and value.name not in constants:
                inside[value.name] = self._new_name(value.name)
                self.kinds[inside[value.name]] = FLOAT
        takes = [value.name for value in graph.input if value.name in inside]
        gives = [value.name for value in graph.output if value.name in inside]
        full |= {inside[name]: name for name in takes}
        for inner in graphs(graph):
            for node in inner.node:
                for names in (node.input, node.output):
                    for index, name in enumerate(names):
                        names[index] = inside.get(name, name)
        self._graph(graph, {}, full)
        nodes = [
            *(self._cast(name, inside[name], self.kind) for name in takes),
            *graph.node,
            *(self._cast(inside[name], name, FLOAT) for name in gives),
        ]
        del graph.node[:]
        graph.node.extend(nodes)

    def _graph(self, graph: onnx.GraphProto, around: Constants, full: dict[str, str]) -> None:
        """`around` are the constants that the graph sees outside, `full` the FP32 copies of values
        by their names."""
        _constants_to_initialisers(graph)
        self.kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        constants = around | {tensor.name: tensor for tensor in graph.initializer}
        full = dict(full)
        copies: list[onnx.TensorProto] = []
        nodes = []
        for node in graph.node:
            for index in self._full_inputs(node):
                name = node.input[index]
                if name not in full:
                    full[name] = self._new_name(name)
                    if name in constants:
                        copies.append(_renamed(constants[name], full[name]))
                    else:
                        nodes.append(self._cast(name, full[name], FLOAT))
                node.input[index] = full[name]
            nodes.append(node)
            for index in self._full_outputs(node):
                name = node.output[index]
                node.output[index] = self._new_name(name)
                nodes.append(self._cast(node.output[index], name, self.kind))
            if not self._keeps(node):
                self._change(node, constants, full)
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for inner in graphs(graph) for node in inner.node for name in node.input}
        used |= {value.name for value in graph.output}
        tensors = [self._converted(each) for each in graph.initializer if each.name in used]
        del graph.initializer[:]
        graph.initializer.extend([*tensors, *copies])

    def _change(self, node: onnx.NodeProto, constants: Constants, full: dict[str, str]) -> None:
        """The attributes that name a type or hold values, and the graphs inside a node."""
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                attribute.t.CopyFrom(self._converted(attribute.t))
            elif attribute.name in TYPE_ATTRIBUTES and attribute.i == FLOAT:
                attribute.i = self.kind
            elif attribute.type == AttributeProto.GRAPH:
                self._graph(attribute.g, constants, full)
                for value in (*attribute.g.input, *attribute.g.output):
                    if value.type.tensor_type.elem_type == FLOAT:
                        value.type.tensor_type.elem_type = self.kind
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = numpy_helper.from_array(np.zeros(1, self.dtype))
            node.attribute.append(helper.make_attribute("value", zero))

    def _full_inputs(self, node: onnx.NodeProto) -> list[int]:
        """The inputs that a node reads in FP32."""
        schema, keeps = self._schema(node), self._keeps(node)
        return [
            index
            for index in self._floats(node.input)
            if keeps or (schema and _kind_of(schema.inputs, index) == FULL)
        ]

    def _full_outputs(self, node: onnx.NodeProto) -> list[int]:
        """The outputs that a node writes in FP32."""
        schema, keeps = self._schema(node), self._keeps(node)
        return [
            index
            for index in self._floats(node.output)
            if keeps or (schema and _kind_of(schema.outputs, index) == FULL)
        ]

    def _keeps(self, node: onnx.NodeProto) -> bool:
        """Whether a node stays in FP32 altogether."""
        if node.op_type in KEPT:
            return True
        schema = self._schema(node, newest=True)
        if schema is None or any(each.type == AttributeProto.GRAPH for each in node.attribute):
            return False
        refusing = {
            each.type_param_str
            for each in schema.type_constraints
            if self.allowed not in each.allowed_type_strs
        }
        used = [
            *(_kind_of(schema.inputs, index) for index in self._floats(node.input)),
            *(_kind_of(schema.outputs, index) for index in self._floats(node.output)),
        ]
        return any(kind in refusing for kind in used)

    def _floats(self, names: Iterable[str]) -> list[int]:
        return [index for index, name in enumerate(names) if self.kinds.get(name) == FLOAT]

    def _schema(self, node: onnx.NodeProto, newest: bool = False) -> Any:
        """The operator's definition; None for one that ONNX does not define. TensorRT takes types
        that only a newer opset allows (BF16 in Conv is of opset 22), ONNX Runtime has no kernels
        for them either way."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = self.opsets.get(domain) or self.opsets.get("ai.onnx", 0)
        if not defs.has(node.op_type, version, domain):
            return None
        if newest:
            return defs.get_schema(node.op_type, domain)
        return defs.get_schema(node.op_type, version, domain)

    def _converted(self, tensor: onnx.TensorProto) -> onnx.TensorProto:
        if tensor.data_type != FLOAT:
            return tensor
        values = numpy_helper.to_array(tensor)
        if self.kind == TensorProto.FLOAT16:
            most = np.finfo(np.float16).max
            values = np.where(np.isfinite(values), np.clip(values, -most, most), values)
        return numpy_helper.from_array(values.astype(self.dtype), tensor.name)

    def _cast(self, name: str, to: str, kind: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [name], [to], name=self._new_name(name), to=kind)

    def _new_name(self, name: str) -> str:
        self.count += 1
        return f"{name}__cast{self.count}"


def _kind_of(parameters: Any, index: int) -> str:
    """The type, or the name of the type, of an input or output; the last one may repeat."""
    return str(parameters[min(index, len(parameters) - 1)].type_str)


def _renamed(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _constants_to_initialisers(graph: onnx.GraphProto) -> None:
    """A constant that a node carries becomes one like the others."""
    nodes = []
    for node in graph.node:
        tensor = next(_constant(node), None) if node.op_type == "Constant" else None
        if tensor is None:
            nodes.append(node)
        else:
            graph.initializer.append(_renamed(tensor, node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)


def _constant(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.name == "value":
            yield attribute.t
        elif attribute.name == "value_float":
            yield numpy_helper.from_array(np.array(attribute.f, np.float32))
        elif attribute.name == "value_floats":
            yield numpy_helper.from_array(np.array(attribute.floats, np.float32))
