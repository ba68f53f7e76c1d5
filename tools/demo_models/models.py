"""Building blocks that the demo pipelines share.

Every width is a multiple of 32, most of 64, so that GPU kernels run on aligned shapes.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig

from tools.demo_models.cards import NATIVE_SIZE

CLIP_VOCABULARY, T5_VOCABULARY = 1152, 1024
CLIP_TOKENS, T5_TOKENS = 64, 48


def build_vae(
    latent_channels: int, widths: tuple[int, int, int, int] = (32, 32, 64, 96)
) -> AutoencoderKL:
    """Autoencoder of 4 levels: [B, 3, H, W] in -1..1 to latents [B, C, H/8, W/8] and back."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=16,
        sample_size=NATIVE_SIZE,
        scaling_factor=1.0,
        shift_factor=0.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def clip_config(
    vocabulary_size: int, bos: int, eos: int, width: int, layers: int
) -> CLIPTextConfig:
    """A CLIP text encoder with heads of 64."""
    return CLIPTextConfig(
        vocab_size=vocabulary_size,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        max_position_embeddings=CLIP_TOKENS,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=eos,
    )


def parameters_of(*models: torch.nn.Module) -> int:
    return sum(p.numel() for model in models for p in model.parameters())
