"""Calibration on tiny models, against plain numpy and against ModelOpt's own SmoothQuant."""

import copy
import dataclasses
import json
from collections import defaultdict
from typing import Any

import modelopt.torch.quantization as mtq
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from torch import nn
from torch.nn import functional

from backend.contracts import Precision
from backend.errors import Code, StudioError
from backend.quantize.calibration import Calibration, calibrate
from backend.quantize.fake import fake_quantised
from backend.quantize.prompts import MAX_PROMPT_CHARACTERS, MAX_PROMPTS_BYTES, PROMPTS, read_prompts
from backend.quantize.quantisers import ATTENTION_FUNCTIONS, layers_of, quantile
from backend.quantize.recipes import Recipe, default_recipe, layer_precisions
from backend.quantize.smoothing import smoothed
from tests.unit.denoisers import BUILDERS, run

SAMPLES, STEPS = 2, 3
PRECISIONS = (Precision.INT8, Precision.FP8, Precision.NVFP4)
CASES = [(family, precision) for family in BUILDERS for precision in PRECISIONS]


def small(family: str, precision: Precision, level: float | None = None) -> Recipe:
    return default_recipe(family, precision, level, samples=SAMPLES, steps=STEPS)


def watch(module: nn.Module, family: str, recipe: Recipe) -> Calibration:
    def loop(stand_in: nn.Module) -> None:
        for seed in range(recipe.samples * recipe.steps):
            run(stand_in, family, seed)

    return calibrate(module, recipe, family, loop, lambda done, total: None, lambda: None)


def inputs_of(module: nn.Module, family: str, names: set[str]) -> dict[str, list[np.ndarray]]:
    """What each layer is given in the calls that `watch` makes."""
    seen: dict[str, list[np.ndarray]] = defaultdict(list)
    hooks = [
        layer.register_forward_pre_hook(
            lambda _layer, args, name=name: seen[name].append(args[0].numpy().copy())
        )
        for name, layer in module.named_modules()
        if name in names and isinstance(layer, (nn.Linear, nn.Conv2d))
    ]
    for seed in range(SAMPLES * STEPS):
        run(module, family, seed)
    for hook in hooks:
        hook.remove()
    return seen


def weight_of(module: nn.Module, name: str) -> np.ndarray:
    weight = module.get_submodule(name).weight
    assert isinstance(weight, nn.Parameter)
    return weight.detach().numpy()


def refused(code: Code) -> "pytest.RaisesExc[StudioError]":
    return pytest.raises(StudioError, check=lambda error: error.code is code)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def case(request):
    """(family, module, calibration at the default level)."""
    family, precision = request.param
    module = BUILDERS[family]()
    return family, module, watch(module, family, small(family, precision))


def test_every_layer_of_the_recipe_is_calibrated(case):
    family, module, calibration = case
    expected = layer_precisions(calibration.recipe, family, layers_of(module))
    assert {name: one.precision for name, one in calibration.layers.items()} == expected
    kinds = {layer.name: layer.type for layer in layers_of(module)}
    for name, layer in calibration.layers.items():
        assert layer.kind == kinds[name]
        if layer.kind == "attention":
            assert layer.input_amax is layer.weight_amax is layer.pre_quant_scale is None
            assert layer.softmax_amax == 1
            assert min(layer.q_amax, layer.k_amax, layer.v_amax) > 0
            continue
        weight = weight_of(module, name)
        assert layer.q_amax is layer.k_amax is layer.v_amax is layer.softmax_amax is None
        assert layer.input_amax > 0
        assert layer.weight_amax.dtype == np.float32
        int8 = layer.precision is Precision.INT8
        assert layer.weight_amax.shape == ((len(weight),) if int8 else ())
        smooth = int8 and layer.kind == "linear"
        assert (layer.pre_quant_scale is not None) == smooth
        if smooth:
            assert layer.pre_quant_scale.shape == (weight.shape[1],)


def test_ranges_are_the_maxima_of_what_the_layers_are_given(case):
    family, module, calibration = case
    seen = inputs_of(module, family, set(calibration.layers))
    for name, layer in calibration.layers.items():
        if layer.kind == "attention" or (layer.kind == "conv" and layer.precision == "int8"):
            continue
        scale = 1 if layer.pre_quant_scale is None else layer.pre_quant_scale
        largest = max(float(np.abs(one * scale).max()) for one in seen[name])
        assert layer.input_amax == pytest.approx(largest, rel=1e-6)
        weight = np.abs(weight_of(module, name) / scale)
        axes = tuple(range(1, weight.ndim)) if layer.weight_amax.ndim else None
        np.testing.assert_allclose(layer.weight_amax, weight.max(axes), rtol=1e-6)


