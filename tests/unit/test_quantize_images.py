"""What a picture model can be quantised to, what is in the way, and what its blocks do alone."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.contracts import ErrorInfo, FetchPlan, Precision, QuantizeImagesRequest, Runtime
from backend.engines.cache import Host
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.models.catalog import find_model
from backend.quantize.calibration import calibrate
from backend.quantize.fake import fake_quantised
from backend.quantize.images.choices import Here, image_recipes
from backend.quantize.images.inputs import Recorder, kept_steps, load_calls
from backend.quantize.images.order import make_order
from backend.quantize.images.plan import Asked, plan_images
from backend.quantize.images.sensitivity import alone, blocks_of, outputs
from backend.quantize.images.sizes import KNOWN_DENOISERS, denoiser_of, size_of
from backend.quantize.prompts import read_prompts
from backend.quantize.recipes import default_recipe
from backend.settings import ASSETS, Settings
from backend.studio import Studio
from tests.unit.denoisers import BUILDERS, INPUTS
from tests.unit.test_engine_plan import LAPTOP, SPARK
from tools.denoiser_shapes import known_denoisers

SETTINGS = Settings(home=Path("unused"))
PLENTY = 1 << 40
INT8, FP8, NVFP4 = Precision.INT8, Precision.FP8, Precision.NVFP4


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(Settings(home=tmp_path_factory.mktemp("home")))
    yield studio
    studio.close()


def recipes(model: str, host: Host, limit_bytes: int = PLENTY) -> dict[Precision, Any]:
    found = image_recipes(find_model(SETTINGS, model), Here(host, limit_bytes, ()))
    return {choice.name: choice for choice in found.recipes}


def test_known_denoisers_are_those_of_diffusers() -> None:
    assert json.loads(KNOWN_DENOISERS.read_text(encoding="utf-8")) == known_denoisers()


def test_sizes_of_flux_at_full_size() -> None:
    """In BF16 as on a GPU. 11.9 billion parameters, of which a level takes its layers' share."""
    levels = {one.level: one.size for one in recipes("flux.1-dev", SPARK)[NVFP4].levels}
    assert levels[4].base is Precision.BF16
    assert levels[4].source_bytes == 11_901_408_320 * 2
    assert levels[4].layers == 19 * 14 + 38 * 6
    feed_forward = 19 * 4 * 3072 * 12288 + 38 * 12288 * 3072
    assert levels[2].quantised_source_bytes == feed_forward * 2
    # half a byte a value, and an FP8 scale for sixteen of them
    assert levels[4].ratio_quantised_layers == pytest.approx(2 / (0.5 + 1 / 16), rel=1e-5)
    fp8 = {one.level: one.size for one in recipes("flux.1-dev", SPARK)[FP8].levels}
    assert fp8[4].ratio_quantised_layers == pytest.approx(2, rel=1e-5)
    assert levels[4].ratio_whole > fp8[4].ratio_whole > 1.9


@pytest.mark.parametrize("model", ["flux.1-schnell", "sdxl-1.0", "demo-flux", "demo-sdxl"])
@pytest.mark.parametrize("host", [LAPTOP, SPARK], ids=["laptop", "spark"])
def test_a_higher_level_is_smaller(model: str, host: Host) -> None:
    for choice in recipes(model, host).values():
        sizes = [level.size.whole_bytes for level in choice.levels]
        layers = [level.size.layers for level in choice.levels]
        assert all(a >= b for a, b in pairwise(sizes)) and sizes == sorted(sizes, reverse=True)
        assert layers == sorted(layers) and (not layers or layers[0] > 0)
        assert choice.possible == bool(choice.levels)
        for language in ("en", "ko"):
            assert choice.reason.render(language) and choice.quality.render(language)
            assert all(level.covers.render(language) for level in choice.levels)


def test_what_runs_where_is_told() -> None:
    here = recipes("demo-flux", LAPTOP)
    assert [one.runtime for one in here[INT8].runtimes] == [Runtime.ONNXRUNTIME, Runtime.TENSORRT]
    assert [one.runs_here for one in here[INT8].runtimes] == [True, False]
    assert [one.runs_here for one in here[NVFP4].runtimes] == [False]
    on_gpu = recipes("demo-flux", SPARK)
    assert on_gpu[NVFP4].runtimes[0].runs_here and on_gpu[INT8].runtimes[0].runs_here
    parts = {level.level: level.parts for level in here[INT8].levels}
    assert "A100" in parts[3] and "A100" not in parts[4], "attention is FP8 from level 4 on"
    assert not any("A100" in level.parts for level in here[FP8].levels)
    assert all("GB10 (DGX Spark)" in level.parts for level in here[NVFP4].levels)


