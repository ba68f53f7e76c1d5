"""What is fetched of a repository, told from its list of files."""

import pytest

from backend.contracts import Precision
from backend.models import layouts, preexported


def names(listing: str) -> list[str]:
    return listing.split()


FLUX = names("""
.gitattributes README.md LICENSE.md ae.safetensors dev_grid.jpg flux1-dev.safetensors
model_index.json scheduler/scheduler_config.json
text_encoder/config.json text_encoder/model.safetensors
text_encoder_2/config.json text_encoder_2/model-00001-of-00002.safetensors
text_encoder_2/model-00002-of-00002.safetensors text_encoder_2/model.safetensors.index.json
tokenizer/merges.txt tokenizer/special_tokens_map.json tokenizer/tokenizer_config.json
tokenizer/vocab.json
tokenizer_2/special_tokens_map.json tokenizer_2/spiece.model tokenizer_2/tokenizer.json
tokenizer_2/tokenizer_config.json
transformer/config.json transformer/diffusion_pytorch_model-00001-of-00003.safetensors
transformer/diffusion_pytorch_model-00002-of-00003.safetensors
transformer/diffusion_pytorch_model-00003-of-00003.safetensors
transformer/diffusion_pytorch_model.safetensors.index.json
vae/config.json vae/diffusion_pytorch_model.safetensors
""")
FLUX_NOT_NEEDED = set(FLUX[:6])
SDXL = names("""
.gitattributes README.md comparison.png model_index.json scheduler/scheduler_config.json
sd_xl_base_1.0.safetensors sd_xl_base_1.0_0.9vae.safetensors
sd_xl_offset_example-lora_1.0.safetensors
text_encoder/config.json text_encoder/flax_model.msgpack text_encoder/model.fp16.safetensors
text_encoder/model.onnx text_encoder/model.safetensors text_encoder/openvino_model.bin
text_encoder/openvino_model.xml
text_encoder_2/config.json text_encoder_2/model.fp16.safetensors text_encoder_2/model.onnx
text_encoder_2/model.onnx_data text_encoder_2/model.safetensors
tokenizer/merges.txt tokenizer/tokenizer_config.json tokenizer/vocab.json
tokenizer_2/merges.txt tokenizer_2/tokenizer_config.json tokenizer_2/vocab.json
unet/config.json unet/diffusion_flax_model.msgpack
unet/diffusion_pytorch_model.fp16.safetensors unet/diffusion_pytorch_model.safetensors
unet/model.onnx unet/model.onnx_data
vae/config.json vae/diffusion_pytorch_model.fp16.safetensors
vae/diffusion_pytorch_model.safetensors
vae_1_0/config.json vae_1_0/diffusion_pytorch_model.safetensors
vae_decoder/config.json vae_decoder/model.onnx vae_encoder/config.json vae_encoder/model.onnx
""")
ONNX = names("""
LICENSE.md README.md clip.opt/model.onnx t5-fp8.opt/model.onnx t5-fp8.opt/backbone.onnx_data
t5.opt/model.onnx t5.opt/backbone.onnx_data transformer.opt/bf16/model.onnx
transformer.opt/bf16/backbone.onnx_data transformer.opt/fp4/model.onnx
transformer.opt/fp4/backbone.onnx_data transformer.opt/fp8/model.onnx
transformer.opt/fp8/backbone.onnx_data vae.opt/model.onnx
""")


def test_flux_without_its_single_file_checkpoint() -> None:
    assert set(layouts.PIPELINE.choose(FLUX)) == set(FLUX) - FLUX_NOT_NEEDED
    assert layouts.PIPELINE.lacks(FLUX) == []


def test_sdxl_in_half_precision_and_without_copies_in_other_formats() -> None:
    chosen = layouts.PIPELINE.choose(SDXL)
    assert [name for name in chosen if name.endswith(".safetensors")] == [
        "text_encoder/model.fp16.safetensors",
        "text_encoder_2/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]
    assert not {name.partition("/")[0] for name in chosen} & {"vae_1_0", "vae_decoder"}
    assert layouts.PIPELINE.lacks(SDXL) == []


@pytest.mark.parametrize("copy", ["plain", "half"])
def test_either_copy_of_sdxl_is_enough(copy: str) -> None:
    here = [name for name in SDXL if (".fp16." in name) == (copy == "half") or name[-1] == "n"]
    assert layouts.PIPELINE.lacks(here) == []


def test_shards_in_half_precision_are_chosen_and_missed() -> None:
    stem, index = "unet/model.fp16", "unet/model.safetensors.index.fp16.json"
    shards = [f"{stem}-0000{number}-of-00002.safetensors" for number in (1, 2)]
    others = [name for name in SDXL if "unet/diff" not in name]
    chosen = layouts.PIPELINE.choose([*others, *shards, index, "unet/model.safetensors"])
    assert {*shards, index} <= set(chosen)
    assert "unet/model.safetensors" not in chosen
    assert layouts.PIPELINE.lacks([*others, shards[0], index]) == [shards[1]]


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("model_index.json", "model_index.json"),
        ("vae/diffusion_pytorch_model.safetensors", "vae/*.safetensors"),
        (
            "transformer/diffusion_pytorch_model-00002-of-00003.safetensors",
            "transformer/diffusion_pytorch_model-00002-of-00003.safetensors",
        ),
        ("tokenizer_2/tokenizer_config.json", "tokenizer_2/tokenizer_config.json"),
    ],
)
def test_what_a_model_lacks_is_named(gone: str, said: str) -> None:
    assert layouts.PIPELINE.lacks([name for name in FLUX if name != gone]) == [said]


def test_what_runs_around_engines_holds_no_weights() -> None:
    chosen = layouts.SETTINGS.choose(FLUX)
    assert "tokenizer_2/spiece.model" in chosen
    assert not [name for name in chosen if "safetensors" in name]
    assert layouts.SETTINGS.lacks(chosen) == []
    assert layouts.PIPELINE.lacks(chosen)


def test_ready_onnx_of_one_precision() -> None:
    layout = preexported.layout(Precision.NVFP4)
    assert layout.choose(ONNX) == [
        "clip.opt/model.onnx",
        "t5.opt/backbone.onnx_data",
        "t5.opt/model.onnx",
        "transformer.opt/fp4/backbone.onnx_data",
        "transformer.opt/fp4/model.onnx",
        "vae.opt/model.onnx",
    ]
    assert layout.lacks(ONNX) == []
    assert preexported.layout(Precision.FP8, "vae_decoder").choose(ONNX) == ["vae.opt/model.onnx"]


def test_ready_onnx_that_is_laid_out_a_little_otherwise_is_found() -> None:
    found = ["CLIP/clip.onnx", "t5/model.onnx", "vae/vae.onnx", "transformer/fp8/flux.onnx"]
    assert preexported.layout(Precision.FP8).choose(found) == sorted(found)
    assert preexported.layout(Precision.BF16).lacks(found) == ["transformer.opt/bf16/model.onnx"]
    two = [*found, "CLIP/other.onnx"]
    assert preexported.layout(Precision.FP8).lacks(two) == ["clip.opt/model.onnx"]
