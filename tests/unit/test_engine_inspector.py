"""TensorRT's engine inspector, read from answers in the forms that NVIDIA documents.

Not yet verified on hardware: the samples are written from the documentation of 10.x and of what
changed in 11.x, not recorded from a GPU.
"""

import json

import pytest

from backend.contracts import EngineManifest, EngineProfile, EngineRequest, Precision, Runtime
from backend.engines.command import build_command
from backend.engines.inspector import inspector_layers, precision_of

LAYER = {
    "Name": "to_q + gelu",
    "LayerType": "gemm",
    "Inputs": [{"Name": "x", "Dimensions": [-1, 192]}],
    "Weights": {"Type": "Int8", "Count": 36864},
    "Bias": {"Type": "Float", "Count": 192},
    "TacticName": "sm121_xmma_gemm",
    "Metadata": "[ONNX Layer: node_MatMul_4]\x1e[ONNX Layer: node_gelu]",
}
TEN = {
    "Layers": [
        LAYER
        | {
            "Outputs": [
                {
                    "Name": "y",
                    "Dimensions": [-1, 192],
                    "Format/Datatype": "Row major linear FP16 format",
                }
            ]
        },
        {
            "Name": "softmax",
            "LayerType": "kgen",
            "Outputs": [{"Name": "z", "Dimensions": [1, 4], "Format/Datatype": "BFloat16"}],
            "Metadata": "",
        },
    ],
    "Bindings": ["x", "y"],
}
ELEVEN = {
    "Layers": [
        LAYER
        | {
            "Outputs": [
                {
                    "Name": "y",
                    "Dimensions": [-1, 192],
                    "DataType": "Half",
                    "Format": "Row major linear",
                }
            ]
        },
        {
            "Name": "softmax",
            "LayerType": "kgen",
            "Outputs": [{"Name": "z", "Dimensions": [1, 4], "DataType": "BF16", "Format": "-"}],
        },
    ],
    "I/O Tensors": [{"Name": "x", "IOMode": "Input", "DataType": "Half", "Dimensions": [-1, 192]}],
}


@pytest.mark.parametrize("answer", [TEN, ELEVEN])
def test_both_forms_give_the_same_layers(answer: dict[str, object]) -> None:
    product, softmax = inspector_layers(json.dumps(answer))
    assert (product.kind, product.precision, product.shapes) == ("gemm", "int8", ("-1x192",))
    assert product.bytes == 36864 + 4 * 192
    assert product.parts == ("node_MatMul_4", "node_gelu")
    assert (softmax.precision, softmax.parts, softmax.bytes) == ("bf16", (), 0)


def test_an_engine_without_detailed_profiling_gives_names() -> None:
    (layer,) = inspector_layers(json.dumps({"Layers": ["conv1 + relu1"], "Bindings": []}))
    assert (layer.name, layer.precision, layer.shapes) == ("conv1 + relu1", "", ())


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"Layers": "none"}'])
def test_anything_else_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        inspector_layers(answer)


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Row major linear BFloat16 format", "bf16"),
        ("FP8E4M3", "fp8"),
        ("FP4E2M1", "nvfp4"),
        ("Float", "fp32"),
        ("N/A due to dynamic shapes", ""),
    ],
)
def test_types_in_tensorrts_words(words: str, precision: str) -> None:
    assert precision_of(words) == precision


def manifest(**changes: object) -> EngineManifest:
    values: dict[str, object] = {
        "id": "m.transformer.fp8.rtx.sm121.0",
        "model": "m",
        "module": "transformer",
        "precision": Precision.FP8,
        "runtime": Runtime.TENSORRT,
        "edition": "rtx",
        "version": "1.7.1.116",
        "target": "sm121",
        "gpu": None,
        "sm_count": None,
        "profile": EngineProfile(min_side=64, max_side=256, opt_width=256, opt_height=256),
        "file": "engine.plan",
        "file_sha256": "",
        "onnx_sha256": "",
        "model_fingerprint": "",
        "calibration": None,
        "size_bytes": 1,
        "build_s": 1.0,
        "layer_count": 1,
        "relative_error": None,
        "created_at": 0.0,
        "format": 1,
        "shapes": {
            "hidden_states": [[1, 16, 16], [1, 256, 16], [2, 256, 16]],
            "guidance": [[1], [1], [1]],
        },
        "request": EngineRequest(
            model="m",
            precision=Precision.FP8,
            optimization_level=4,
            workspace_bytes=2 * 1024**3,
            refit=True,
        ),
    }
    return EngineManifest.model_validate(values | changes)


def test_the_command_line_asks_for_the_same() -> None:
    words = build_command(manifest()).replace("\\\n", "").split()
    assert words == [
        "tensorrt_rtx",
        "--onnx=model.onnx",
        "--saveEngine=engine.plan",
        "--computeCapabilities=121",
        "--minShapes=hidden_states:1x16x16",
        "--optShapes=hidden_states:1x256x16",
        "--maxShapes=hidden_states:2x256x16",
        "--builderOptimizationLevel=4",
        "--memPoolSize=workspace:2048",
        "--refit",
        "--skipInference",
    ]
    older = build_command(manifest(edition="enterprise", version="10.14.1.48"))
    assert older.startswith("trtexec")
    assert "--stronglyTyped" in older
    assert "--stronglyTyped" not in build_command(manifest(edition="enterprise", version="11.4"))
    assert build_command(manifest(runtime=Runtime.ONNXRUNTIME, edition="onnxruntime")) == ""
