"""Small ONNX files laid out, named and typed as the pre-exported ones of FLUX.1 are."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

BF16, INT32, FP8 = TensorProto.BFLOAT16, TensorProto.INT32, TensorProto.FLOAT8E4M3FN
TOKENS, WIDTH = 512, 128
DATA = "backbone.onnx_data"
Shape = list[int | str]
Inputs = dict[str, tuple[int, Shape]]
"""Type and shape by name."""


def write_all(folder: Path) -> dict[str, bytes]:
    """A repository of them, by name; denoisers in BF16 and FP8."""
    graphs = {
        "clip.opt": _clip(),
        "t5.opt": _t5(),
        "vae.opt": _vae(),
        "transformer.opt/bf16": transformer(quantised=False),
        "transformer.opt/fp8": transformer(quantised=True),
    }
    for name, model in graphs.items():
        (folder / name).mkdir(parents=True)
        save(model, folder / name / "model.onnx")
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save(model, str(file), save_as_external_data=True, location=DATA, size_threshold=1024)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: Inputs,
    output: tuple[str, Shape],
    weights: list[TensorProto],
) -> onnx.ModelProto:
    given = [helper.make_tensor_value_info(name, *about) for name, about in inputs.items()]
    made = [helper.make_tensor_value_info(output[0], BF16, output[1])]
    graph = helper.make_graph(nodes, "tiny", given, made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _bf16(name: str, *shape: int) -> TensorProto:
    values = np.random.default_rng(7).normal(0, 0.1, shape).astype(np.float32)
    data = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return helper.make_tensor(name, BF16, shape, data, raw=True)


def _ints(name: str, *values: int) -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def _clip() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["hidden"]),
        helper.make_node("ReduceMean", ["hidden", "axes"], ["pooled_embeddings"], keepdims=0),
    ]
    weights = [_bf16("words", 1000, WIDTH), _ints("axes", 1)]
    inputs: Inputs = {"input_ids": (INT32, ["B", 77])}
    return _model(nodes, inputs, ("pooled_embeddings", ["B", WIDTH]), weights)


def _t5() -> onnx.ModelProto:
    nodes = [helper.make_node("Gather", ["words", "input_ids"], ["text_embeddings"])]
    inputs: Inputs = {"input_ids": (INT32, ["B", TOKENS])}
    weights = [_bf16("words", 1000, WIDTH)]
    return _model(nodes, inputs, ("text_embeddings", ["B", TOKENS, WIDTH]), weights)


def _vae() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["latent", "kernel"], ["colours"]),
        helper.make_node("DepthToSpace", ["colours"], ["images"], blocksize=8),
    ]
    inputs: Inputs = {"latent": (BF16, ["B", 16, "H", "W"])}
    return _model(nodes, inputs, ("images", ["B", 3, "8H", "8W"]), [_bf16("kernel", 192, 16, 1, 1)])


def transformer(quantised: bool) -> onnx.ModelProto:
    inputs: Inputs = {
        "hidden_states": (BF16, ["B", "latent_dim", 64]),
        "encoder_hidden_states": (BF16, ["B", TOKENS, WIDTH]),
        "pooled_projections": (BF16, ["B", WIDTH]),
        "timestep": (BF16, ["B"]),
        "img_ids": (TensorProto.FLOAT, ["latent_dim", 3]),
        "txt_ids": (TensorProto.FLOAT, [TOKENS, 3]),
        "guidance": (TensorProto.FLOAT, ["B"]),
    }
    weights = [_ints("last", 1), _ints("rest", 1, 2), _ints("all", 0, 1), _bf16("down", 1024, 64)]
    nodes = []
    product = ["hidden_states", "up"]
    if quantised:
        scale = helper.make_tensor("scale", BF16, [], b"\x80\x3c", raw=True)
        zero = helper.make_tensor("zero", FP8, [], b"\x00", raw=True)
        up = helper.make_tensor("up8", FP8, [64, 1024], b"\x38" * 64 * 1024, raw=True)
        weights += [scale, zero, up]
        nodes = [
            helper.make_node("QuantizeLinear", ["hidden_states", "scale", "zero"], ["x8"]),
            helper.make_node("DequantizeLinear", ["x8", "scale", "zero"], ["x"]),
            helper.make_node("DequantizeLinear", ["up8", "scale", "zero"], ["w"]),
        ]
        product = ["x", "w"]
    else:
        weights.append(_bf16("up", 64, 1024))
    nodes += [
        helper.make_node("MatMul", product, ["wide"], name="up_projection"),
        helper.make_node("MatMul", ["wide", "down"], ["narrow"], name="down_projection"),
        helper.make_node("ReduceMean", ["encoder_hidden_states", "rest"], ["text"], keepdims=1),
        helper.make_node("ReduceMean", ["pooled_projections", "last"], ["pool"], keepdims=0),
        helper.make_node("Cast", ["guidance"], ["guide"], to=BF16),
        helper.make_node("Add", ["timestep", "guide"], ["when"]),
        helper.make_node("Add", ["when", "pool"], ["one"]),
        helper.make_node("Unsqueeze", ["one", "rest"], ["scalar"]),
        helper.make_node("ReduceMean", ["img_ids", "all"], ["place"], keepdims=0),
        helper.make_node("ReduceMean", ["txt_ids", "all"], ["word"], keepdims=0),
        helper.make_node("Add", ["place", "word"], ["ids"]),
        helper.make_node("Cast", ["ids"], ["offset"], to=BF16),
        helper.make_node("Add", ["narrow", "text"], ["with_text"]),
        helper.make_node("Add", ["with_text", "scalar"], ["with_time"]),
        helper.make_node("Add", ["with_time", "offset"], ["latent"]),
    ]
    return _model(nodes, inputs, ("latent", ["B", "latent_dim", 64]), weights)
