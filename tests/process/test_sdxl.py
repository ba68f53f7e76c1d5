"""SDXL through the whole house: pictures in torch and through engines, and TensorRT's builds.

The phases of a build run here in one process, which knows torch already; that they run as child
processes of a worker is shown with FLUX.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backend.contracts import (
    EngineProfile,
    EngineRequest,
    EngineState,
    GenerateRequest,
    JobKind,
    JobState,
    Precision,
    Runtime,
)
from backend.engines import phases
from backend.errors import Code, StudioError
from backend.images.pipeline import load_pipeline
from backend.models.catalog import find_model
from backend.settings import Settings
from backend.studio import Studio
from tests import support
from tests.support import OWNER, PATIENCE_S, running_worker

MODEL = "tiny-sdxl"
CHILDREN = {
    "backend.quantize.diffusion": "calibrate_denoiser",
    "backend.engines.prepare": "prepare",
    "backend.engines.build": "build",
    "backend.engines.try_onnx": "try_onnx",
}
SMALL = EngineProfile(min_side=64, max_side=128, opt_width=64, opt_height=128)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, sdxl_models: Path) -> Iterator[Studio]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), models=(sdxl_models,))
    studio = Studio(settings)
    with running_worker(settings):
        yield studio
    studio.close()


@pytest.fixture(scope="module")
def built(studio: Studio) -> Iterator[Studio]:
    """With engines in ONNX Runtime at FP32, INT8 and FP8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "run_child", in_this_process)
        for precision in (Precision.FP32, Precision.INT8, Precision.FP8):
            build(studio, precision=precision, runtime=Runtime.ONNXRUNTIME)
        yield studio


def in_this_process(module: str, arguments: dict[str, Any], *_: Any, **__: Any) -> Any:
    function = getattr(importlib.import_module(module), CHILDREN[module])
    return function(arguments, lambda news: None)


def build(studio: Studio, **values: Any) -> list[str]:
    """Run the phases of a build; the ids of its engines."""
    small = {"calibration_prompts": 4, "calibration_steps": 4, "profile": SMALL}
    asked = EngineRequest(model=MODEL, **(small | values))
    context: Any = SimpleNamespace(
        row=SimpleNamespace(id="build", kind=JobKind.ENGINE, request=asked.model_dump(mode="json")),
        report=lambda *_, **__: None,
        check=lambda: None,
    )
    calibrated = phases.calibrate(context, studio.settings)
    exported = phases.export(context, studio.settings, calibrated)
    engines: list[str] = phases.build(context, studio.settings, calibrated, exported)["engines"]
    return engines


def asked(**changes: Any) -> GenerateRequest:
    return support.request(**({"model": MODEL, "steps": 6, "guidance": 5.0} | changes))


def picture(studio: Studio, request: GenerateRequest) -> np.ndarray:
    job = studio.jobs.wait(studio.pictures.generate(request, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    return np.asarray(Image.open(job.images[0].path))


def plain(studio: Studio, request: GenerateRequest) -> np.ndarray:
    """The picture of diffusers' own call."""
    folder = find_model(studio.settings, MODEL).folder
    assert folder
    pipeline = load_pipeline(folder, MODEL, request.precision, torch.device("cpu"))
    made = pipeline(
        request.prompt,
        negative_prompt=request.negative_prompt or None,
        height=request.height,
        width=request.width,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    return np.asarray(made.images[0])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": Precision.BF16, "negative_prompt": "blue"},
        {"guidance": 1.0, "width": 80, "height": 144},
    ],
)
def test_pixels_are_those_of_the_plain_call(studio: Studio, changes: dict[str, Any]) -> None:
    request = asked(**changes)
    assert (picture(studio, request) == plain(studio, request)).all()


def test_a_negative_prompt_changes_the_picture_and_is_kept_with_it(studio: Studio) -> None:
    request = asked(negative_prompt="a red circle left of a blue square")
    job = studio.jobs.wait(studio.pictures.generate(request, OWNER), OWNER, PATIENCE_S)
    file = Path(job.images[0].path)
    assert (np.asarray(Image.open(file)) != picture(studio, asked())).any()
    assert studio.pictures.settings_of(file) == request
    assert f"Negative prompt: {request.negative_prompt}\n" in Image.open(file).info["parameters"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"prompt": "red " * 100}, Code.PROMPT_TOO_MANY_TOKENS),
        ({"negative_prompt": "red " * 100}, Code.PROMPT_TOO_MANY_TOKENS),
        ({"negative_prompt": "blue", "guidance": 1.0}, Code.NEGATIVE_PROMPT_UNGUIDED),
        ({"negative_prompt": "blue", "model": "demo-flux"}, Code.NEGATIVE_PROMPT_UNSUPPORTED),
        ({"width": 72}, Code.SIZE_NOT_MULTIPLE),
    ],
)
def test_what_the_model_does_not_take_is_refused(
    studio: Studio, changes: dict[str, Any], code: Code
) -> None:
    with pytest.raises(StudioError) as refusal:
        studio.pictures.check(asked(**changes))
    assert refusal.value.code is code
    assert refusal.value.info.message("ko")
    assert refusal.value.info.hint("ko")


def test_pictures_through_engines_differ_as_much_as_their_precision(built: Studio) -> None:
    reference = picture(built, asked()).astype(np.float64)
    made = {
        precision: picture(built, asked(runtime=Runtime.ONNXRUNTIME, precision=precision))
        for precision in (Precision.FP32, Precision.INT8, Precision.FP8)
    }
    worst = {precision: np.abs(one - reference) for precision, one in made.items()}
    assert worst[Precision.FP32].max() <= 1
    for precision in (Precision.INT8, Precision.FP8):
        psnr = 10 * np.log10(255**2 / (worst[precision] ** 2).mean())
        assert 15 < psnr < 60, precision


def test_sides_that_do_not_halve_evenly_are_those_of_torch(built: Studio) -> None:
    odd = {"width": 80, "height": 112, "guidance": 1.0}
    reference = picture(built, asked(**odd)).astype(np.float64)
    made = picture(built, asked(**odd, runtime=Runtime.ONNXRUNTIME))
    assert np.abs(made - reference).max() <= 1
    for engine in built.engines.all():
        if engine.manifest.precision is Precision.FP32:
            assert engine.manifest.relative_error is not None
            assert engine.manifest.relative_error < 1e-3


@pytest.mark.parametrize(
    "precision", [Precision.FP16, Precision.INT8, Precision.FP8, Precision.NVFP4]
)
def test_tensorrt_builds_the_unet(built: Studio, precision: Precision) -> None:
    (engine,) = build(built, precision=precision, target="sm121", module="unet")
    view = built.engines.inspect(engine)
    assert view.engine.state is EngineState.OTHER_GPU
    for kind in ("MatMul", "Conv"):
        products = [layer for layer in view.layers if layer.kind == kind]
        lowest = Precision.FP8 if (precision, kind) == (Precision.NVFP4, "Conv") else precision
        share = sum(layer.precision == lowest for layer in products) / len(products)
        assert share > 0.5, (kind, share)