def test_what_cannot_be_made_says_why() -> None:
    flux = recipes("flux.1-dev", LAPTOP)
    assert not flux[INT8].possible and flux[INT8].reason.key == "quantize_images.not_for_model"
    small = recipes("flux.1-dev", LAPTOP, limit_bytes=1 << 30)[FP8]
    assert (small.possible, small.calibrates_here) == (False, False)
    bare = Host("cpu", None, None, {"onnxruntime": "1"})
    nvfp4 = recipes("demo-flux", bare)[NVFP4]
    assert not nvfp4.possible and nvfp4.reason.key == "quantize_images.no_runtime"


def asked(**values: Any) -> QuantizeImagesRequest:
    return QuantizeImagesRequest.model_validate({"model": "demo-flux", "recipe": "int8"} | values)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"model": "nothing"}, Code.MODEL_UNKNOWN),
        ({"recipe": "int2"}, Code.QUANTIZE_RECIPE_UNKNOWN),
        ({"recipe": "bf16"}, Code.QUANTIZE_RECIPE_UNKNOWN),
        ({"model": "flux.1-dev"}, Code.QUANTIZE_RECIPE_UNAVAILABLE),
        ({"recipe": "nvfp4", "runtime": "onnxruntime"}, Code.QUANTIZE_RECIPE_UNAVAILABLE),
        ({"runtime": "torch"}, Code.QUANTIZE_RECIPE_UNAVAILABLE),
        ({"level": 1}, Code.QUANTIZATION_LEVEL_UNKNOWN),
        ({"smoothquant_alpha": 1.5}, Code.RECIPE_INVALID),
        ({"percentile": 0.99}, Code.RECIPE_INVALID),
        ({"recipe": "fp8", "smoothquant_alpha": 0.5}, Code.RECIPE_INVALID),
        ({"samples": 0}, Code.RECIPE_INVALID),
        ({"samples": 1000}, Code.RECIPE_INVALID),
        ({"calibration_steps": 0}, Code.RECIPE_INVALID),
        ({"runtime": "tensorrt", "target": "sm90"}, Code.TARGET_UNSUPPORTED),
        ({"runtime": "tensorrt", "target": "gpu"}, Code.TARGET_UNSUPPORTED),
        ({"count": 0}, Code.COUNT_OUT_OF_RANGE),
        ({"count": 1000}, Code.COUNT_OUT_OF_RANGE),
        ({"steps": 0}, Code.STEPS_OUT_OF_RANGE),
        ({"seed": -1}, Code.SEED_OUT_OF_RANGE),
        ({"guidance": 99.0}, Code.GUIDANCE_OUT_OF_RANGE),
        ({"width": 100}, Code.SIZE_NOT_MULTIPLE),
        ({"width": 4096}, Code.SIZE_OUT_OF_RANGE),
        ({"prompts": "0" * 64}, Code.PROMPTS_UNREADABLE),
        ({"calibration": "../x"}, Code.PROMPTS_UNREADABLE),
    ],
)
def test_bad_requests_are_told_by_the_plan_and_refused(
    studio: Studio, values: dict[str, Any], code: Code
) -> None:
    plan = studio.quantize_images.plan(asked(**values))
    assert plan.problem is not None and plan.problem.code is code
    assert plan.problem.message("ko") and plan.problem.hint("ko")
    assert [check.name for check in plan.checks if check.error is not None]
    with pytest.raises(StudioError) as refusal:
        studio.quantize_images.quantize(asked(**values), "visitor:a")
    assert refusal.value.code is code


def test_prompts_that_are_calibrated_on_are_not_compared(studio: Studio) -> None:
    known = read_prompts(ASSETS / "calibration" / "demo-flux.txt")
    order = make_order(SETTINGS, asked(samples=40, count=6), LAPTOP)
    assert len(set(order.prompts)) == 6 and not set(order.prompts) & set(known[:40])
    every = make_order(SETTINGS, asked(samples=len(known)), LAPTOP)
    assert set(every.prompts) <= set(every.entry.examples)
    mine = studio.engines.keep_prompts("\n".join([*known[:2], "a fish"]).encode(), "mine")
    with pytest.raises(StudioError) as refusal:
        studio.quantize_images.quantize(asked(prompts=mine), None)
    assert refusal.value.code is Code.EVALUATION_OVERLAPS
    all_of_them = asked(calibration=mine, prompts=None, samples=3, model="demo-sdxl")
    assert studio.quantize_images.plan(all_of_them).problem is None, "the model has examples"
    few = studio.engines.keep_prompts(b"a fish\na tree", "few")
    plan = studio.quantize_images.plan(asked(prompts=few, count=5))
    assert plan.problem is None and plan.prompts == ("a fish", "a tree")
    long = studio.engines.keep_prompts(("red " * 300).encode(), "long")
    too_long = studio.quantize_images.plan(asked(prompts=long)).problem
    assert too_long is not None and too_long.code is Code.PROMPT_TOO_MANY_TOKENS


