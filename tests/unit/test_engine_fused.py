"""What ONNX Runtime's optimiser makes of a graph, node by node."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backend.engines.fused import fused_layers
from backend.engines.runtimes.ort import open_session

RANDOM = np.random.default_rng(3)


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RANDOM.normal(size=shape).astype(np.float32), name)


def graph(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], *shape: int
) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "g", [value], [out], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def gelu() -> onnx.ModelProto:
    """A product with its bias, through a GELU."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="product"),
        helper.make_node("Add", ["a", "b"], ["c"], name="bias"),
        helper.make_node("Gelu", ["c"], ["y"], name="gelu", approximate="tanh"),
    ]
    return graph(nodes, [weight("w", 8, 8), weight("b", 8)], 2, 8)


def residual() -> onnx.ModelProto:
    """Two convolutions whose results are added, in another memory layout after fusion."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one", kernel_shape=[1, 1]),
        helper.make_node("Conv", ["a", "w2"], ["b"], name="two", kernel_shape=[1, 1]),
        helper.make_node("Add", ["b", "a"], ["y"], name="sum"),
    ]
    weights = [weight("w1", 32, 32, 1, 1), weight("w2", 32, 32, 1, 1)]
    return graph(nodes, weights, 1, 32, 8, 8)


@pytest.mark.parametrize(
    ("make", "joined"),
    [(gelu, {("product", "bias"): "Gemm"}), (residual, {("two", "sum"): "Conv"})],
)
def test_every_node_before_fusion_is_in_one_after_it(tmp_path: Path, make, joined) -> None:
    model = make()
    onnx.save(model, str(tmp_path / "model.onnx"))
    optimized = tmp_path / "optimized.onnx"
    open_session(tmp_path / "model.onnx", int8=True, optimized=optimized)
    layers = fused_layers(model, onnx.load(str(optimized), load_external_data=False))
    parts = Counter(part for layer in layers for part in layer.parts)
    assert parts == Counter(node.name for node in model.graph.node)
    assert {layer.parts: layer.kind for layer in layers if len(layer.parts) > 1} == joined
