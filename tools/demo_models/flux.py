"""The demo FLUX pipeline: sizes, construction and assembly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor
from transformers import CLIPTextModel, T5Config, T5EncoderModel

from tools.demo_models.cards import FLUX
from tools.demo_models.denoise import Goal
from tools.demo_models.family import Family, Seconds
from tools.demo_models.models import T5_TOKENS, build_vae, clip_config
from tools.demo_models.tokens import Tokenizers
from tools.demo_models.train_flux import distilled_guidance, flow_matching
from tools.demo_models.train_text import Features

TOKENIZERS = ("clip", "t5")
SECONDS = Seconds(vae=170, text=38, denoiser=530, distil=140, decoder=65)
TEXT_WIDTH = 128
SCHEDULER_SHIFT = 3.0


def build_t5(vocabulary_size: int) -> T5EncoderModel:
    """Text encoder that gives one feature vector per token: [B, 48, 128]."""
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary_size,
            d_model=TEXT_WIDTH,
            d_kv=64,
            d_ff=2 * TEXT_WIDTH,
            num_layers=3,
            num_heads=2,
            relative_attention_num_buckets=32,
            relative_attention_max_distance=64,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            is_encoder_decoder=False,
            use_cache=False,
            tie_word_embeddings=False,
        )
    )


def build_transformer() -> FluxTransformer2DModel:
    """Denoiser over 2x2 packed latents with a guidance embedding, like FLUX.1-dev."""
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * FLUX.latent_channels,
        num_layers=1,
        num_single_layers=6,
        attention_head_dim=64,
        num_attention_heads=3,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(8, 28, 28),
    )


class FluxFamily(Family):
    card = FLUX
    denoiser_name = "flux"
    text_widths = (TEXT_WIDTH, TEXT_WIDTH)
    text_cost = T5_TOKENS
    vae_balance, latent_spread, centred = 0.0, 1.0, True

    def __init__(self, tokenizers: Tokenizers) -> None:
        self.tokenizers = tokenizers
        words, pieces = (tokenizers.kinds[kind] for kind in TOKENIZERS)
        self.vae, self.denoiser = build_vae(FLUX.latent_channels), build_transformer()
        config = clip_config(len(words), words.bos_token_id, words.eos_token_id, TEXT_WIDTH, 3)
        self.clip, self.t5 = CLIPTextModel(config), build_t5(len(pieces))
        self.encoders = {"clip": self.clip, "t5": self.t5}

    def encode_text(self, ids: Sequence[Tensor]) -> Features:
        clip_ids, t5_ids = ids
        return self.clip(clip_ids.int()).pooler_output, self.t5(t5_ids.int())[0]

    def goals(self, device: str) -> dict[str, Callable[[Features], Goal]]:
        transformer = self.denoiser
        return {
            "denoiser": lambda empty: flow_matching(transformer, device),
            "distil": partial(distilled_guidance, transformer, device=device),
        }

    def save(self, folder: Path) -> None:
        pipeline = FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(
                shift=SCHEDULER_SHIFT, use_dynamic_shifting=False
            ),
            vae=self.vae,
            text_encoder=self.clip,
            tokenizer=self.tokenizers.kinds["clip"],
            text_encoder_2=self.t5,
            tokenizer_2=self.tokenizers.kinds["t5"],
            transformer=self.denoiser,
        )
        pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
