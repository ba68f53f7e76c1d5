"""Real quantisation of a small Llama by ModelOpt on the CPU: calibrated, scored, exported, checked,
and held against what the servers' loaders expect.

What a loader expects is written down from vLLM's
`vllm/model_executor/layers/quantization/modelopt.py` (commit 00155cd) and TensorRT-LLM's
`tensorrt_llm/_torch/modules/linear.py` (00bbf71) and `tensorrt_llm/quantization/modelopt_config.py`
(2edf354).
"""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file

from backend.chat.dequantise import dequantise
from backend.chat.models import read_language_model
from backend.contracts import QuantizeRequest
from backend.errors import Code, StudioError
from backend.quantize.language.recipes import (
    KV_RECIPES,
    LANGUAGE_RECIPES,
    needs_text,
    offered,
)
from backend.quantize.language.script import script_of
from backend.quantize.language.sizes import estimate_size, read_headers
from backend.quantize.language.verify import verify
from backend.quantize.language.work import CALIBRATION, EXPORT, SCORED, quantise
from tests.tiny_llama import make_tiny_llama

CUDA = torch.cuda.is_available()
RECIPES = [name for name in offered() if CUDA or "calibrate" not in LANGUAGE_RECIPES[name].cuda]
WIDTH, INNER = 128, 256
Q, DOWN = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"
HEADS = ["lm_head", "model.embed_tokens"]
Parts = dict[str, tuple[str, list[int]]]


@dataclass
class Made:
    """What a job of one recipe left."""

    folder: Path
    work: Path
    made: dict[str, Any]
    looked: dict[str, Any]
    news: list[dict[str, Any]]
    estimated: int
    arguments: dict[str, Any]

    @property
    def tensors(self) -> dict[str, tuple[str, list[int]]]:
        with safe_open(self.folder / "model.safetensors", framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (it.get_dtype(), it.get_shape()) for name, it in slices.items()}

    def json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / name).read_text())
        return value


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "tiny"
    make_tiny_llama(folder, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=1)
    (folder / "generation_config.json").write_text('{"temperature": 0.6, "do_sample": true}')
    (folder / "LICENSE").write_text("a licence")
    return folder


