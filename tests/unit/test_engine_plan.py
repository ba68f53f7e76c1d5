"""Which engines a request asks for, and where they stand."""

from pathlib import Path

import pytest

from backend.contracts import EngineProfile, EngineRequest, Precision, Runtime, VariantState
from backend.engines.build import PhaseTree
from backend.engines.cache import Host
from backend.engines.plan import full_profile, plan_builds
from backend.engines.shapes import input_shapes
from backend.engines.variants import engine_variants
from backend.errors import Code, StudioError
from backend.models.catalog import find_model
from backend.settings import Settings

VERSIONS = {"rtx": "1.7.1.116", "onnxruntime": "1.31.1"}
LAPTOP = Host(target="cpu", gpu=None, sm_count=None, versions=VERSIONS)
SPARK = Host(target="sm121", gpu="NVIDIA GB10", sm_count=48, versions=VERSIONS)
IN_CONTAINER = Host("sm121", "NVIDIA GB10", 48, VERSIONS | {"enterprise": "10.14.1.48"})
HOPPER = Host(target="sm90", gpu="NVIDIA H200", sm_count=132, versions=VERSIONS)
DEMO = find_model(Settings(home=Path("unused")), "demo-flux")


def asked(**values: object) -> EngineRequest:
    return EngineRequest.model_validate({"model": "demo-flux", "precision": "fp8"} | values)


def test_only_the_denoiser_is_quantised() -> None:
    built = {one.key.module: one.key.precision for one in plan_builds(asked(), DEMO, SPARK)}
    assert built == {
        "text_encoder": Precision.FP16,
        "text_encoder_2": Precision.BF16,
        "transformer": Precision.FP8,
        "vae_decoder": Precision.BF16,
    }


def test_variants_share_the_engines_that_are_the_same() -> None:
    fp8 = {one.key.id for one in plan_builds(asked(), DEMO, SPARK)}
    int8 = {one.key.id for one in plan_builds(asked(precision="int8"), DEMO, SPARK)}
    assert len(fp8 & int8) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"target": "sm120"},
        {"optimization_level": 4},
        {"calibration_steps": 3},
        {"profile": EngineProfile(min_side=64, max_side=128, opt_width=64, opt_height=128)},
    ],
)
def test_whatever_changes_an_engine_changes_its_id(change: dict[str, object]) -> None:
    denoiser = [
        next(one for one in plan_builds(request, DEMO, SPARK) if one.key.module == "transformer")
        for request in (asked(), asked(**change))
    ]
    assert denoiser[0].key.id != denoiser[1].key.id


def test_the_edition_follows_the_machine_and_the_target() -> None:
    def edition(host: Host, **values: object) -> tuple[str, int | None]:
        key = plan_builds(asked(**values), DEMO, host)[0].key
        return key.edition, key.sm_count

    assert edition(LAPTOP) == ("rtx", None)
    assert edition(SPARK) == ("rtx", None)
    assert edition(IN_CONTAINER) == ("enterprise", 48)
    assert edition(IN_CONTAINER, target="sm89") == ("rtx", None)
    assert edition(SPARK, runtime=Runtime.ONNXRUNTIME) == ("onnxruntime", None)


@pytest.mark.parametrize(
    ("values", "host", "code"),
    [
        ({"target": "sm90"}, LAPTOP, Code.TARGET_UNSUPPORTED),
        ({"target": "hopper"}, LAPTOP, Code.TARGET_UNSUPPORTED),
        ({}, HOPPER, Code.TARGET_UNSUPPORTED),
        ({}, Host("cpu", None, None, {}), Code.TENSORRT_MISSING),
        ({"precision": "int4"}, SPARK, Code.VARIANT_UNKNOWN),
        ({"runtime": "torch"}, SPARK, Code.VARIANT_UNKNOWN),
        ({"precision": "nvfp4", "runtime": "onnxruntime"}, SPARK, Code.VARIANT_UNKNOWN),
        ({"module": "unet"}, SPARK, Code.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_built_is_refused(values: dict[str, object], host: Host, code: Code) -> None:
    with pytest.raises(StudioError) as refusal:
        plan_builds(asked(**values), DEMO, host)
    assert refusal.value.code is code
    assert refusal.value.info.message("ko")
    assert refusal.value.info.hint("ko")


@pytest.mark.parametrize(
    "sides", [(63, 64, 64, 128), (64, 256, 64, 128), (128, 128, 128, 64), (64, 64, 64, 4096)]
)
def test_a_profile_that_contradicts_itself_is_refused(sides: tuple[int, ...]) -> None:
    low, width, height, high = sides
    profile = EngineProfile(min_side=low, opt_width=width, opt_height=height, max_side=high)
    with pytest.raises(StudioError) as refusal:
        plan_builds(asked(profile=profile), DEMO, SPARK)
    assert refusal.value.code is Code.PROFILE_INVALID


def test_a_static_profile_has_no_bounds() -> None:
    profile = EngineProfile.of_size(256, 128).model_copy(update={"min_side": 64})
    with pytest.raises(StudioError) as refusal:
        plan_builds(asked(profile=profile), DEMO, SPARK)
    assert refusal.value.code is Code.PROFILE_INVALID


def test_heights_are_heights() -> None:
    profile = EngineProfile(min_side=64, max_side=256, opt_width=256, opt_height=128)
    shapes = input_shapes(
        {"latent": [2, 16, 24, 16], "img_ids": [96, 3]},
        {"latent": [(0, "B"), (2, "H"), (3, "W")], "img_ids": [(0, "T")]},
        profile,
    )
    assert shapes["latent"] == [[1, 16, 8, 8], [1, 16, 16, 32], [1, 16, 32, 32]]
    assert shapes["img_ids"] == [[16, 3], [128, 3], [256, 3]]
    shapes = input_shapes(
        {"latent": [2, 16, 16, 32]},
        {"latent": [(0, "B"), (2, "H"), (3, "W")]},
        EngineProfile.of_size(256, 128),
    )
    assert shapes["latent"] == [[1, 16, 16, 32]] * 3


def test_where_the_variants_stand() -> None:
    def states(host: Host) -> set[VariantState]:
        found = engine_variants(DEMO, host, (), {})
        return {one.state for one in found if one.runtime is Runtime.TENSORRT}

    assert states(LAPTOP) == {VariantState.OTHER_GPU}
    assert states(SPARK) == {VariantState.BUILDABLE}
    assert states(HOPPER) == {VariantState.IMPOSSIBLE}


def test_the_full_profile_is_what_the_model_takes() -> None:
    profile = full_profile(DEMO)
    assert profile.takes(64, 256)
    assert not profile.takes(48, 64)


def test_build_phases_fold_into_one_share_that_never_falls() -> None:
    tree = PhaseTree()
    shares = [
        tree.start("Building", None, 2),
        tree.start("Preparing", "Building", 4),
        tree.step("Preparing", 0),
        tree.step("Preparing", 1),
        tree.finish("Preparing"),
        tree.step("Building", 0),
        tree.start("Timing", "Building", 10),
        tree.start("Preparing", "Timing", 2),
        tree.step("Preparing", 0),
        tree.finish("Timing"),
        tree.step("Building", 1),
    ]
    assert shares == sorted(shares)
    assert shares[3] == 0.25
    assert shares[-1] == 1.0
