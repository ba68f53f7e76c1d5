"""Small ONNX networks for tests."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def tensor(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def saved(
    file: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
    **options: object,
) -> Path:
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("nowhere", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model, str(file), **options)
    return file


def picture_network(file: Path) -> Path:
    """A convolution, two Resizes and both branches of an If."""
    value = helper.make_tensor_value_info
    random = np.random.default_rng(0)
    doubled = helper.make_graph(
        [helper.make_node("Mul", ["sum", "two"], ["twice"])],
        "doubled",
        [],
        [value("twice", FLOAT, None)],
        [tensor("two", 2)],
    )
    counted = helper.make_graph(
        [helper.make_node("CumSum", ["sum", "axis"], ["count"])],
        "counted",
        [],
        [value("count", FLOAT, None)],
    )
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Constant", [], ["scales"], value=tensor("", [1, 1, 2, 2])),
        helper.make_node("Resize", ["c", "", "scales"], ["large"], name="resize", mode="linear"),
        helper.make_node("Resize", ["x", "", "scales"], ["other"], mode="nearest"),
        helper.make_node("Shape", ["large"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["large", "zeros"], ["same"]),
        helper.make_node("Add", ["same", "bias"], ["sum"]),
        helper.make_node("ReduceSum", ["flag"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["yes"]),
        helper.make_node("If", ["yes"], ["chosen"], then_branch=doubled, else_branch=counted),
        helper.make_node("Cast", ["chosen"], ["cast"], to=FLOAT),
        helper.make_node("Softmax", ["cast"], ["y"]),
        helper.make_node("ReduceMax", ["other"], ["most"], keepdims=0),
    ]
    return saved(
        file,
        nodes,
        [value("x", FLOAT, ["batch", 3, "h", "w"]), value("flag", FLOAT, [1])],
        [value("y", FLOAT, ["batch", 4, "h2", "w2"]), value("most", FLOAT, [])],
        [
            tensor("weight", random.normal(size=(4, 3, 3, 3))),
            tensor("bias", random.normal(size=(1, 4, 1, 1))),
            tensor("zero", 0),
            tensor("axis", 3, np.int64),
        ],
    )


def odd_network(file: Path) -> Path:
    """Three nodes that TensorRT does not take, two of them of an unknown domain."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Odd", ["a"], ["b"], name="odd one", domain="nowhere"),
        helper.make_node("Odder", ["b"], ["c"], name="odder one", domain="nowhere"),
        helper.make_node("Det", ["c"], ["y"], name="det"),
    ]
    return saved(file, nodes, [value("x", FLOAT, ["n", 2])], [value("y", FLOAT, None)], [])


def product(file: Path, **options: object) -> Path:
    """A product with 64 KiB of weights; by default they are external, in `weights.bin`."""
    value = helper.make_tensor_value_info
    weights = np.random.default_rng(0).normal(size=(128, 128))
    external = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    return saved(
        file,
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        [value("x", FLOAT, ["batch", 128])],
        [value("y", FLOAT, ["batch", 128])],
        [tensor("weight", weights)],
        **(external | options),
    )
