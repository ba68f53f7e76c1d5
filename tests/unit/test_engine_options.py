"""What may be asked of a builder and a calibration, and what that makes another engine."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.contracts import EngineRequest, Precision
from backend.engines.needs import check_bytes, phase_needs
from backend.engines.options import check_prompts, profile_of, recipe_of
from backend.engines.plan import plan_builds
from backend.errors import Code, StudioError
from backend.models.catalog import find_model
from backend.quantize.prompts import keep_prompts
from backend.settings import Settings
from tests.unit.test_engine_plan import DEMO, LAPTOP, SPARK, asked

GIB = 1 << 30


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"optimization_level": 6}, Code.INVALID_REQUEST),
        ({"optimization_level": -1}, Code.INVALID_REQUEST),
        ({"workspace_bytes": 0}, Code.INVALID_REQUEST),
        ({"calibration_prompts": 0}, Code.RECIPE_INVALID),
        ({"calibration_steps": 0}, Code.RECIPE_INVALID),
        ({"calibration_steps": 1000}, Code.RECIPE_INVALID),
        ({"level": 1}, Code.QUANTIZATION_LEVEL_UNKNOWN),
        ({"level": 3.5}, Code.QUANTIZATION_LEVEL_UNKNOWN),
        ({"smoothquant_alpha": 0.5}, Code.RECIPE_INVALID),
        ({"precision": "int8", "smoothquant_alpha": 1.5}, Code.RECIPE_INVALID),
        ({"precision": "int8", "percentile": 0.99}, Code.RECIPE_INVALID),
        ({"precision": "bf16", "level": 3}, Code.RECIPE_INVALID),
        ({"precision": "fp32", "prompts": "0" * 64}, Code.RECIPE_INVALID),
    ],
)
def test_what_is_out_of_range_is_refused(values: dict[str, object], code: Code) -> None:
    with pytest.raises(StudioError) as refusal:
        plan_builds(asked(**values), DEMO, SPARK)
    assert refusal.value.code is code
    assert refusal.value.info.message("ko")


def test_refitting_needs_a_gpu_to_build_on() -> None:
    with pytest.raises(StudioError) as refusal:
        plan_builds(asked(refit=True), DEMO, LAPTOP)
    assert refusal.value.code is Code.GPU_NEEDED


@pytest.mark.parametrize(
    "values",
    [
        {"level": 3},
        {"prompts": "0" * 64},
        {"calibration_prompts": 5},
        {"refit": True},
        {"weight_streaming": True},
        {"workspace_bytes": GIB},
    ],
)
def test_every_option_makes_another_denoiser(values: dict[str, object]) -> None:
    plain, other = (
        next(b.key.id for b in plan_builds(request, DEMO, SPARK) if b.key.module == "transformer")
        for request in (asked(), asked(**values))
    )
    assert plain != other


def test_a_recipe_follows_the_request() -> None:
    usual = recipe_of(asked(precision="int8"), DEMO)
    assert (usual.samples, usual.steps, usual.smoothquant_alpha) == (32, 12, 0.8)
    other = recipe_of(
        asked(precision="int8", level=2.5, smoothquant_alpha=0.5, calibration_prompts=7), DEMO
    )
    assert other == replace(usual, level=2.5, smoothquant_alpha=0.5, samples=7)


def test_prompts_of_ones_own_are_kept_and_counted(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    digest = keep_prompts(tmp_path, ("one", "두 번째", "three"))
    check_prompts(settings, asked(prompts=digest, calibration_prompts=3), DEMO)
    refused = {
        Code.RECIPE_INVALID: asked(prompts=digest, calibration_prompts=4),
        Code.PROMPTS_UNREADABLE: asked(prompts="f" * 64),
    }
    for code, request in refused.items():
        with pytest.raises(StudioError) as refusal:
            check_prompts(settings, request, DEMO)
        assert refusal.value.code is code
    with pytest.raises(StudioError) as refusal:
        check_prompts(settings, asked(prompts="../../etc/passwd", calibration_prompts=1), DEMO)
    assert refusal.value.code is Code.PROMPTS_UNREADABLE


def test_sizes_that_are_left_out_are_the_models() -> None:
    limits = DEMO.limits
    assert profile_of(limits) is None
    narrow = profile_of(limits, max_side=128)
    assert narrow is not None
    assert (narrow.min_side, narrow.opt_width, narrow.max_side) == (64, 128, 128)
    static = profile_of(limits, static=True)
    assert static is not None
    assert static.min_side == static.opt_height == static.max_side == limits.native_height
    wide = profile_of(limits, static=True, opt_width=256, opt_height=128)
    assert wide is not None
    assert (wide.smallest, wide.largest) == ((256, 128), (256, 128))


@pytest.mark.parametrize(
    "sizes",
    [
        {"opt_width": 128},
        {"static": True, "min_side": 64},
    ],
)
def test_sizes_that_contradict_each_other_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(StudioError) as refusal:
        profile_of(DEMO.limits, **sizes)  # type: ignore[arg-type]
    assert refusal.value.code is Code.PROFILE_INVALID


def test_needs_grow_with_the_model_and_shrink_with_the_precision(tmp_path: Path) -> None:
    big = find_model(Settings(home=tmp_path), "flux.1-dev")

    def needs(precision: str, on_gpu: bool = False) -> dict[str, tuple[int, int]]:
        request = EngineRequest.model_validate({"model": "demo-flux", "precision": precision})
        builds = plan_builds(request, DEMO, LAPTOP)
        found = phase_needs(Settings(home=tmp_path), big, builds, on_gpu)
        return {phase: (one.memory_bytes, one.disk_bytes) for phase, one in found.items()}

    assert set(needs("bf16")) == {"export", "build"}
    assert set(needs("nvfp4")) == {"calibrate", "export", "build"}
    assert needs("nvfp4", on_gpu=True)["calibrate"] < needs("nvfp4")["calibrate"]
    assert needs("nvfp4")["build"] < needs("fp8")["build"] < needs("bf16")["build"]
    assert 33 * GIB < needs("bf16")["export"][0] < 45 * GIB
    assert phase_needs(Settings(home=tmp_path), big, (), on_gpu=False) == {}
    assert check_bytes(10**9, Precision.BF16, quantised=True) > check_bytes(
        10**9, Precision.FP32, quantised=False
    )
