"""FLUX.1-dev or SDXL as a folder of models: its denoiser at full size with random weights.

python -m benchmarks.random_pipeline {flux,sdxl} FOLDER [--small]

For trying how long the studio's own jobs take and how much memory, without the real weights: give
the folder as STUDIO_MODELS and build engines of `random-flux` or `random-sdxl`. The VAE and the
text encoders have the real widths where the denoiser reads them, and little else. Pictures are
256 to 1024 pixels.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import torch
from diffusers import (
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    StableDiffusionXLPipeline,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from benchmarks.full_size import FLUX, random_module
from tools.demo_models import cards
from tools.demo_models.flux import SCHEDULER_SHIFT
from tools.demo_models.models import build_vae, clip_config
from tools.demo_models.package import manifest
from tools.demo_models.sdxl import build_scheduler
from tools.demo_models.vocabulary import clip_tokenizer, t5_tokenizer

WORDS = Counter(["red", "green", "blue", "circle", "square", "left", "of", "a", "house", "night"])
VOCABULARY = 640
CLIP_WIDTH, CLIP2_WIDTH = 768, 1280
SMALL_VAE = (16, 16, 16, 32)
SIZES = {"native_size": 256, "size_range": [256, 1024], "size_multiple": 64}


def flux(denoiser: torch.nn.Module) -> DiffusionPipeline:
    words, pieces = clip_tokenizer(WORDS, VOCABULARY), t5_tokenizer(WORDS, VOCABULARY)
    config = T5Config(
        vocab_size=len(pieces),
        d_model=FLUX["joint_attention_dim"],
        d_kv=64,
        d_ff=64,
        num_layers=1,
        num_heads=1,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        tie_word_embeddings=False,
    )
    clip = clip_config(len(words), words.bos_token_id, words.eos_token_id, CLIP_WIDTH, 1)
    return FluxPipeline(
        transformer=denoiser,
        vae=build_vae(cards.FLUX.latent_channels, SMALL_VAE),
        text_encoder=CLIPTextModel(clip),
        text_encoder_2=T5EncoderModel(config),
        tokenizer=words,
        tokenizer_2=pieces,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SCHEDULER_SHIFT),
    )


def sdxl(denoiser: torch.nn.Module) -> DiffusionPipeline:
    words = clip_tokenizer(WORDS, VOCABULARY)
    special = (len(words), words.bos_token_id, words.eos_token_id)
    return StableDiffusionXLPipeline(
        unet=denoiser,
        vae=build_vae(cards.SDXL.latent_channels, SMALL_VAE),
        text_encoder=CLIPTextModel(clip_config(*special, CLIP_WIDTH, 1)),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(*special, CLIP2_WIDTH, 1)),
        tokenizer=words,
        tokenizer_2=words,
        scheduler=build_scheduler(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def write(family: str, folder: Path, small: bool) -> Path:
    """Write the pipeline in BF16 to `folder / random-FAMILY`."""
    target = folder / f"random-{family}"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    denoiser = random_module(family, small, device)
    pipeline = {"flux": flux, "sdxl": sdxl}[family](denoiser)
    pipeline.to(torch.bfloat16).save_pretrained(target, safe_serialization=True)
    card = manifest(target) | SIZES | {"name": target.name, "sha256": {}}
    (target / "manifest.json").write_text(json.dumps(card, indent=2), encoding="utf-8")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=("flux", "sdxl"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true", help="keep the architecture, shrink it")
    options = parser.parse_args()
    print(write(options.family, options.folder, options.small))


if __name__ == "__main__":
    main()
