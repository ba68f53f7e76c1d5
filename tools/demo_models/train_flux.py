"""Stages 3 and 4: the denoiser by flow matching, then guidance distilled into its embedding."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from tools.demo_models.denoise import Batch, Goal
from tools.demo_models.pool import Size
from tools.demo_models.train_text import Features
from tools.demo_models.training import autocast

PEAK_RATE = 1.2e-3
DISTIL_RATE = 4e-4
TIME_SHIFT = 2.5
GUIDANCE_RANGE = (1.0, 5.0)


@dataclass
class Example:
    """Noised picture tokens [B, P, 64], times [B], velocities and text features."""

    noised: Tensor
    times: Tensor
    velocity: Tensor
    pooled: Tensor
    tokens: Tensor
    grid: Size


def pack_latents(latents: Tensor) -> Tensor:
    """[B, C, h, w] to tokens [B, h/2 * w/2, 4C], in FluxPipeline's order."""
    b, c, h, w = latents.shape
    return latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, 4 * c)


def position_ids(rows: int, columns: int, device: str) -> Tensor:
    """(0, row, column) of each picture token: [rows * columns, 3]."""
    ids = torch.zeros(rows, columns, 3, device=device)
    ids[..., 1] += torch.arange(rows, device=device)[:, None]
    ids[..., 2] += torch.arange(columns, device=device)
    return ids.view(-1, 3)


def random_times(count: int, device: str) -> Tensor:
    """Noise shares of 0..1, most of them high, where the composition is decided."""
    normal = torch.sigmoid(torch.randn(count, device=device))
    flat = torch.rand(count, device=device)
    times = torch.where(torch.rand(count, device=device) < 0.15, flat, normal)
    return TIME_SHIFT * times / (1 + (TIME_SHIFT - 1) * times)


def noised(batch: Batch, device: str) -> Example:
    """The batch with noise at times by lot."""
    latents = batch.latents
    picture, noise = pack_latents(latents), pack_latents(torch.randn_like(latents))
    times = random_times(len(latents), device)
    mixed = torch.lerp(picture, noise, times[:, None, None])
    grid = (latents.shape[2] // 2, latents.shape[3] // 2)
    return Example(mixed, times, noise - picture, batch.pooled, batch.tokens, grid)


def velocity(
    transformer: FluxTransformer2DModel, example: Example, guidance: Tensor, device: str
) -> Tensor:
    """Predicted velocity [B, P, 64] in FP32; guidance [B] as FluxPipeline passes it."""
    with autocast(device):
        return transformer(
            hidden_states=example.noised,
            timestep=example.times,
            guidance=guidance,
            pooled_projections=example.pooled,
            encoder_hidden_states=example.tokens,
            txt_ids=torch.zeros(example.tokens.shape[1], 3, device=device),
            img_ids=position_ids(*example.grid, device),
            return_dict=False,
        )[0].float()


def blocks_of(transformer: FluxTransformer2DModel) -> list[nn.Module]:
    return [*transformer.transformer_blocks, *transformer.single_transformer_blocks]


def flow_matching(transformer: FluxTransformer2DModel, device: str) -> Goal:
    """The velocity from picture to noise, with the guidance embedding at 1."""

    def loss(batch: Batch) -> Tensor:
        example = noised(batch, device)
        predicted = velocity(transformer, example, torch.ones_like(example.times), device)
        return nn.functional.mse_loss(predicted, example.velocity)

    return Goal(PEAK_RATE, loss, blocks_of(transformer))


def distilled_guidance(transformer: FluxTransformer2DModel, empty: Features, device: str) -> Goal:
    """Classifier-free guidance of the model as it is now, without its second evaluation."""
    teacher = copy.deepcopy(transformer).requires_grad_(False)
    low, high = GUIDANCE_RANGE

    @torch.no_grad()
    def guided(example: Example, guidance: Tensor) -> Tensor:
        one = torch.ones_like(guidance)
        bare = replace(
            example,
            pooled=empty[0].expand_as(example.pooled),
            tokens=empty[1].expand_as(example.tokens),
        )
        with_text = velocity(teacher, example, one, device)
        without = velocity(teacher, bare, one, device)
        return without + guidance[:, None, None] * (with_text - without)

    def loss(batch: Batch) -> Tensor:
        example = noised(batch, device)
        guidance = low + (high - low) * torch.rand(len(batch.latents), device=device)
        predicted = velocity(transformer, example, guidance, device)
        return nn.functional.mse_loss(predicted, guided(example, guidance))

    return Goal(DISTIL_RATE, loss, blocks_of(transformer))
