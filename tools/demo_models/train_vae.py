"""Stage 1: the autoencoder, and the latents of a whole pool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from tools.demo_models.pool import Shelf, Size
from tools.demo_models.stages import Loss, Recipe, Stage, optimise
from tools.demo_models.training import autocast

KL_WEIGHT = 2e-5
PEAK_RATE = 1.2e-3
POLISH_RATE = 6e-4


class Decoding(nn.Module):
    """Latents [B, C, h, w] to pictures; for training the decoder alone."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.decoder = vae.decoder

    def forward(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)


class Reconstruction(nn.Module):
    """Pictures [B, 3, H, W] in -1..1 to reconstruction, latent mean and log variance."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.encoder, self.decoder = vae.encoder, vae.decoder

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(pictures).float().chunk(2, 1)
        log_variance = log_variance.clamp(-20, 10)
        sample = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(sample.to(pictures.dtype)), mean, log_variance


def unit(pictures: Tensor) -> Tensor:
    """uint8 pictures as floats in -1..1."""
    return pictures.float() / 127.5 - 1


def in_bfloat16(model: nn.Module, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Run the model in BF16 throughout (norms too) while its FP32 weights collect gradients."""
    weights = {name: p.bfloat16() for name, p in model.named_parameters()}
    return torch.func.functional_call(model, weights, tuple(x.bfloat16() for x in inputs))


def psnr(mean_square: float) -> float:
    """Peak signal-to-noise ratio in dB of pictures in -1..1."""
    return 10 * math.log10(4 / max(mean_square, 1e-12))


def random_pictures(shelf: Shelf, pixels: int) -> Tensor:
    """As many pictures by lot as have about `pixels` pixels, in -1..1."""
    count = max(1, pixels // (shelf.pictures.shape[-1] * shelf.pictures.shape[-2]))
    rows = torch.randint(len(shelf), (count,), device=shelf.pictures.device)
    return unit(shelf.pictures[rows])


def imbalance(mean: Tensor) -> Tensor:
    """How far latent channels [B, C, h, w] are from mean 0 and variance 1."""
    return (mean.mean((0, 2, 3)) ** 2 + (mean.var((0, 2, 3)) - 1) ** 2).mean()


@dataclass(frozen=True)
class VaePlan:
    """How the autoencoder trains: pixels a step, memory layout, weight of even latent channels."""

    pixels: int
    channels_last: bool
    balance: float


def train_vae(vae: AutoencoderKL, shelves: dict[Size, Shelf], stage: Stage, plan: VaePlan) -> None:
    """Train in place; the weights at the end are the moving average."""
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    model = Reconstruction(vae).to(memory_format=layout)
    sizes = [size for size in shelves if size in ((128, 128), (256, 256))]
    others = [size for size in shelves if size not in sizes]

    def loss_of(fraction: float, order: Random) -> Loss:
        size = order.choice(sizes if order.random() < 0.85 else others or sizes)
        pictures = random_pictures(shelves[size], plan.pixels).contiguous(memory_format=layout)
        rebuilt, mean, log_variance = in_bfloat16(model, pictures)
        error = rebuilt.float() - pictures
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        square = (error**2).mean()
        loss = error.abs().mean() + 4 * square + KL_WEIGHT * kl
        if plan.balance:
            loss = loss + plan.balance * imbalance(mean)
        return loss, len(pictures), {"square": square, "kl": kl, "size": size[0]}

    recipe = Recipe(PEAK_RATE, weight_decay=1e-4)
    optimise(stage, list(model.parameters()), recipe, loss_of)
    vae.to(memory_format=torch.contiguous_format)


def polish_decoder(
    vae: AutoencoderKL, shelves: dict[Size, Shelf], stage: Stage, plan: VaePlan
) -> None:
    """Train the decoder further in place; the latents stay as they are."""
    model = Decoding(vae)

    def loss_of(fraction: float, order: Random) -> Loss:
        size = order.choice(list(shelves))
        pictures = random_pictures(shelves[size], plan.pixels)
        with torch.no_grad(), autocast(stage.device):
            latents = vae.encode(pictures).latent_dist.sample().float()
        error = in_bfloat16(model, latents).float() - pictures
        square = (error**2).mean()
        figures = {"square": square, "size": size[0]}
        return error.abs().mean() + 8 * square, len(pictures), figures

    recipe = Recipe(POLISH_RATE, weight_decay=1e-4)
    optimise(stage, list(model.parameters()), recipe, loss_of)


@torch.no_grad()
def measure(vae: AutoencoderKL, shelf: Shelf, count: int = 256) -> float:
    """Mean PSNR in dB over the first pictures of a shelf, latents at their mean."""
    decibels = []
    for part in shelf.pictures[:count].split(32):
        pictures = unit(part)
        rebuilt = vae.decode(vae.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
        squares = ((rebuilt - pictures) ** 2).mean((1, 2, 3)).tolist()
        decibels += [psnr(square) for square in squares]
    return sum(decibels) / len(decibels)


@torch.no_grad()
def encode(vae: AutoencoderKL, shelf: Shelf, device: str) -> Tensor:
    """Latent means [N, C, H/8, W/8] of a shelf, not yet shifted or scaled."""
    height, width = shelf.pictures.shape[-2:]
    latents = []
    for part in shelf.pictures.split(max(1, 512 * 128 * 128 // (height * width))):
        with autocast(device):
            latents.append(vae.encode(unit(part)).latent_dist.mode().half())
    return torch.cat(latents)