def test_the_module_is_unchanged(case):
    family, module, _ = case
    fresh = BUILDERS[family]()
    assert torch.equal(run(module, family, 99), run(fresh, family, 99))
    assert [type(one) for one in module.modules()] == [type(one) for one in fresh.modules()]
    assert list(module.state_dict()) == list(fresh.state_dict())
    for mine, theirs in zip(module.parameters(), fresh.parameters()):
        assert torch.equal(mine, theirs)
        assert mine.requires_grad == theirs.requires_grad


def test_fake_quantised_is_close_and_not_equal(case):
    family, module, calibration = case
    plain = run(module, family, 99)
    fake = run(fake_quantised(module, calibration), family, 99)
    error = float((fake - plain).norm() / plain.norm())
    assert 1e-4 < error < (0.3 if calibration.recipe.precision is Precision.NVFP4 else 0.12)
    assert torch.equal(run(module, family, 99), plain)


def test_a_file_of_it_gives_it_back(case, tmp_path):
    _, _, calibration = case
    file = tmp_path / "deep" / "one.safetensors"
    calibration.save(file)
    back = Calibration.load(file)
    assert back.recipe == calibration.recipe
    assert back.family == calibration.family
    assert back.digest == calibration.digest
    assert list(back.layers) == list(calibration.layers)
    for name, layer in calibration.layers.items():
        for field in dataclasses.fields(layer):
            mine, theirs = getattr(layer, field.name), getattr(back.layers[name], field.name)
            np.testing.assert_array_equal(mine, theirs)
            assert type(mine) is type(theirs)
    assert list(tmp_path.rglob("*.part")) == []
    with safe_open(file, "numpy") as opened:
        about = json.loads(opened.metadata()["calibration"])
    assert about["recipe"]["precision"] == calibration.recipe.precision


def test_the_same_calibration_twice_has_the_same_digest(case):
    family, _, calibration = case
    again = watch(BUILDERS[family](), family, calibration.recipe)
    assert again.digest == calibration.digest


@pytest.mark.parametrize("percentile", [1.0, 0.95])
@pytest.mark.parametrize("step_range", [(0, STEPS), (1, 3)])
def test_min_mean_of_convolutions_against_numpy(percentile, step_range):
    module = BUILDERS["sdxl"]()
    recipe = dataclasses.replace(
        small("sdxl", Precision.INT8, 1), percentile=percentile, step_range=step_range
    )
    calibration = watch(module, "sdxl", recipe)
    seen = inputs_of(module, "sdxl", set(calibration.layers))
    for name, layer in calibration.layers.items():
        high = np.array(
            [np.quantile(np.abs(one), percentile, method="inverted_cdf") for one in seen[name]]
        )
        means = high.reshape(SAMPLES, STEPS).astype(np.float64).mean(axis=0)
        assert layer.input_amax == pytest.approx(means[slice(*step_range)].min(), rel=1e-6)


@pytest.mark.parametrize("fraction", [1e-9, 0.1, 0.5, 0.75, 0.999, 1.0])
def test_quantile_against_numpy(fraction):
    values = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    expected = np.quantile(values.numpy(), fraction, method="inverted_cdf")
    assert float(quantile(values, fraction)) == expected


def test_smoothing_is_that_of_modelopt_and_can_be_undone():
    module = BUILDERS["flux"]()
    calibration = watch(module, "flux", small("flux", Precision.INT8))
    config = {
        "quant_cfg": [
            {"quantizer_name": "*", "enable": False},
            {"quantizer_name": "*input_quantizer", "cfg": {"num_bits": 8, "axis": None}},
            {"quantizer_name": "*weight_quantizer", "cfg": {"num_bits": 8, "axis": 0}},
        ],
        "algorithm": {"method": "smoothquant", "alpha": 0.8},
    }

    def loop(model: nn.Module) -> None:
        for seed in range(SAMPLES * STEPS):
            run(model, "flux", seed)

    theirs = mtq.quantize(copy.deepcopy(module), config, loop)
    assert len(calibration.layers) == 20
    for name, layer in calibration.layers.items():
        other: Any = theirs.get_submodule(name)
        assert layer.pre_quant_scale is not None and layer.weight_amax is not None
        scale = torch.from_numpy(layer.pre_quant_scale)
        original = torch.from_numpy(weight_of(module, name))
        changed = smoothed(original, scale)
        torch.testing.assert_close(changed * scale, original, rtol=1e-6, atol=0)
        torch.testing.assert_close(scale, other.input_quantizer.pre_quant_scale, rtol=1e-6, atol=0)
        torch.testing.assert_close(changed, other.weight.detach(), rtol=1e-6, atol=0)
        assert layer.input_amax == pytest.approx(float(other.input_quantizer.amax), rel=1e-6)
        np.testing.assert_allclose(
            layer.weight_amax, other.weight_quantizer.amax.flatten().numpy(), rtol=1e-6
        )


