"""Engines from the demo model: exported, calibrated, built and run by real processes."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from backend.contracts import (
    EngineRequest,
    EngineState,
    JobState,
    Precision,
    Runtime,
    VariantState,
)
from backend.engines.cache import Host, standing
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.models.families import ENGINE_PRECISIONS
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, await_phase, request, running_worker

QUICK = {"calibration_prompts": 8, "calibration_steps": 8}
BUILD_PATIENCE_S = 300.0
DENOISER_PRECISIONS = [
    precision for precision in ENGINE_PRECISIONS if precision is not Precision.FP16
]
"""FP16 is built for the text encoder: one more export of the denoiser takes half a minute."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio whose demo model has FP32, INT8 and FP8 engines in ONNX Runtime, and a worker."""
    studio = Studio(Settings(home=tmp_path_factory.mktemp("engines")))
    with running_worker(studio.settings):
        for precision in ("fp32", "int8", "fp8"):
            build(studio, precision=precision, runtime="onnxruntime")
        yield studio
    studio.close()


def build(studio: Studio, **values: object) -> dict[str, object]:
    asked = EngineRequest.model_validate({"model": "demo-flux"} | QUICK | values)
    job = studio.wait(studio.build_engine(asked, OWNER), OWNER, BUILD_PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result
    return job.result


def picture(studio: Studio, **values: object) -> np.ndarray:
    asked = request(width=256, height=256, steps=8, **values)
    job = studio.wait(studio.generate(asked, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    return np.asarray(Image.open(job.images[0].path)).astype(np.float64)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((one - other) ** 2).mean()))


def test_pictures_through_engines_differ_as_much_as_their_precision(built: Studio) -> None:
    reference = picture(built)
    fp32, fp8, int8 = (
        picture(built, runtime=Runtime.ONNXRUNTIME, precision=precision)
        for precision in (Precision.FP32, Precision.FP8, Precision.INT8)
    )
    assert np.abs(fp32 - reference).max() <= 1
    assert 15 < psnr(int8, reference) < 60
    assert 20 < psnr(fp8, reference) < 60


def test_a_second_request_finds_what_the_first_one_built(built: Studio) -> None:
    again = build(built, precision="fp8", runtime="onnxruntime")
    assert again["built"] == 0
    assert len(again["engines"]) == 4  # type: ignore[arg-type]
    assert not list((built.settings.home / "engines").glob(".*"))


def test_variants_with_engines_are_ready(built: Studio) -> None:
    variants = {(v.precision, v.runtime): v for v in built.model("demo-flux").variants}
    ready = variants[Precision.INT8, Runtime.ONNXRUNTIME]
    assert ready.state is VariantState.READY
    assert ready.memory_bytes > 0


@pytest.mark.parametrize(
    ("precision", "target"),
    [*((precision, "sm121") for precision in DENOISER_PRECISIONS), (Precision.NVFP4, "sm120")],
)
def test_tensorrt_builds_for_a_gpu_that_is_not_here(
    built: Studio, precision: Precision, target: str
) -> None:
    made = build(built, precision=precision, target=target, module="transformer")
    assert isinstance(made["engines"], list)
    view = built.inspect_engine(made["engines"][0])
    assert view.engine.manifest.target == target
    assert view.engine.manifest.layer_count > 100
    assert view.engine.state is EngineState.OTHER_GPU
    products = [layer for layer in view.layers if layer.kind == "MatMul"]
    share = sum(layer.precision == precision for layer in products) / len(products)
    assert share > 0.5, {layer.precision for layer in products}


def test_tensorrt_builds_the_other_modules_too(built: Studio) -> None:
    for module, precision in (
        ("text_encoder", Precision.FP16),
        ("text_encoder_2", Precision.BF16),
        ("vae_decoder", Precision.FP32),
    ):
        made = build(built, precision=precision, module=module)
        assert isinstance(made["engines"], list)
        manifest = built.inspect_engine(made["engines"][0]).engine.manifest
        assert (manifest.module, manifest.precision) == (module, precision)
        assert manifest.size_bytes > 1_000_000


def test_an_engine_that_was_cut_is_broken_and_one_of_another_version_stale(
    built: Studio,
) -> None:
    engine = next(
        engine
        for engine in built.engines()
        if (engine.manifest.precision, engine.manifest.runtime)
        == (Precision.INT8, Runtime.ONNXRUNTIME)
    )
    folder = built.settings.home / "engines" / engine.manifest.id
    here = Host("cpu", None, None, {"onnxruntime": engine.manifest.version})

    def state_of(host: Host = here, **changes: object) -> EngineState:
        changed = engine.manifest.model_copy(update=changes)
        return standing(changed, folder, engine.manifest.model_fingerprint, host)[0]

    assert state_of() is EngineState.VALID
    assert state_of(size_bytes=engine.manifest.size_bytes - 1) is EngineState.BROKEN
    assert state_of(file="gone.onnx") is EngineState.BROKEN
    assert state_of(format=0) is EngineState.STALE
    assert state_of(model_fingerprint="another") is EngineState.STALE
    assert state_of(Host("cpu", None, None, {"onnxruntime": "2"})) is EngineState.STALE
    assert state_of(target="sm121") is EngineState.OTHER_GPU
    assert state_of(Host("cpu", None, 48, here.versions), sm_count=170) is EngineState.OTHER_GPU


def test_a_cancelled_build_leaves_nothing_that_is_listed(built: Studio) -> None:
    before = {engine.manifest.id for engine in built.engines()}
    asked = EngineRequest(
        model="demo-flux", precision=Precision.INT8, calibration_prompts=100, calibration_steps=20
    )
    job_id = built.build_engine(asked, OWNER)
    await_phase(built, job_id, "calibrate", 1)
    built.cancel(job_id, OWNER)
    assert built.wait(job_id, OWNER, PATIENCE_S).state is JobState.CANCELLED
    assert {engine.manifest.id for engine in built.engines()} == before


def test_a_deleted_engine_is_gone_and_its_variant_wants_it_again(built: Studio) -> None:
    denoiser = next(
        engine.manifest.id
        for engine in built.engines()
        if engine.manifest.id.startswith("demo-flux.transformer.fp8.onnxruntime")
    )
    assert built.delete_engine(denoiser) > 1_000_000
    with pytest.raises(StudioError) as refusal:
        built.inspect_engine(denoiser)
    assert refusal.value.code is Code.ENGINE_NOT_FOUND
    variants = {(v.precision, v.runtime): v.state for v in built.model("demo-flux").variants}
    assert variants[Precision.FP8, Runtime.ONNXRUNTIME] is VariantState.BUILDABLE
    with pytest.raises(StudioError) as refusal:
        picture(built, runtime=Runtime.ONNXRUNTIME, precision=Precision.FP8)
    assert refusal.value.code is Code.VARIANT_UNAVAILABLE


def test_onnx_that_tensorrt_does_not_take_names_the_node(tmp_path: Path) -> None:
    value = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("x", "y")
    ]
    node = helper.make_node("Unheard", ["x"], ["y"], name="odd", domain="nowhere")
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("nowhere", 1)]
    file = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(file))
    for content, where in ((None, "Unheard"), (b"not ONNX", "odd.onnx")):
        if content:
            file.write_bytes(content)
        arguments = {
            "edition": "rtx",
            "onnx": str(file),
            "plan": str(tmp_path / "plan"),
            "shapes": {},
            "target": "sm121",
            "optimization_level": 3,
            "workspace_bytes": None,
            "weight_streaming": False,
            "refit": False,
            "timing_cache": str(tmp_path / "timing"),
        }
        with pytest.raises(StudioError) as refusal:
            run_child("backend.engines.build", arguments, lambda news: None, lambda: None)
        assert refusal.value.code is Code.ONNX_INVALID
        assert where in str(refusal.value.info.values["where"])
        json.dumps(refusal.value.info.model_dump(mode="json"))
