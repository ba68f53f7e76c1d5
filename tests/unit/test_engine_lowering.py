"""Lowered graphs compute what the calibration says, and are what TensorRT takes."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from backend.contracts import Precision
from backend.engines.lower import lower
from backend.engines.network import layers_of
from backend.quantize.calibration import Calibration, LayerCalibration
from backend.quantize.recipes import default_recipe

WIDTH = 64
SCOPES = "pkg.torch.onnx.name_scopes"
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(WIDTH, WIDTH)).astype(np.float32)
INPUT = RANDOM.normal(size=(3, WIDTH)).astype(np.float32)


def linear() -> onnx.ModelProto:
    """x @ W as the exporter writes a Linear layer named `layer`."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    node.metadata_props.add(key=SCOPES, value="['', 'model.layer', 'linear']")
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", WIDTH])],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def calibration(precision: Precision, scale: np.ndarray | None = None) -> Calibration:
    weight = WEIGHT if scale is None else WEIGHT / scale[:, None]
    per_channel = precision is Precision.INT8
    amax = np.abs(INPUT if scale is None else INPUT * scale).max()
    layer = LayerCalibration(
        "linear",
        precision,
        input_amax=float(amax),
        weight_amax=np.abs(weight).max(axis=0) if per_channel else np.abs(weight).max(),
        pre_quant_scale=scale,
    )
    return Calibration("flux", default_recipe("flux", precision), {"layer": layer})


def run(model: onnx.ModelProto) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    out: np.ndarray = session.run(None, {"x": INPUT})[0]
    return out


@pytest.mark.parametrize("smooth", [False, True])
def test_int8_is_rounding_to_127_steps(smooth: bool) -> None:
    scale = RANDOM.uniform(0.5, 2, WIDTH).astype(np.float32) if smooth else None
    given = calibration(Precision.INT8, scale)
    layer = given.layers["layer"]
    x, w = (INPUT, WEIGHT) if scale is None else (INPUT * scale, WEIGHT / scale[:, None])
    assert layer.input_amax is not None
    assert layer.weight_amax is not None
    x_step, w_step = np.float32(layer.input_amax / 127), (layer.weight_amax / 127)[None]
    expected = (np.round(x / x_step) * x_step) @ (np.round(w / w_step) * w_step)
    np.testing.assert_allclose(run(lower(linear(), "model.", given)), expected, atol=1e-4)


def test_fp8_is_rounding_to_e4m3() -> None:
    given = calibration(Precision.FP8)
    x_step, w_step = (np.float32(np.abs(a).max() / 448) for a in (INPUT, WEIGHT))
    rounded = [
        (a / step).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * step
        for a, step in ((INPUT, x_step), (WEIGHT, w_step))
    ]
    out = run(lower(linear(), "model.", given))
    np.testing.assert_allclose(out, rounded[0] @ rounded[1], atol=1e-4)


def test_nvfp4_weights_are_blocks_of_four_bits_with_scales_of_eight() -> None:
    model = lower(linear(), "model.", calibration(Precision.NVFP4))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    four = next(t for t in stored.values() if t.data_type == TensorProto.FLOAT4E2M1)
    assert len(four.raw_data) == WIDTH * WIDTH // 2
    scales = next(t for t in stored.values() if t.data_type == TensorProto.FLOAT8E4M3FN)
    assert tuple(scales.dims) == (WIDTH // 16, WIDTH)
    fixed = np.abs(WEIGHT).max() / (6 * 448)
    plain = numpy_helper.to_array(scales).astype(np.float32) * fixed
    decoded = numpy_helper.to_array(four).astype(np.float32) * np.repeat(plain, 16, axis=0)
    largest = np.repeat(np.abs(WEIGHT).reshape(4, 16, WIDTH).max(1), 16, axis=0)
    assert (np.abs(decoded - WEIGHT) <= largest / 6 * 1.1).all()
    ops = [node.op_type for node in model.graph.node]
    assert ops.count("TRT_FP4DynamicQuantize") == 1


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8, Precision.NVFP4])
def test_the_view_names_the_precision_that_a_product_runs_in(precision: Precision) -> None:
    layers = list(layers_of(lower(linear(), "model.", calibration(precision)), "model."))
    product = next(layer for layer in layers if layer.kind == "MatMul")
    assert (product.layer, product.precision) == ("layer", precision)


def test_a_layer_that_the_graph_lacks_is_an_error() -> None:
    given = calibration(Precision.INT8)
    other = Calibration(given.family, given.recipe, {"elsewhere": given.layers["layer"]})
    with pytest.raises(KeyError, match="elsewhere"):
        lower(linear(), "model.", other)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8, Precision.NVFP4])
def test_tensorrt_keeps_the_weights_small(precision: Precision, tmp_path: Path) -> None:
    """Built for real: a plan that held the weights in FP32 would be larger than the FP32 file."""
    from backend.engines.build import build

    width = 1024
    big = linear()
    weight = RANDOM.normal(size=(width, width)).astype(np.float32)
    big.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    for value in (*big.graph.input, *big.graph.output):
        value.type.tensor_type.shape.dim[1].dim_value = width
    layer = LayerCalibration(
        "linear",
        precision,
        input_amax=4.0,
        weight_amax=np.abs(weight).max(axis=0 if precision is Precision.INT8 else None),
    )
    given = Calibration("flux", default_recipe("flux", precision), {"layer": layer})
    file = tmp_path / "model.onnx"
    onnx.save(lower(big, "model.", given), str(file))
    made = build(
        {
            "edition": "rtx",
            "onnx": str(file),
            "plan": str(tmp_path / "engine.plan"),
            "shapes": {"x": [[1, width], [8, width], [64, width]]},
            "target": "sm121",
            "optimization_level": 3,
            "workspace_bytes": None,
            "weight_streaming": False,
            "refit": False,
            "timing_cache": str(tmp_path / "timing"),
        },
        lambda news: None,
    )
    bits = {Precision.INT8: 8, Precision.FP8: 8, Precision.NVFP4: 4.5}[precision]
    assert made["size_bytes"] < width * width * bits / 8 + 500_000