def test_attention_ranges_are_those_before_the_softmax_scale(monkeypatch):
    module = BUILDERS["flux"]()
    calibration = watch(module, "flux", small("flux", Precision.FP8))
    plain = functional.scaled_dot_product_attention
    largest: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    names = ["transformer_blocks.0.attn", "single_transformer_blocks.0.attn"]
    calls = 0

    def spy(query, key, value, *args, **kwargs):
        nonlocal calls
        now = largest[names[calls % 2]]
        now[:] = [max(a, float(b.abs().max())) for a, b in zip(now, (query, key, value))]
        calls += 1
        return plain(query, key, value, *args, **kwargs)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    for seed in range(SAMPLES * STEPS):
        run(module, "flux", seed)
    for name in names:
        layer = calibration.layers[name]
        assert [layer.q_amax, layer.k_amax, layer.v_amax] == largest[name]


def test_quantising_attention_alone_changes_a_little():
    module = BUILDERS["flux"]()
    calibration = watch(module, "flux", small("flux", Precision.FP8))
    only = {name: one for name, one in calibration.layers.items() if one.kind == "attention"}
    fake = fake_quantised(module, dataclasses.replace(calibration, layers=only))
    plain = run(module, "flux", 99)
    error = float((run(fake, "flux", 99) - plain).norm() / plain.norm())
    assert 0 < error < 0.02
    none = fake_quantised(module, dataclasses.replace(calibration, layers={}))
    assert torch.equal(run(none, "flux", 99), plain)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8])
def test_half_precision_stays_half_precision(precision):
    module = BUILDERS["sdxl"]().to(torch.bfloat16)

    def loop(model: nn.Module) -> None:
        for seed in range(SAMPLES * STEPS):
            paint(model, seed)

    def paint(model: nn.Module, seed: int) -> torch.Tensor:
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            painted: torch.Tensor = model(
                torch.randn(2, 4, 8, 8, generator=random).bfloat16(),
                torch.tensor([float(seed)]),
                torch.randn(2, 5, 32, generator=random).bfloat16(),
                added_cond_kwargs={
                    "text_embeds": torch.randn(2, 16, generator=random).bfloat16(),
                    "time_ids": torch.rand(2, 6, generator=random).bfloat16(),
                },
            ).sample
        return painted

    recipe = small("sdxl", precision)
    calibration = calibrate(module, recipe, "sdxl", loop, lambda *_: None, lambda: None)
    plain, fake = paint(module, 99), paint(fake_quantised(module, calibration), 99)
    assert fake.dtype == torch.bfloat16
    assert 0 < float((fake - plain).norm() / plain.norm()) < 0.2


def test_progress_and_stop():
    module, recipe = BUILDERS["flux"](), small("flux", Precision.FP8)
    heard = []

    def loop(model: nn.Module) -> None:
        for seed in range(SAMPLES * STEPS):
            run(model, "flux", seed)

    calibrate(module, recipe, "flux", loop, lambda *one: heard.append(one), lambda: None)
    assert heard == [(done, SAMPLES * STEPS) for done in range(1, SAMPLES * STEPS + 1)]

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        calibrate(module, recipe, "flux", loop, lambda *_: None, stop)

    def wrong(model: nn.Module) -> None:
        raise AssertionError("of the caller")

    with pytest.raises(AssertionError, match="of the caller"):
        calibrate(module, recipe, "flux", wrong, lambda *_: None, lambda: None)


def test_weights_are_not_copied():
    module, recipe = BUILDERS["flux"](), small("flux", Precision.INT8)
    given = []

    def loop(stand_in: nn.Module) -> None:
        given.append(stand_in)
        for seed in range(SAMPLES * STEPS):
            run(stand_in, "flux", seed)

    calibrate(module, recipe, "flux", loop, lambda *_: None, lambda: None)
    assert given[0] is not module
    assert [id(one) for one in given[0].parameters()] == [id(one) for one in module.parameters()]


def test_what_goes_wrong_inside_attention_leaves_torch_as_it_was():
    before = [getattr(owner, name) for owner, name in ATTENTION_FUNCTIONS]
    module = BUILDERS["flux"]()
    with torch.no_grad():
        module.transformer_blocks[0].attn.norm_q.weight.fill_(torch.nan)
    with refused(Code.CALIBRATION_FAILED):
        watch(module, "flux", small("flux", Precision.FP8))
    assert [getattr(owner, name) for owner, name in ATTENTION_FUNCTIONS] == before


