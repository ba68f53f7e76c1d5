"""Which sizes the engines of a variant take, known before anything is queued."""

from pathlib import Path

import pytest

from backend.contracts import (
    Engine,
    EngineManifest,
    EngineProfile,
    EngineRequest,
    EngineState,
    Precision,
    Runtime,
)
from backend.engines.cache import FORMAT, Host
from backend.engines.plan import plan_builds
from backend.engines.variants import check_size, engines_of
from backend.errors import Code, StudioError
from backend.language import text
from backend.models.catalog import find_model
from backend.settings import Settings
from tests.support import request

SPARK = Host("sm121", "NVIDIA GB10", 48, {"rtx": "1.7.1.116", "onnxruntime": "1.31.1"})
DEMO = find_model(Settings(home=Path("unused")), "demo-flux")
SMALL = EngineProfile(min_side=64, max_side=128, opt_width=128, opt_height=128)
LARGE = EngineProfile(min_side=192, max_side=256, opt_width=256, opt_height=256)


def engines(
    profile: EngineProfile, runtime: Runtime = Runtime.TENSORRT, at: float = 1.0
) -> list[Engine]:
    asked = EngineRequest(
        model="demo-flux", precision=Precision.FP32, runtime=runtime, profile=profile
    )
    found = []
    for build in plan_builds(asked, DEMO, SPARK):
        key = build.key
        manifest = EngineManifest(
            **{name: value for name, value in vars(key).items() if name in COMMON},
            id=key.id,
            model_fingerprint=key.fingerprint,
            file="engine.plan",
            file_sha256="",
            onnx_sha256="",
            calibration=None,
            size_bytes=1,
            build_s=1.0,
            layer_count=1,
            relative_error=None,
            created_at=at,
            format=FORMAT,
        )
        found.append(
            Engine(manifest=manifest, state=EngineState.VALID, reason=text("engine.valid"))
        )
    return found


COMMON = EngineManifest.model_fields.keys()


def picture(side: int, runtime: Runtime = Runtime.TENSORRT, height: int | None = None):
    return request(precision=Precision.FP32, runtime=runtime, width=side, height=height or side)


def test_a_size_outside_the_profile_is_refused_with_those_that_work() -> None:
    check_size(picture(128), DEMO, engines(SMALL))
    with pytest.raises(StudioError) as refusal:
        check_size(picture(144), DEMO, engines(SMALL))
    assert refusal.value.code is Code.SIZE_OUT_OF_PROFILE
    assert "64–128 × 64–128" in refusal.value.info.message()


def test_a_static_engine_takes_its_one_size_which_need_not_be_square() -> None:
    tall = EngineProfile.of_size(64, 128)
    check_size(picture(64, height=128), DEMO, engines(tall))
    both = [*engines(tall, at=1.0), *engines(EngineProfile.of_size(128, 128), at=2.0)]
    chosen = engines_of(DEMO, Precision.FP32, Runtime.TENSORRT, both, (64, 128))
    assert chosen["transformer"].manifest.profile == tall
    with pytest.raises(StudioError) as refusal:
        check_size(picture(128, height=64), DEMO, both)
    assert "64 × 128, 128 × 128" in refusal.value.info.message()


def test_of_several_engines_those_that_take_the_size_are_run() -> None:
    both = [*engines(SMALL, at=1.0), *engines(LARGE, at=2.0)]
    check_size(picture(128), DEMO, both)
    chosen = engines_of(DEMO, Precision.FP32, Runtime.TENSORRT, both, (128, 128))
    assert chosen["transformer"].manifest.profile == SMALL
    newest = engines_of(DEMO, Precision.FP32, Runtime.TENSORRT, both)
    assert newest["transformer"].manifest.profile == LARGE


def test_onnx_runtime_takes_any_size() -> None:
    check_size(picture(256, Runtime.ONNXRUNTIME), DEMO, engines(SMALL, Runtime.ONNXRUNTIME))
