"""The SDXL denoiser: epsilon prediction over all noise levels."""

from __future__ import annotations

import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor

from tools.demo_models.cards import VAE_SCALE
from tools.demo_models.denoise import Batch, Goal
from tools.demo_models.training import autocast

PEAK_RATE = 1e-3
TIME_SHIFT = 1.5
HIGHEST_SNR = 20.0


def random_times(count: int, levels: int, device: str) -> Tensor:
    """Noise levels, the high ones somewhat more often: they decide the composition."""
    flat = torch.rand(count, device=device)
    shares = TIME_SHIFT * flat / (1 + (TIME_SHIFT - 1) * flat)
    return (shares * levels).long().clamp_max(levels - 1)


def time_ids(batch: Batch) -> Tensor:
    """Original size, crop and target size as StableDiffusionXLPipeline gives them: [B, 6]."""
    height, width = (side * VAE_SCALE for side in batch.latents.shape[2:])
    row = [height, width, 0, 0, height, width]
    return batch.latents.new_tensor(row).expand(len(batch.latents), -1)


def epsilon_prediction(
    unet: UNet2DConditionModel, scheduler: EulerDiscreteScheduler, device: str
) -> Goal:
    """The noise in the latents, by squared error; low noise weighs less (min-SNR)."""
    kept = scheduler.alphas_cumprod.to(device)
    weights = (HIGHEST_SNR * (1 - kept) / kept).clamp_max(1.0)

    def loss(batch: Batch) -> Tensor:
        times = random_times(len(batch.latents), len(kept), device)
        share = kept[times][:, None, None, None]
        noise = torch.randn_like(batch.latents)
        noised = share.sqrt() * batch.latents + (1 - share).sqrt() * noise
        with autocast(device):
            predicted = unet(
                noised,
                times,
                encoder_hidden_states=batch.tokens,
                added_cond_kwargs={"text_embeds": batch.pooled, "time_ids": time_ids(batch)},
                return_dict=False,
            )[0].float()
        squares = ((predicted - noise) ** 2).mean((1, 2, 3))
        return (weights[times] * squares).mean()

    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    return Goal(PEAK_RATE, loss, blocks)