def test_infinite_activations_of_a_convolution_are_refused():
    module = BUILDERS["sdxl"]()
    with torch.no_grad():
        module.down_blocks[0].resnets[0].norm1.weight.fill_(torch.inf)
    with refused(Code.CALIBRATION_FAILED):
        watch(module, "sdxl", small("sdxl", Precision.INT8, 1))


def test_a_wrong_number_of_calls_and_no_call():
    module, recipe = BUILDERS["flux"](), small("flux", Precision.FP8)
    for count in (0, 1, SAMPLES * STEPS + 1):

        def loop(model: nn.Module, count: int = count) -> None:
            for seed in range(count):
                run(model, "flux", seed)

        with refused(Code.CALIBRATION_FAILED):
            calibrate(module, recipe, "flux", loop, lambda *_: None, lambda: None)


def test_dead_channels_and_dead_layers_get_finite_ranges():
    module = BUILDERS["flux"]()
    feed_forward = module.transformer_blocks[0].ff.net
    with torch.no_grad():
        feed_forward[0].proj.weight[:3] = 0
        feed_forward[0].proj.bias[:3] = 0  # three inputs of net.2 are always 0
        module.single_transformer_blocks[0].proj_mlp.weight.fill_(0)
    calibration = watch(module, "flux", small("flux", Precision.INT8))
    layers: Any = calibration.layers
    assert (layers["transformer_blocks.0.ff.net.2"].pre_quant_scale[:3] == 1).all()
    assert (layers["transformer_blocks.0.ff.net.0.proj"].weight_amax[:3] == 1).all()
    assert (layers["single_transformer_blocks.0.proj_mlp"].weight_amax == 1).all()
    assert torch.isfinite(run(fake_quantised(module, calibration), "flux", 99)).all()


def test_a_calibration_of_another_model_is_refused():
    calibration = watch(BUILDERS["flux"](), "flux", small("flux", Precision.FP8, 2))
    with refused(Code.CALIBRATION_FAILED):
        fake_quantised(BUILDERS["sdxl"](), calibration)


def test_a_damaged_file_is_refused(tmp_path):
    calibration = watch(BUILDERS["flux"](), "flux", small("flux", Precision.FP8, 2))
    whole = tmp_path / "whole.safetensors"
    calibration.save(whole)
    with safe_open(whole, "numpy") as opened:
        metadata = opened.metadata()
    tensors = load_file(whole)
    broken = tmp_path / "broken.safetensors"

    def check() -> None:
        with refused(Code.CALIBRATION_UNREADABLE):
            Calibration.load(broken)

    check()  # missing
    broken.write_bytes(whole.read_bytes()[:-5])
    check()
    save_file(tensors, broken)
    check()
    newer = metadata["calibration"].replace('"format": 1', '"format": 2')
    save_file(tensors, broken, metadata={"calibration": newer})
    check()
    save_file(tensors, broken, metadata={"calibration": "[]"})
    check()
    first = next(iter(tensors))
    save_file(tensors | {first: np.full_like(tensors[first], np.nan)}, broken, metadata=metadata)
    check()
    save_file({k: v for k, v in tensors.items() if k != first}, broken, metadata=metadata)
    check()
    save_file(tensors, broken, metadata=metadata)
    assert Calibration.load(broken).digest == calibration.digest


def test_our_prompts():
    prompts = read_prompts(PROMPTS)
    assert len(prompts) == len(set(prompts)) == 128
    assert all(20 <= len(prompt) <= 120 and prompt.isprintable() for prompt in prompts)


def test_prompts_of_any_system(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffone\r\n\r\n  두 번째 \r\nthree".encode())
    assert read_prompts(file) == ("one", "두 번째", "three")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n\n",
        b"\x89PNG\r\n\x1a\n\x00",
        b"text\x00more",
        b"x" * (MAX_PROMPT_CHARACTERS + 1),
        b"a prompt\n" * (MAX_PROMPTS_BYTES // 9 + 1),
    ],
    ids=["empty", "blank", "png", "nul", "long line", "long file"],
)
def test_prompts_that_cannot_be_used(tmp_path, content):
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with refused(Code.PROMPTS_UNREADABLE):
        read_prompts(file)


def test_prompts_that_are_not_there(tmp_path):
    for file in (tmp_path / "none.txt", tmp_path):
        with refused(Code.PROMPTS_UNREADABLE):
            read_prompts(file)