@pytest.fixture(scope="module")
def make(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Each recipe made once for all tests, as the job's children make it."""
    kept: dict[str, Made] = {}

    def made(recipe: str, kv: str = "none", leave_out: tuple[str, ...] = ()) -> Made:
        key = f"{recipe} {kv} {leave_out}"
        if key not in kept:
            kept[key] = _make(source, tmp_path_factory.mktemp("work"), recipe, kv, leave_out)
        return kept[key]

    return made


def _make(
    source: Path,
    work: Path,
    recipe: str,
    kv: str = "none",
    leave_out: tuple[str, ...] = (),
    **changes: Any,
) -> Made:
    known, tensors = LANGUAGE_RECIPES[recipe], read_headers(source, "tiny")
    size = estimate_size(known, KV_RECIPES[kv], tensors, leave_out)
    request = {
        "model": str(source),
        "recipe": recipe,
        "kv_cache": kv,
        "calibration": "demo-chat",
        "samples": 6,
        "length": 64,
        "evaluation_tokens": 256,
        **changes,
    }
    arguments = {
        "source": str(source),
        "work": str(work),
        "home": str(work),
        "request": request,
        "left_out": list(size.left_out),
        "expected_bytes": size.whole,
        "layers": dict.fromkeys(size.layers, recipe),
        "algorithm": known.algorithm,
        "answer_tokens": 3,
    }
    news: list[dict[str, Any]] = []
    made = quantise(arguments, news.append)
    kept = [each["layer"] for each in made["sensitivity"] if each["chosen"] == "none"]
    size = estimate_size(known, KV_RECIPES[kv], tensors, (*leave_out, *kept))
    arguments["layers"] = dict.fromkeys(size.layers, recipe)
    found = {name: made[name] for name in ("quality", "answers")}
    looked = verify(arguments | found, news.append)
    return Made(work / EXPORT, work, made, looked, news, size.whole, arguments)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_checkpoint_has_the_estimated_size_and_is_its_source_again(
    make: Make, source: Path, recipe: str
) -> None:
    """Rounding to 8 bits moves a weight by some 1 to 3 %, to 4 bits by some 10 %; what came from
    another layer, scale or order would be off by about 1."""
    found = make(recipe)
    assert found.looked["files"]["model.safetensors"] == found.estimated
    wanted = {file.name for file in source.iterdir()} | {"hf_quant_config.json"}
    assert wanted == found.looked["files"].keys()
    assert found.json("generation_config.json")["temperature"] == 0.6
    assert read_language_model(found.folder).has_template
    errors = found.looked["errors"]
    if LANGUAGE_RECIPES[recipe].form.rank:
        return
    assert errors.keys() == found.arguments["layers"].keys()
    four_bit = LANGUAGE_RECIPES[recipe].form.value in ("fp4", "int4")
    low, high = (0.05, 0.15) if four_bit else (0.003, 0.04)
    assert low < min(errors.values()) and max(errors.values()) < high


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_is_scored_on_text_it_never_saw(make: Make, recipe: str) -> None:
    found = make(recipe)
    quality = found.looked["quality"]
    weights_only = "evaluate" in LANGUAGE_RECIPES[recipe].cuda and not CUDA
    assert quality["scope"] == ("weights_only" if weights_only else "quantised")
    assert quality["tokens"] == 4 * 63 and quality["seconds"] > 0
    assert 0 < quality["kl_mean"] <= quality["kl_p99"] <= quality["kl_max"]
    assert 0 < quality["top1_agreement"] < 1
    assert found.made["evaluation_digest"] != found.made["calibration_digest"]
    answers = found.looked["answers"]
    assert answers["scope"] == quality["scope"] and answers["template"]
    assert {each["language"] for each in answers["answers"]} == {"en", "ko"}
    assert all(len(each[when]) <= 3 for each in answers["answers"] for when in ("before", "after"))
    phases = list(dict.fromkeys(each["phase"] for each in found.news))
    wanted = ["load", "reference", "calibrate", "evaluate", "export", "check"]
    if weights_only:
        wanted = [name for name in wanted if name != "evaluate"] + ["evaluate"]
    assert [name for name in phases if name in wanted][:4] == wanted[:4]
    assert {"load", "reference", "calibrate", "export"} <= found.made["phases"].keys()


def test_more_bits_lose_less(make: Make) -> None:
    """8-bit integers by row, MXFP8, NVFP4, and NVFP4 in a part of the layers."""
    names = ("int8_weight_only", "mxfp8", "nvfp4", "nvfp4_mlp_only")
    lost = {name: make(name).looked["quality"]["kl_mean"] for name in names}
    assert lost["int8_weight_only"] < lost["mxfp8"] < lost["nvfp4"]
    assert lost["nvfp4_mlp_only"] < lost["nvfp4"]


def nvfp4(rows: int, columns: int) -> Parts:
    """vLLM `ModelOptNvFp4LinearMethod.create_weights`; TensorRT-LLM `NVFP4LinearMethod`."""
    return {
        "weight": ("U8", [rows, columns // 2]),
        "weight_scale": ("F8_E4M3", [rows, columns // 16]),
        "weight_scale_2": ("F32", []),
        "input_scale": ("F32", []),
    }


def fp8(rows: int, columns: int) -> Parts:
    """vLLM `ModelOptFp8LinearMethod`; TensorRT-LLM `FP8QDQLinearMethod`."""
    return {
        "weight": ("F8_E4M3", [rows, columns]),
        "weight_scale": ("F32", []),
        "input_scale": ("F32", []),
    }


def fp8_rows(rows: int, columns: int) -> Parts:
    """vLLM `ModelOptFp8PcPtLinearMethod`: no input scale, activations are measured as they come."""
    return {"weight": ("F8_E4M3", [rows, columns]), "weight_scale": ("F32", [rows])}


def int4(rows: int, columns: int) -> Parts:
    """TensorRT-LLM `W4A16_AWQ_LinearMethod`: two rows a byte, a scale (out, in / group)."""
    return {"weight": ("U8", [rows // 2, columns]), "weight_scale": ("F32", [rows, columns // 128])}


def w4a8(rows: int, columns: int) -> Parts:
    """TensorRT-LLM `W4A8_AWQ_LinearMethod.load_weight_scales_w4a8`."""
    return int4(rows, columns) | {"weight_scale_2": ("F32", []), "input_scale": ("F32", [])}


AWQ = {"group_size": 128, "has_zero_point": False, "pre_quant_scale": True}
EXPECTED: dict[str, tuple[Callable[[int, int], Parts], dict[str, Any]]] = {
    "nvfp4": (nvfp4, {"quant_algo": "NVFP4", "group_size": 16}),
    "nvfp4_mlp_only": (nvfp4, {"quant_algo": "NVFP4", "group_size": 16}),
    "fp8": (fp8, {"quant_algo": "FP8"}),
    "fp8_per_channel_per_token": (fp8_rows, {"quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"}),
    "int4_awq": (int4, {"quant_algo": "W4A16_AWQ", **AWQ}),
    "w4a8_awq_beta": (w4a8, {"quant_algo": "W4A8_AWQ", **AWQ}),
}


@pytest.mark.parametrize("recipe", EXPECTED)
def test_tensors_are_as_the_loaders_read_them(make: Make, recipe: str) -> None:
    parts, _ = EXPECTED[recipe]
    found = make(recipe).tensors
    layers = {Q: (WIDTH, WIDTH), DOWN: (WIDTH, INNER)}
    if recipe == "nvfp4_mlp_only":
        layers.pop(Q)
        assert found[f"{Q}.weight"] == ("BF16", [WIDTH, WIDTH])
    for layer, shape in layers.items():
        here = {
            name.removeprefix(f"{layer}."): value
            for name, value in found.items()
            if name.startswith(f"{layer}.")
        }
        smoothing = here.pop("pre_quant_scale", None)
        assert here == parts(*shape), layer
        # TensorRT-LLM's load_weights_vanilla asks for it in o_proj and down_proj, in the model's
        # own type, and nowhere else: for the others it is in the norm before them
        wanted = ("BF16", [shape[1]]) if "awq" in recipe and layer == DOWN else None
        assert smoothing == wanted, layer
    for name in ("lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"):
        assert found[name][0] == "BF16"


@pytest.mark.parametrize("recipe", EXPECTED)
def test_configurations_are_as_the_loaders_read_them(make: Make, recipe: str) -> None:
    _, expected = EXPECTED[recipe]
    found = make(recipe)
    told = found.json("hf_quant_config.json")
    assert told["producer"]["name"] == "modelopt"  # TensorRT-LLM is_modelopt_quant_config
    quantization = dict(told["quantization"])
    # vLLM's NVFP4 wants these three keys to be there, the middle one even as null
    assert quantization.pop("kv_cache_quant_algo", "absent") is None
    excluded = quantization.pop("exclude_modules")
    assert quantization == expected
    attention = ["model.layers.0.self_attn*"] if recipe == "nvfp4_mlp_only" else []
    assert excluded == HEADS + attention
    config = found.json("config.json")
    inside = config["quantization_config"]
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config.get("dtype", config.get("torch_dtype")) == "bfloat16"
    assert inside["quant_method"] == "modelopt"  # vLLM _extract_modelopt_quant_algo
    assert inside["quant_algo"] == expected["quant_algo"]
    assert inside["ignore"] == excluded  # TensorRT-LLM warns where the two differ


@pytest.mark.parametrize("recipe", ["nvfp4", "fp8", "w4a8_awq_beta"])
def test_layers_that_servers_join_share_their_scales(make: Make, recipe: str) -> None:
    """TensorRT-LLM asserts it for W4A8, vLLM warns of lost accuracy for NVFP4."""
    values = load_file(make(recipe).folder / "model.safetensors")
    for parent, names in (("self_attn", "qkv"), ("mlp", ("gate", "up"))):
        for scale in ("input_scale", "weight_scale_2"):
            found = [values.get(f"model.layers.0.{parent}.{name}_proj.{scale}") for name in names]
            if found[0] is not None:
                assert len({float(each) for each in found if each is not None}) == 1


def test_every_left_out_layer_is_named_to_the_servers(make: Make) -> None:
    """By a pattern that vLLM's and TensorRT-LLM's matching finds, joined layers all together."""
    found = make("fp8", leave_out=("*.q_proj",))
    excluded = found.json("hf_quant_config.json")["quantization"]["exclude_modules"]
    for name, (dtype, shape) in found.tensors.items():
        module = name.removesuffix(".weight")
        if name.endswith("_proj.weight"):
            left_out = any(fnmatch(module, pattern) for pattern in excluded)
            assert left_out == (dtype == "BF16") == (module[-6] in "qkv"), name
        assert shape == [] or dtype in ("BF16", "F8_E4M3")
    assert found.looked["files"]["model.safetensors"] == found.estimated


def test_sensitive_layers_stay_in_16_bits_up_to_a_target(source: Path, tmp_path: Path) -> None:
    """With its scores; what is left out is named to the servers, and the format is its own."""
    found = _make(source, tmp_path, "fp8", leave_out=("*.down_proj",), effective_bits=12.0)
    scores = {each["layer"]: each for each in found.made["sensitivity"]}
    assert len(scores) == 6 and all(each["score"] > 0 for each in scores.values())
    tensors = found.tensors
    kept = {name for name, each in scores.items() if each["chosen"] == "none"}
    assert 0 < len(kept) < 6
    for name in scores:
        assert tensors[f"{name}.weight"][0] == ("BF16" if name in kept else "F8_E4M3")
    values = {name: math.prod(tensors[f"{name}.weight"][1]) for name in (*scores, DOWN)}
    bits = {name: 8 if name in scores.keys() - kept else 16 for name in values}
    average = sum(values[name] * bits[name] for name in values) / sum(values.values())
    assert average <= 12.0
    assert found.json("hf_quant_config.json")["quantization"]["quant_algo"] == "FP8"
    assert found.looked["files"]["model.safetensors"] == found.estimated


def test_a_model_in_fp16_stays_in_fp16(tmp_path: Path) -> None:
    """Another architecture with it, whose config says so."""
    config: dict[str, Any] = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "dtype": "float16",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": 1,
    }
    source = make_tiny_llama(tmp_path / "source", **config)
    values = load_file(source / "model.safetensors")
    halves = {name: value.half() for name, value in values.items()}
    save_file(halves, source / "model.safetensors", metadata={"format": "pt"})
    found = _make(source, tmp_path / "work", "int4_awq")
    assert found.looked["files"]["model.safetensors"] == found.estimated
    assert found.tensors["lm_head.weight"][0] == "F16"
    assert found.tensors[f"{DOWN}.pre_quant_scale"] == ("F16", [INNER])
    assert found.json("config.json")["dtype"] == "float16"


@pytest.mark.parametrize(("kv", "scales"), [("fp8_cast", False), ("fp8", True)])
def test_a_quantised_cache_is_named_and_its_scales_are_there(
    make: Make, kv: str, scales: bool
) -> None:
    """TensorRT-LLM and vLLM read `k_proj.k_scale` and `v_proj.v_scale`, and take 1 without."""
    found = make("fp8", kv)
    told = found.json("hf_quant_config.json")["quantization"]
    assert told["kv_cache_quant_algo"] == "FP8"
    inside = found.json("config.json")["quantization_config"]["kv_cache_scheme"]
    assert (inside["type"], inside["num_bits"]) == ("float", 8)
    for letter in "kv":
        name = f"model.layers.0.self_attn.{letter}_proj.{letter}_scale"
        assert found.tensors.get(name) == (("F32", []) if scales else None)
    assert found.looked["files"]["model.safetensors"] == found.estimated
    assert found.looked["quality"]["kv_cache_rounded"]


@pytest.mark.parametrize("recipe", ["mxfp8", "fp8_per_channel_per_token", "fp8"])
def test_what_calibrates_nothing_says_so(make: Make, recipe: str) -> None:
    """ModelOpt would have text passed for MXFP8, too, and find nothing in it."""
    calibrated = needs_text(LANGUAGE_RECIPES[recipe], KV_RECIPES["none"], searched=False)
    made = make(recipe).made
    assert bool(made["samples"]) is (made["calibration_digest"] is not None) is calibrated
    assert calibrated is (recipe == "fp8")


def test_smoothing_of_large_inputs_is_no_fault(source: Path, tmp_path: Path) -> None:
    """As trained models have them: a few columns of what goes into a layer far above the rest."""
    tensors = load_file(source / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][:4] *= 300
    folder = shutil.copytree(source, tmp_path / "source")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found = _make(folder, tmp_path / "work", "int8_smoothquant")
    assert max(found.looked["errors"].values()) < 0.03


@pytest.mark.parametrize("recipe", ["fp8", "int8_smoothquant", "w4a8_awq_beta"])
def test_a_kept_calibration_exports_the_same_bytes(make: Make, tmp_path: Path, recipe: str) -> None:
    """As after a kill: calibration and score of the first child are found by the second."""
    first = make(recipe)
    shutil.copytree(first.work, tmp_path / "work")
    work = tmp_path / "work"
    shutil.rmtree(work / EXPORT)
    news: list[dict[str, Any]] = []
    again = quantise(first.arguments | {"work": str(work)}, news.append)
    told = [each["message"]["key"] for each in news if each["message"]]
    assert "job.quantize_kept" in told
    name = "model.safetensors"
    assert (work / EXPORT / name).read_bytes() == (first.folder / name).read_bytes()
    assert again["quality"] == first.made["quality"]
    (work / CALIBRATION / "done").unlink()
    (work / SCORED).unlink()
    news.clear()
    quantise(first.arguments | {"work": str(work)}, news.append)
    assert "job.quantize_kept" not in [each["message"]["key"] for each in news if each["message"]]
    assert (work / EXPORT / name).read_bytes() == (first.folder / name).read_bytes()


def test_the_script_to_copy_makes_the_same_checkpoint(
    make: Make, source: Path, tmp_path: Path
) -> None:
    """With a cache and a layer left out."""
    found = make("fp8", "fp8", ("*down_proj",))
    request = QuantizeRequest.model_validate(found.arguments["request"])
    left_out = found.arguments["left_out"]
    assert left_out == [DOWN]
    script = script_of(request, str(source), left_out, str(tmp_path / "out"), tmp_path)
    exec(compile(script, "script.py", "exec"), {})
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    wanted = load_file(found.folder / "model.safetensors")
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    for name in ("config.json", "hf_quant_config.json"):
        assert json.loads((tmp_path / "out" / name).read_text()) == found.json(name)


@pytest.mark.parametrize("recipe", ["w4a8_awq_beta", "mxfp8", "int4_awq"])
def test_it_can_be_chatted_with_as_simulated(make: Make, tmp_path: Path, recipe: str) -> None:
    found = make(recipe)
    plain = dequantise({"source": str(found.folder), "folder": str(tmp_path / "plain")}, print)
    model = read_language_model(Path(plain["folder"]))
    assert model.simulated and not model.modelopt


def test_mxfp8_by_its_documented_format(make: Make, source: Path) -> None:
    """A shared exponent a block of 32: value * 2 ** (scale - 127)."""
    values = load_file(make("mxfp8").folder / "model.safetensors")
    weight = values[f"{Q}.weight"].float().numpy()
    scale = np.ldexp(1.0, values[f"{Q}.weight_scale"].numpy().astype(int) - 127)
    wanted = load_numpy(source / "model.safetensors")[f"{Q}.weight"]
    found = weight * scale.repeat(32, axis=1)
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < 0.04


def _swap_scales(folder: Path) -> None:
    _change(folder, lambda values: values.update({f"{Q}.weight_scale": torch.tensor(9.0)}))


def _not_finite(folder: Path) -> None:
    _change(folder, lambda values: values["model.norm.weight"].fill_(float("nan")))


def _change(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    file = folder / "model.safetensors"
    values = load_file(file)
    change(values)
    save_file(values, file, metadata={"format": "pt"})


def _drop_tensor(folder: Path) -> None:
    _change(folder, lambda values: values.pop(f"{Q}.input_scale"))


def _drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _rename_algorithm(folder: Path) -> None:
    file = folder / "hf_quant_config.json"
    file.write_text(file.read_text().replace('"FP8"', '"NVFP4"'))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_swap_scales, "far"),
        (_not_finite, "not_finite"),
        (_drop_tensor, "missing_tensor"),
        (_drop("tokenizer.json"), "missing_file"),
        (_drop("chat_template.jinja"), "missing_file"),
        (_drop("LICENSE"), "missing_file"),
        (_rename_algorithm, "algorithm"),
    ],
)
def test_a_checkpoint_that_is_not_right_is_found_out(
    make: Make, tmp_path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    found = make("fp8")
    shutil.copytree(found.folder, tmp_path / EXPORT)
    spoil(tmp_path / EXPORT)
    arguments = found.arguments | {"work": str(tmp_path), "quality": found.made["quality"]}
    with pytest.raises(StudioError) as refusal:
        verify(arguments, lambda news: None)
    info = refusal.value.info
    assert info.code is Code.CHECKPOINT_CHECK_FAILED
    assert info.values["problem"].key == f"quantize.wrong.{problem}"  # type: ignore[union-attr]
