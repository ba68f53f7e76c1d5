"""A small SDXL pipeline with random weights, built and packed as the demo's SDXL is."""

import json
from collections import Counter
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from tools.demo_models.cards import NATIVE_SIZE, SDXL, VAE_SCALE
from tools.demo_models.models import build_vae, clip_config
from tools.demo_models.package import manifest
from tools.demo_models.sdxl import build_scheduler
from tools.demo_models.vocabulary import clip_tokenizer

CLIP_WIDTH, CLIP2_WIDTH, TIME_WIDTH = 64, 128, 16
WORDS = Counter(["red", "green", "blue", "circle", "square", "left", "of", "a", "house", "night"])
VOCABULARY = 640


def make_sdxl(folder: Path) -> Path:
    """Write the pipeline into `folder`; about 2 MB, in a second."""
    torch.manual_seed(0)
    words = clip_tokenizer(WORDS, VOCABULARY)
    special = (len(words), words.bos_token_id, words.eos_token_id)
    pipeline = StableDiffusionXLPipeline(
        vae=build_vae(SDXL.latent_channels, (16, 16, 16, 32)),
        text_encoder=CLIPTextModel(clip_config(*special, CLIP_WIDTH, 2)),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(*special, CLIP2_WIDTH, 2)),
        tokenizer=words,
        tokenizer_2=words,
        unet=_unet(),
        scheduler=build_scheduler(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    card = manifest(folder) | {"name": folder.name}
    (folder / "manifest.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=NATIVE_SIZE // VAE_SCALE,
        in_channels=SDXL.latent_channels,
        out_channels=SDXL.latent_channels,
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        mid_block_type=None,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=CLIP_WIDTH + CLIP2_WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=6 * TIME_WIDTH + CLIP2_WIDTH,
    )
