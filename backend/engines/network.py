"""The layers of an ONNX file as people read them: what a network is before anything is fused."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto

from backend.contracts import EngineLayer
from backend.engines.weights import byte_count

NAMES = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.DOUBLE: "fp64",
    TensorProto.INT8: "int8",
    TensorProto.FLOAT8E4M3FN: "fp8",
    TensorProto.FLOAT4E2M1: "nvfp4",
}


def layers_of(model: onnx.ModelProto, prefix: str = "") -> Iterator[EngineLayer]:
    """Every node in order. DequantizeLinear, and a product whose operands come out of one, has the
    precision of what goes in there."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=False)
    owners = node_layers(model, prefix)
    values = {
        value.name: value.type.tensor_type
        for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    }
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    charged: set[str] = set()
    for node in model.graph.node:
        outputs = [values[name] for name in node.output if name in values]
        kind = outputs[0].elem_type if outputs else 0
        own = [weights[name] for name in node.input if name in weights and name not in charged]
        charged |= {tensor.name for tensor in own}
        yield EngineLayer(
            name=node.name,
            kind=node.op_type,
            layer=owners.get(node.name, ""),
            precision=_quantised(node, makers, weights, values) or _name(kind),
            shapes=tuple(_shape(output) for output in outputs),
            bytes=sum(byte_count(tensor) for tensor in own),
        )


def _quantised(
    node: onnx.NodeProto,
    makers: dict[str, onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
    values: dict[str, onnx.TypeProto.Tensor],
) -> str | None:
    if node.op_type == "DequantizeLinear":
        return _stored(node.input[0], weights, values)
    if node.op_type not in ("MatMul", "Gemm", "Conv"):
        return None
    for name in node.input[1:2]:
        maker = makers.get(name)
        while maker is not None and maker.op_type in ("Cast", "Transpose"):
            maker = makers.get(maker.input[0])
        if maker is not None and maker.op_type == "DequantizeLinear":
            return _stored(maker.input[0], weights, values) or "fp8"
    return None


def _stored(
    name: str, weights: dict[str, onnx.TensorProto], values: dict[str, onnx.TypeProto.Tensor]
) -> str | None:
    """The precision in which a value is held before it is scaled back."""
    if name in weights:
        return _name(weights[name].data_type)
    return _name(values[name].elem_type) if name in values else None


def _name(kind: int) -> str:
    return NAMES.get(kind, TensorProto.DataType.Name(kind).lower() if kind else "")


def _shape(output: onnx.TypeProto.Tensor) -> str:
    return "x".join(str(dim.dim_param or dim.dim_value or "?") for dim in output.shape.dim)


def node_layers(model: onnx.ModelProto, prefix: str) -> dict[str, str]:
    """The torch module of each node: its dotted name by the node's name."""
    layers: dict[str, str] = {}
    for node in model.graph.node:
        properties = {prop.key: prop.value for prop in node.metadata_props}
        scopes = [
            scope.strip(" '\"[]")
            for scope in properties.get("pkg.torch.onnx.name_scopes", "").split(",")
        ]
        names = [scope[len(prefix) :] for scope in scopes if scope.startswith(prefix)]
        if names:
            layers[node.name] = names[-1]
    return layers