def test_a_plan_fills_in_what_was_left_out(studio: Studio) -> None:
    plan = studio.quantize_images.plan(asked(runtime="onnxruntime"))
    assert plan.problem is None and plan.simulated is False
    limits = find_model(SETTINGS, "demo-flux").limits
    assert (plan.request.width, plan.request.steps) == (limits.native_width, limits.default_steps)
    assert (plan.request.level, plan.request.samples) == (3.0, 32)
    assert plan.size is not None and plan.memory_bytes and plan.disk_bytes
    assert {check.name for check in plan.checks} >= {"model", "recipe", "text", "disk", "memory"}
    elsewhere = studio.quantize_images.plan(asked(recipe="nvfp4", target="sm121"))
    warned = {check.name for check in elsewhere.checks if check.status == "warn"}
    assert elsewhere.simulated == ("pictures" in warned)


def test_the_hub_is_asked_for_a_model_that_is_not_here(studio: Studio) -> None:
    locked = ErrorInfo(code=Code.HUB_TOKEN_MISSING, values={"repo": "r", "url": "u"})
    told = FetchPlan(
        model="flux.1-dev",
        repos=(),
        total_bytes=0,
        here_bytes=0,
        missing_bytes=0,
        folder="",
        disk_free_bytes=0,
        problem=locked,
    )
    hub = Asked(LAPTOP, memory.sample(), PLENTY, studio.engines.estimate, lambda request: told)
    by_repository = asked(model="black-forest-labs/FLUX.1-schnell", recipe="fp8")
    plan = plan_images(SETTINGS, by_repository, hub)
    assert plan.request.model == "flux.1-schnell"
    assert [check.error for check in plan.checks if check.name == "hub"] == [locked]
    assert "hub" not in {check.name for check in plan_images(SETTINGS, asked(), hub).checks}


def test_blocks_are_told_by_the_path() -> None:
    layers = ["transformer_blocks.0.ff.net.0.proj", "transformer_blocks.0.attn", "mid_block.a.0"]
    assert blocks_of(layers) == {"transformer_blocks.0": 2, "mid_block": 1}


@pytest.mark.parametrize(("steps", "kept"), [(1, (0,)), (2, (0, 1)), (12, (0, 6, 11))])
def test_the_first_and_the_last_step_are_kept(steps: int, kept: tuple[int, ...]) -> None:
    assert kept_steps(steps) == kept


@pytest.mark.parametrize("family", ["flux", "sdxl"])
def test_each_block_alone_is_measured_on_what_was_recorded(family: str, tmp_path: Path) -> None:
    denoiser = BUILDERS[family]()
    recorder = Recorder(denoiser)
    with torch.no_grad(), recorder.recording(True, steps=2):
        for seed in range(2):
            inputs = INPUTS[family](seed)
            positional = [inputs.pop(name) for name in ("sample",) if name in inputs]
            denoiser(*positional, **inputs, return_dict=False)
    recorder.save(tmp_path / "calls.safetensors")
    calls = load_calls(tmp_path / "calls.safetensors", torch.device("cpu"))
    assert len(calls) == 2
    recipe = default_recipe(family, FP8, samples=1, steps=2)

    def forward(stand_in: torch.nn.Module) -> None:
        outputs(stand_in, calls)

    with torch.no_grad():
        wanted = outputs(denoiser, calls)
        for found, seed in zip(wanted, range(2), strict=True):
            (plain,) = denoiser(**INPUTS[family](seed), return_dict=False)
            assert torch.equal(found, plain)
        calibration = calibrate(
            denoiser, recipe, family, forward, lambda done, total: None, lambda: None
        )
        twin = fake_quantised(denoiser, calibration)
        errors = {
            block: alone(denoiser, twin, block, calls, wanted)
            for block in blocks_of(calibration.layers)
        }
        assert all(0 < error < 1 for error in errors.values()), errors
        assert all(
            torch.equal(a, b) for a, b in zip(outputs(denoiser, calls), wanted, strict=True)
        ), "the denoiser is as it was"
    first = next(iter(errors))
    layers = [name for name in calibration.layers if name.startswith(f"{first}.")]
    assert len(layers) == blocks_of(calibration.layers)[first]


def test_an_estimate_knows_a_folder_by_its_headers() -> None:
    entry = find_model(SETTINGS, "demo-sdxl")
    denoiser = denoiser_of(entry)
    convolutions = [layer for layer, _ in denoiser.layers if layer.type == "conv"]
    assert convolutions and denoiser.parameters < entry.parameters
    recipe = default_recipe("sdxl", INT8, 1, steps=2)
    size = size_of(denoiser, "sdxl", recipe, Precision.FP32)
    assert 0 < size.layers < len(convolutions), "the first and the last stay as they are"
    assert size.ratio_quantised_layers == pytest.approx(4, rel=0.02)
