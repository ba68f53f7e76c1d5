"""The demo SDXL pipeline: sizes, construction and assembly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from tools.demo_models.cards import NATIVE_SIZE, SDXL, VAE_SCALE
from tools.demo_models.denoise import Goal
from tools.demo_models.family import Family, Seconds
from tools.demo_models.models import build_vae, clip_config
from tools.demo_models.tokens import Tokenizers
from tools.demo_models.train_sdxl import epsilon_prediction
from tools.demo_models.train_text import Features

TOKENIZERS = ("clip",)
SECONDS = Seconds(vae=180, text=40, denoiser=520, distil=0, decoder=60)
VAE_WIDTHS = (32, 64, 64, 96)
CLIP_WIDTH, CLIP2_WIDTH = 64, 128
TIME_IDS, TIME_WIDTH = 6, 32


def build_unet() -> UNet2DConditionModel:
    """Denoiser of three levels with the sizes and the pooled text added to the time, like SDXL."""
    return UNet2DConditionModel(
        sample_size=NATIVE_SIZE // VAE_SCALE,
        in_channels=SDXL.latent_channels,
        out_channels=SDXL.latent_channels,
        block_out_channels=(64, 64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1,
        attention_head_dim=(1, 1, 2),
        cross_attention_dim=CLIP_WIDTH + CLIP2_WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=TIME_IDS * TIME_WIDTH + CLIP2_WIDTH,
    )


def build_scheduler() -> EulerDiscreteScheduler:
    """SDXL's noise levels; few steps go from the highest to the lowest of them."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        timestep_spacing="linspace",
    )


class SdxlFamily(Family):
    card = SDXL
    denoiser_name = "unet"
    text_widths = (CLIP2_WIDTH, CLIP_WIDTH + CLIP2_WIDTH)
    text_cost = 0
    vae_balance, latent_spread, centred = 0.01, 0.5, False
    """Latents of half the usual spread: drawings are smooth, and full noise must drown them."""

    def __init__(self, tokenizers: Tokenizers) -> None:
        self.tokenizers = tokenizers
        words = tokenizers.kinds["clip"]
        special = (len(words), words.bos_token_id, words.eos_token_id)
        self.vae = build_vae(SDXL.latent_channels, VAE_WIDTHS)
        self.denoiser, self.scheduler = build_unet(), build_scheduler()
        self.clip = CLIPTextModel(clip_config(*special, CLIP_WIDTH, 3))
        self.clip2 = CLIPTextModelWithProjection(clip_config(*special, CLIP2_WIDTH, 4))
        self.encoders = {"clip": self.clip, "clip2": self.clip2}

    def encode_text(self, ids: Sequence[Tensor]) -> Features:
        first = self.clip(ids[0].int(), output_hidden_states=True)
        second = self.clip2(ids[0].int(), output_hidden_states=True)
        tokens = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
        return second.text_embeds, tokens

    def goals(self, device: str) -> dict[str, Callable[[Features], Goal]]:
        return {"denoiser": lambda empty: epsilon_prediction(self.denoiser, self.scheduler, device)}

    def save(self, folder: Path) -> None:
        words = self.tokenizers.kinds["clip"]
        pipeline = StableDiffusionXLPipeline(
            vae=self.vae,
            text_encoder=self.clip,
            text_encoder_2=self.clip2,
            tokenizer=words,
            tokenizer_2=words,
            unet=self.denoiser,
            scheduler=self.scheduler,
            force_zeros_for_empty_prompt=False,
            add_watermarker=False,
        )
        pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
