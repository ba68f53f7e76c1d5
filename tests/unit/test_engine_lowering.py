"""Lowered graphs compute what the calibration says, and are what TensorRT takes."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backend.contracts import Precision
from backend.engines.cache import data_file
from backend.engines.lower import lower
from backend.engines.network import layers_of
from backend.engines.runtimes.ort import open_session, run_session
from backend.engines.weights import WeightWriter, check_data, load_graph, read
from backend.engines.widen import widened
from backend.errors import Code, StudioError
from backend.quantize.calibration import Calibration, LayerCalibration
from backend.quantize.fake import RoundToNvfp4
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


def lowered(
    folder: Path, calibration: Calibration, model: onnx.ModelProto | None = None
) -> tuple[onnx.ModelProto, Path]:
    """The graph lowered with weights outside of it, before and after; and its file."""
    plain, file = folder / "plain.onnx", folder / "model.onnx"
    save_with_data(model or linear(), plain)
    with WeightWriter(file) as writer:
        made = lower(load_graph(plain), folder, "model.", calibration, writer)
    onnx.save(made, str(file))
    return made, file


def save_with_data(model: onnx.ModelProto, file: Path) -> None:
    onnx.save(
        model, str(file), save_as_external_data=True, location=f"{file.name}.data", size_threshold=0
    )


def weights(model: onnx.ModelProto, folder: Path, kind: int) -> np.ndarray:
    return read(next(t for t in model.graph.initializer if t.data_type == kind), folder)


def run(file: Path, x: np.ndarray = INPUT) -> np.ndarray:
    return run_session(open_session(file, int8=False), {"x": x})[0]


@pytest.mark.parametrize("smooth", [False, True])
def test_int8_is_rounding_to_127_steps(smooth: bool, tmp_path: Path) -> None:
    scale = RANDOM.uniform(0.5, 2, WIDTH).astype(np.float32) if smooth else None
    given = calibration(Precision.INT8, scale)
    layer = given.layers["layer"]
    x, w = (INPUT, WEIGHT) if scale is None else (INPUT * scale, WEIGHT / scale[:, None])
    assert layer.input_amax is not None
    assert layer.weight_amax is not None
    x_step, w_step = np.float32(layer.input_amax / 127), (layer.weight_amax / 127)[None]
    expected = (np.round(x / x_step) * x_step) @ (np.round(w / w_step) * w_step)
    np.testing.assert_allclose(run(lowered(tmp_path, given)[1]), expected, atol=1e-4)


def test_fp8_is_rounding_to_e4m3(tmp_path: Path) -> None:
    given = calibration(Precision.FP8)
    x_step, w_step = (np.float32(np.abs(a).max() / 448) for a in (INPUT, WEIGHT))
    rounded = [
        (a / step).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * step
        for a, step in ((INPUT, x_step), (WEIGHT, w_step))
    ]
    out = run(lowered(tmp_path, given)[1])
    np.testing.assert_allclose(out, rounded[0] @ rounded[1], atol=1e-4)


def test_nvfp4_weights_are_blocks_of_four_bits_with_scales_of_eight(tmp_path: Path) -> None:
    model, file = lowered(tmp_path, calibration(Precision.NVFP4))
    four = weights(model, tmp_path, TensorProto.FLOAT4E2M1).astype(np.float32)
    scales = weights(model, tmp_path, TensorProto.FLOAT8E4M3FN).astype(np.float32)
    assert data_file(file).stat().st_size < WIDTH * WIDTH * 0.5625 + 2 * 4096
    assert scales.shape == (WIDTH // 16, WIDTH)
    fixed = np.abs(WEIGHT).max() / (6 * 448)
    decoded = four * np.repeat(scales * fixed, 16, axis=0)
    largest = np.repeat(np.abs(WEIGHT).reshape(4, 16, WIDTH).max(1), 16, axis=0)
    assert (np.abs(decoded - WEIGHT) <= largest / 6 * 1.1).all()
    ops = [node.op_type for node in model.graph.node]
    assert ops.count("TRT_FP4DynamicQuantize") == 1


def test_an_nvfp4_graph_that_is_widened_rounds_as_torch_and_modelopt_do(tmp_path: Path) -> None:
    """Three ways to the same numbers: our packed file, our quantiser, ModelOpt's tensors."""
    import torch
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    given = calibration(Precision.NVFP4)
    model, _ = lowered(tmp_path, given)
    wide = tmp_path / "wide.onnx"
    with WeightWriter(wide) as writer:
        onnx.save(widened(model, tmp_path, writer), str(wide))
    layer = given.layers["layer"]
    assert layer.input_amax is not None
    x, w = torch.from_numpy(INPUT), torch.from_numpy(WEIGHT.T.copy())
    ours = [RoundToNvfp4(layer.input_amax)(x), RoundToNvfp4(float(np.abs(WEIGHT).max()))(w)]
    np.testing.assert_allclose(run(wide), (ours[0] @ ours[1].T).numpy(), rtol=1e-5, atol=1e-5)
    for plain, mine in zip((x, w), ours):
        packed, scale, fixed = NVFP4QTensor.quantize(plain, 16)
        theirs = packed.dequantize(
            dtype=torch.float32, scale=scale, double_scale=fixed, block_sizes={-1: 16}
        )
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_graph_in_sixteen_bits_is_widened_to_its_own_weights(tmp_path: Path) -> None:
    model = linear()
    narrow = WEIGHT.astype(ml_dtypes.bfloat16)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(narrow, "w"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.BFLOAT16
    plain, wide = tmp_path / "plain.onnx", tmp_path / "wide.onnx"
    save_with_data(model, plain)
    with WeightWriter(wide) as writer:
        onnx.save(widened(load_graph(plain), tmp_path, writer), str(wide))
    assert not data_file(wide).stat().st_size
    np.testing.assert_allclose(run(wide), INPUT @ narrow.astype(np.float32), atol=1e-4)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({"location": "../plain.onnx.data"}, Code.ONNX_DATA_OUTSIDE),
        ({"location": "/etc/passwd"}, Code.ONNX_DATA_OUTSIDE),
        ({"location": ""}, Code.ONNX_DATA_OUTSIDE),
        ({"location": "gone.data"}, Code.ONNX_DATA_MISSING),
        ({"offset": "64"}, Code.ONNX_DATA_TRUNCATED),
        ({"offset": "-4"}, Code.ONNX_DATA_WRONG),
        ({"offset": "x"}, Code.ONNX_UNREADABLE),
        ({"length": "4"}, Code.ONNX_DATA_WRONG),
    ],
)
def test_external_data_that_is_not_what_the_graph_says_is_refused(
    place: dict[str, str], code: Code, tmp_path: Path
) -> None:
    save_with_data(linear(), tmp_path / "plain.onnx")
    model = load_graph(tmp_path / "plain.onnx")
    check_data(model, tmp_path)
    for entry in model.graph.initializer[0].external_data:
        entry.value = place.get(entry.key, entry.value)
    for look in (
        lambda: check_data(model, tmp_path),
        lambda: read(model.graph.initializer[0], tmp_path),
    ):
        with pytest.raises(StudioError) as refusal:
            look()
        assert refusal.value.code is code


def test_external_data_that_was_cut_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plain.onnx"
    save_with_data(linear(), file)
    data = data_file(file).read_bytes()
    data_file(file).write_bytes(data[: len(data) // 2])
    with pytest.raises(StudioError, match="is cut"):
        check_data(load_graph(file), tmp_path)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8, Precision.NVFP4])
def test_the_view_names_the_precision_that_a_product_runs_in(
    precision: Precision, tmp_path: Path
) -> None:
    layers = list(layers_of(lowered(tmp_path, calibration(precision))[0], "model."))
    product = next(layer for layer in layers if layer.kind == "MatMul")
    assert (product.layer, product.precision) == ("layer", precision)


def test_a_layer_that_the_graph_lacks_is_an_error(tmp_path: Path) -> None:
    given = calibration(Precision.INT8)
    other = Calibration(given.family, given.recipe, {"elsewhere": given.layers["layer"]})
    with pytest.raises(KeyError, match="elsewhere"):
        lowered(tmp_path, other)


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
    _, file = lowered(tmp_path, given, big)
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
