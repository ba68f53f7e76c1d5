"""A module as it is exported, and what the families' modules share."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from backend.engines.shapes import VAE_SCALE

SAMPLE_BATCH = 2
"""The exporter takes a dimension of 1 for fixed."""
SAMPLE_PROMPTS = ["a red circle left of a blue square", "a house at night"]


@dataclass(frozen=True)
class ExportModule:
    """A module with plain tensors in and out."""

    name: str
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    """One real example of each input, in order."""
    dynamic: dict[str, dict[int, str]]
    """Names of the dynamic dimensions of each input."""
    outputs: tuple[str, ...]
    prefix: str
    """What the names of the pipeline's own module get in front of them here."""


class Wrapper(nn.Module):
    """Gives the pipeline's own module, `model`, plain tensors in and out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


def token_ids(tokenizer: Any, prompts: list[str]) -> torch.Tensor:
    ids: torch.Tensor = tokenizer(
        prompts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


def vae_decoder(vae: Any, width: int, height: int) -> ExportModule:
    generator = torch.Generator("cpu").manual_seed(0)
    rows, columns = height // VAE_SCALE, width // VAE_SCALE
    channels = vae.config.latent_channels
    latent = torch.randn(SAMPLE_BATCH, channels, rows, columns, generator=generator)
    return ExportModule(
        "vae_decoder",
        _Decoder(vae),
        {"latent": latent.to(vae.dtype)},
        {"latent": {0: "B", 2: "H", 3: "W"}},
        ("images",),
        "model.",
    )


class _Decoder(Wrapper):
    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self.model.decode(latent, return_dict=False)[0]  # type: ignore[operator]
        return decoded
