"""Tiny denoisers with random weights, built like the real ones, and inputs for them."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel
from torch import nn


def tiny_flux() -> FluxTransformer2DModel:
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    ).eval()


def tiny_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 1),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64,
        cross_attention_dim=32,
        norm_num_groups=8,
    ).eval()


def flux_inputs(seed: int) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    return {
        "hidden_states": torch.randn(1, 16, 16, generator=random),
        "encoder_hidden_states": torch.randn(1, 5, 32, generator=random),
        "pooled_projections": torch.randn(1, 16, generator=random),
        "timestep": torch.rand(1, generator=random),
        "guidance": torch.full((1,), 3.5),
        "img_ids": torch.randn(16, 3, generator=random).abs(),
        "txt_ids": torch.zeros(5, 3),
    }


def unet_inputs(seed: int) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(2, 4, 8, 8, generator=random),
        "timestep": torch.tensor([float(seed)]),
        "encoder_hidden_states": torch.randn(2, 5, 32, generator=random),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(2, 16, generator=random),
            "time_ids": torch.rand(2, 6, generator=random),
        },
    }


INPUTS: dict[str, Callable[[int], dict[str, Any]]] = {"flux": flux_inputs, "sdxl": unet_inputs}
BUILDERS: dict[str, Callable[[], Any]] = {"flux": tiny_flux, "sdxl": tiny_unet}


def run(module: nn.Module, family: str, seed: int) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = module(**INPUTS[family](seed), return_dict=False)[0]
    return output
