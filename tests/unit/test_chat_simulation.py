"""Checkpoints turned back into plain weights, against their source and an own reading of NVFP4."""

import copy
import json
import math
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.chat.dequantise import applied_weight, dequantise, plain_weight
from backend.chat.models import SIMULATION, read_language_model
from backend.chat.servers.suitable import Machine, why_not
from backend.chat.simulation import LOW_RANK, simulate
from backend.contracts import ServerKind
from backend.errors import Code, StudioError
from backend.settings import Settings
from tests.tiny_llama import make_tiny_llama


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "tiny"
    return make_tiny_llama(folder, hidden_size=128, intermediate_size=256, num_hidden_layers=1)


def quantise(source: Path, recipe: str, folder: Path) -> Path:
    """What ModelOpt exports of a model, calibrated with three random texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import modelopt.torch.quantization as mtq
        from modelopt.recipe.presets import QUANT_CFG_CHOICES
        from modelopt.torch.export import export_hf_checkpoint
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16).eval()
        torch.manual_seed(0)
        texts = torch.randint(4, 90, (3, 16))
        with torch.inference_mode():
            config = copy.deepcopy(QUANT_CFG_CHOICES[recipe])
            mtq.quantize(model, config, lambda quantised: quantised(texts))
            export_hf_checkpoint(model, export_dir=folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_text((source / name).read_text())
    return folder


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize(
    ("recipe", "algorithm", "worst"),
    [
        ("fp8", "FP8", 0.04),
        ("fp8_per_channel_per_token", "FP8_PER_CHANNEL_PER_TOKEN", 0.04),
        ("fp8_2d_blockwise_weight_only", "FP8_PB_WO", 0.04),
        ("int8_smoothquant", "W8A8_SQ_PER_CHANNEL", 0.03),
        ("nvfp4", "NVFP4", 0.12),
    ],
)
def test_what_modelopt_exports_is_the_source_again(
    source: Path, tmp_path: Path, recipe: str, algorithm: str, worst: float
) -> None:
    """Rounding to FP8 (three bits of mantissa) is off by 1/16 at most, and to 4 bits by a quarter
    of the value; a wrong scale or order would be off by about 1."""
    exported = quantise(source, recipe, tmp_path / "quantised")
    model = read_language_model(exported)
    assert (model.modelopt, str(model.algorithm).upper()) == (True, algorithm)
    folder = Path(
        dequantise({"source": str(exported), "folder": str(tmp_path / "plain")}, print)["folder"]
    )
    wanted, found = load_file(source / "model.safetensors"), load_file(folder / "model.safetensors")
    assert found.keys() == wanted.keys()
    errors = {name: relative_error(found[name], wanted[name]) for name in wanted}
    projections = {name: error for name, error in errors.items() if "_proj" in name}
    assert max(projections.values()) < worst
    assert min(projections.values()) > 0.001, "nothing was quantised"
    plain = read_language_model(folder)
    assert (plain.modelopt, plain.simulated) == (False, True)
    assert SIMULATION in plain.precision and algorithm in plain.precision.upper()
    assert plain.has_template


def reference_nvfp4(
    packed: bytes, scales: list[list[float]], global_scale: float, columns: int
) -> list[list[float]]:
    """Number by number: sign, two bits of exponent (bias 1), one of mantissa."""
    rows = []
    for row, scale in enumerate(scales):
        values = []
        for column in range(columns):
            byte = packed[(row * columns + column) // 2]
            four = byte >> 4 if column % 2 else byte & 15
            exponent, mantissa = four >> 1 & 3, four & 1
            size = math.ldexp(1 + mantissa / 2, exponent - 1) if exponent else mantissa / 2
            values.append((-size if four & 8 else size) * scale[column // 16] * global_scale)
        rows.append(values)
    return rows


def test_nvfp4_by_its_documented_format() -> None:
    generator = torch.Generator().manual_seed(0)
    packed = torch.randint(0, 256, (6, 24), generator=generator, dtype=torch.uint8)
    packed.view(-1)[:16] = torch.arange(16) * 17
    scale = (torch.rand(6, 3, generator=generator) * 400 + 1).to(torch.float8_e4m3fn)
    found = plain_weight(packed, scale, torch.tensor(0.0125))
    wanted = reference_nvfp4(
        bytes(packed.flatten().tolist()), scale.float().tolist(), 0.0125, columns=48
    )
    assert torch.allclose(found, torch.tensor(wanted), rtol=1e-6)
    sizes = (found[0, :16] / (scale[0, 0].float() * 0.0125)).round(decimals=4).abs()
    assert set(sizes.tolist()) == {0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0}


def test_a_low_rank_correction_is_added_before_the_scale_of_the_input() -> None:
    """As the layers of demo-chat came back within 0.1 that an H200 exported in NVFP4_SVD."""
    generator = torch.Generator().manual_seed(0)
    rounded = torch.randn(4, 32, generator=generator).to(torch.float8_e4m3fn)
    narrow, wide = torch.randn(2, 32, generator=generator), torch.randn(4, 2, generator=generator)
    smoothing = torch.rand(32, generator=generator) + 0.5
    stored = {
        "layer.weight_scale": torch.tensor(0.25),
        "layer.pre_quant_scale": smoothing,
        **{f"layer.{name}": value for name, value in zip(LOW_RANK, (narrow, wide))},
    }
    found = applied_weight(rounded, stored.get, "layer")
    inputs = torch.randn(5, 32, generator=generator)
    smoothed = inputs * smoothing
    wanted = smoothed @ (rounded.float() * 0.25).T + smoothed @ narrow.T @ wide.T
    torch.testing.assert_close(inputs @ found.T, wanted, rtol=1e-4, atol=1e-4)
    plain = torch.randn(2, 2)
    assert applied_weight(plain, stored.get, "other") is plain


def test_int4_by_its_documented_format() -> None:
    """Two rows a byte, the even one in the low half, in two's complement."""
    packed = torch.tensor([[0x21, 0xF8]], dtype=torch.uint8)
    scale = torch.tensor([[2.0], [10.0]])
    assert plain_weight(packed, scale, None).tolist() == [[2.0, -16.0], [20.0, -10.0]]


