"""What the studio knows of a model by its family, without loading it."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from backend.contracts import EngineProfile, Precision, VariantState
from backend.engines.cache import Host
from backend.engines.shapes import input_shapes
from backend.engines.variants import engine_variants
from backend.models import files
from backend.models.catalog import KNOWN, Entry, find_model, find_models
from backend.models.families import FAMILIES, FLUX, SDXL
from backend.models.families.tokens import count_tokens
from backend.settings import Settings
from tools.demo_models.cards import SDXL as CARD

FP32, FP16, BF16 = Precision.FP32, Precision.FP16, Precision.BF16
INT8, FP8, NVFP4 = Precision.INT8, Precision.FP8, Precision.NVFP4
SPARK = Host("sm121", "NVIDIA GB10", 48, {"rtx": "1.7.1.116", "onnxruntime": "1.31.1"})


def entry_of(models: Path, model: str = "tiny-sdxl") -> Entry:
    return find_model(Settings(home=Path("unused"), models=(models,)), model)


@pytest.fixture
def copy(sdxl_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sdxl_models / "tiny-sdxl", tmp_path / "copy"))


def test_a_folder_is_read_as_its_card_says(sdxl_models: Path) -> None:
    entry = entry_of(sdxl_models)
    limits = entry.limits
    assert (entry.family, entry.problem) == (SDXL, "")
    assert (limits.native_width, limits.min_side, limits.max_side) == (256, 64, 256)
    assert (limits.default_steps, limits.default_guidance) == (CARD.steps, CARD.guidance)
    assert (limits.multiple, limits.max_prompt_tokens) == (16, CARD.prompt_tokens)
    assert limits.takes_negative_prompt
    assert entry.engine_precisions == (FP32, FP16, BF16, INT8, FP8, NVFP4)


def test_the_full_size_models_have_the_engines_of_the_table() -> None:
    assert {known.id: known.engine_precisions for known in KNOWN} == {
        "flux.1-dev": (BF16, FP8, NVFP4),
        "flux.1-schnell": (FP16, BF16, FP8, NVFP4),
        "sdxl-1.0": (FP16, BF16, INT8, FP8),
    }
    entry = find_model(Settings(home=Path("unused")), "sdxl-1.0")
    assert 6.9e9 < entry.size_bytes < 7.0e9
    assert entry.limits.max_prompt_tokens == 77
    assert entry.limits.native_width == 1024
    offered = {one.precision for one in engine_variants(entry, SPARK, (), {})}
    assert offered == {FP16, BF16, INT8, FP8}


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (FP32, ((FP32, FP32), (FP32, FP32), (FP32, FP32), (FP32, FP32))),
        (FP16, ((FP16, FP16), (FP16, FP16), (FP16, FP16), (FP32, FP32))),
        (BF16, ((FP16, FP16), (FP16, FP16), (BF16, BF16), (FP32, FP32))),
        (INT8, ((FP16, FP16), (FP16, FP16), (FP16, INT8), (FP32, FP32))),
        (FP8, ((FP16, FP16), (FP16, FP16), (FP16, FP8), (FP32, FP32))),
        (NVFP4, ((FP16, FP16), (FP16, FP16), (FP16, NVFP4), (FP32, FP32))),
    ],
)
def test_precisions_of_sdxls_modules(precision: Precision, expected: Any) -> None:
    modules = ("text_encoder", "text_encoder_2", "unet", "vae_decoder")
    assert SDXL.module_precisions(precision, on_cpu=False) == dict(
        zip(modules, expected, strict=True)
    )
    on_cpu = SDXL.module_precisions(precision, on_cpu=True)
    assert {base for base, _ in on_cpu.values()} == {FP32}


def test_precisions_of_fluxs_modules() -> None:
    assert FLUX.module_precisions(FP8, on_cpu=False) == {
        "text_encoder": (FP16, FP16),
        "text_encoder_2": (BF16, BF16),
        "transformer": (BF16, FP8),
        "vae_decoder": (BF16, BF16),
    }
    assert FLUX.module_precisions(FP16, on_cpu=False)["vae_decoder"] == (FP32, FP32)


def test_guidance_doubles_what_the_unet_gets_at_once() -> None:
    profile = EngineProfile(min_side=64, max_side=256, opt_width=256, opt_height=128, max_batch=2)
    dynamic = {"sample": [(0, "G"), (2, "H"), (3, "W")], "timestep": []}
    shapes = input_shapes({"sample": [2, 4, 8, 8], "timestep": [1]}, dynamic, profile)
    assert shapes["sample"] == [[1, 4, 8, 8], [2, 4, 16, 32], [4, 4, 32, 32]]
    assert shapes["timestep"] == [[1], [1], [1]]


@pytest.mark.parametrize(
    "prompt", ["", "A red  circle, left-of it's 42", "üñ 분홍 하트", "red " * 99]
)
def test_tokens_are_counted_as_the_tokenizer_does(
    sdxl_models: Path, tmp_path: Path, prompt: str
) -> None:
    from transformers import CLIPTokenizer

    folder = sdxl_models / "tiny-sdxl" / "tokenizer"
    expected = len(CLIPTokenizer.from_pretrained(folder)(prompt).input_ids)
    assert count_tokens(folder, prompt) == expected
    bpe = json.loads((folder / "tokenizer.json").read_text())["model"]
    older = tmp_path / "older"
    older.mkdir()
    (older / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in bpe["merges"])
    (older / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    assert count_tokens(older, prompt) == expected


def test_only_the_weights_that_are_loaded_count(copy: Path) -> None:
    before = files.count_parameters(copy, "copy")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
    shutil.copytree(copy / "vae", copy / "vae_1_0")
    assert files.count_parameters(copy, "copy") == before
    assert files.variant_of(copy) is None
    weights.unlink()
    assert files.count_parameters(copy, "copy") == before
    assert files.variant_of(copy) == "fp16"


def test_weights_in_half_precision_alone_are_loaded(copy: Path) -> None:
    import torch

    from backend.images.pipeline import load_pipeline

    for file in files.weight_files(copy):
        file.rename(file.with_suffix(".fp16.safetensors"))
    pipeline = load_pipeline(copy, "copy", FP32, torch.device("cpu"))
    assert pipeline.unet.dtype == torch.float32


def test_the_index_cannot_point_outside_of_its_folder(copy: Path) -> None:
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {"../demo": ["diffusers", "X"]}))
    empty = json.dumps({}).encode()
    (copy.parent / "demo").mkdir()
    (copy.parent / "demo" / "a.safetensors").write_bytes(struct.pack("<Q", len(empty)) + empty)
    assert all(
        file.is_relative_to(copy) and ".." not in str(file) for file in files.weight_files(copy)
    )


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def spoil_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def change_scheduler(folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", _class_name="DDIMScheduler")


@pytest.mark.parametrize("damage", [spoil_index, change_scheduler])
def test_what_cannot_be_run_is_listed_with_the_reason(copy: Path, damage: Any) -> None:
    damage(copy)
    entry = entry_of(copy.parent, "copy")
    assert entry.family is SDXL
    assert entry.problem
    states = {one.state for one in engine_variants(entry, SPARK, (), {})}
    assert states == {VariantState.IMPOSSIBLE}


def test_a_pipeline_of_no_family_is_no_model(copy: Path) -> None:
    change(copy / "model_index.json", _class_name="StableDiffusionPipeline")
    assert "copy" not in find_models(Settings(home=Path("unused"), models=(copy.parent,)))


def test_families_are_found_by_their_name() -> None:
    assert FAMILIES == {"flux": FLUX, "sdxl": SDXL}


def test_what_exporting_a_module_takes() -> None:
    assert SDXL.needed_for(["vae_decoder"]) == ("vae",)
    assert SDXL.needed_for(["text_encoder"]) == ("text_encoder",)
    assert FLUX.needed_for(["transformer"]) == ("text_encoder", "text_encoder_2", "transformer")
    assert FLUX.needed_for(FLUX.engine_modules) == FLUX.components