@pytest.mark.parametrize(
    ("weight", "scale"),
    [
        (torch.zeros(4, 8, dtype=torch.uint8), torch.zeros(4, 1, dtype=torch.uint8)),
        (torch.zeros(4, 8, dtype=torch.uint8), torch.zeros(4, 1).to(torch.float8_e4m3fn)),
        (torch.zeros(4, 8).to(torch.float8_e4m3fn), torch.zeros(3)),
        (torch.zeros(2, 4, 8).to(torch.float8_e4m3fn), torch.ones(())),
    ],
)
def test_what_cannot_be_read_is_refused(weight: torch.Tensor, scale: torch.Tensor) -> None:
    with pytest.raises(StudioError) as refusal:
        plain_weight(weight, scale, None)
    assert refusal.value.code is Code.CHECKPOINT_NOT_READABLE


def fp8_checkpoint(folder: Path) -> Path:
    """Two files, a scale in the other one than its weight."""
    make_tiny_llama(folder)
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj"
    weights[f"{name}.weight"] = weights[f"{name}.weight"].to(torch.float8_e4m3fn)
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model-00001-of-00002.safetensors")
    scales = {f"{name}.weight_scale": torch.tensor(0.5), f"{name}.input_scale": torch.tensor(1.0)}
    save_file(scales | {"extra.weight": torch.ones(2)}, folder / "model-00002-of-00002.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "modelopt", "quant_algo": "FP8"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_simulation_is_made_once_marked_and_served_by_transformers_only(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    source = read_language_model(fp8_checkpoint(tmp_path / "home" / "checkpoints" / "mine"))
    news: list[object] = []
    model = simulate(settings, source, news.append, lambda: None)
    assert news
    assert model.simulated and model.precision == f"FP8 ({SIMULATION})"
    assert Path(model.folder).is_relative_to(settings.home)
    weights = load_file(Path(model.folder) / "model-00001-of-00002.safetensors")
    original = load_file(Path(source.folder) / "model-00001-of-00002.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(weights[name], (original[name].float() * 0.5).to(torch.bfloat16))
    index = json.loads((Path(model.folder) / "model.safetensors.index.json").read_text())
    assert index["weight_map"]["extra.weight"].startswith("model-00002")
    news.clear()
    assert simulate(settings, source, news.append, lambda: None) == model
    assert not news
    machine = Machine((12, 1), 2**40, {})
    assert why_not(ServerKind.TRANSFORMERS, model, machine, 0) is None
    reason = why_not(ServerKind.TENSORRT_LLM, model, machine, 0)
    assert reason is not None and reason.key == "server.simulated_elsewhere"


def test_a_plain_model_needs_no_simulation(tmp_path: Path) -> None:
    plain = read_language_model(make_tiny_llama(tmp_path / "tiny"))
    with pytest.raises(StudioError) as refusal:
        simulate(Settings(home=tmp_path), plain, print, lambda: None)
    assert refusal.value.code is Code.CHECKPOINT_NOT_READABLE
