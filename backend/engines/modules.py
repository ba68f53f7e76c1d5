"""The modules of a pipeline that engines take the place of, with the reference's names and shapes.

Names, shapes and order are those of NVIDIA's TensorRT pipeline for FLUX.1. Dynamic dimensions are
named: B pictures, T picture tokens (height / 16 * width / 16), H and W latent rows and columns.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxPipeline
from torch import nn

from backend.engines.shapes import VAE_SCALE

SAMPLE_BATCH = 2
"""The exporter takes a dimension of 1 for fixed."""


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


def flux_modules(pipeline: FluxPipeline, width: int, height: int) -> dict[str, ExportModule]:
    """Modules of a FLUX pipeline, their example inputs made by it at `width` x `height` pixels."""
    prompts = ["a red circle left of a blue square", "a house at night"]
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.no_grad():
        clip_ids = _token_ids(pipeline.tokenizer, prompts)
        t5_ids = _token_ids(pipeline.tokenizer_2, prompts)
        embeds = pipeline.text_encoder_2(t5_ids)[0]
        pooled = pipeline.text_encoder(clip_ids).pooler_output
        latents, image_ids = pipeline.prepare_latents(
            SAMPLE_BATCH,
            pipeline.transformer.config.in_channels // 4,
            height,
            width,
            embeds.dtype,
            embeds.device,
            generator,
        )
    transformer: dict[str, torch.Tensor] = {
        "hidden_states": latents,
        "encoder_hidden_states": embeds,
        "pooled_projections": pooled,
        "timestep": torch.tensor([1.0, 0.5], dtype=embeds.dtype),
        "img_ids": image_ids.float(),
        "txt_ids": torch.zeros(embeds.shape[1], 3),
    }
    if pipeline.transformer.config.guidance_embeds:
        transformer["guidance"] = torch.full((SAMPLE_BATCH,), 3.5)
    rows, columns = height // VAE_SCALE, width // VAE_SCALE
    channels = pipeline.vae.config.latent_channels
    latent = torch.randn(SAMPLE_BATCH, channels, rows, columns, generator=generator)
    found = (
        ExportModule(
            "text_encoder",
            _Pooled(pipeline.text_encoder),
            {"input_ids": clip_ids.int()},
            {"input_ids": {0: "B"}},
            ("text_embeddings", "pooled_embeddings"),
            "model.",
        ),
        ExportModule(
            "text_encoder_2",
            _First(pipeline.text_encoder_2),
            {"input_ids": t5_ids.int()},
            {"input_ids": {0: "B"}},
            ("text_embeddings",),
            "model.",
        ),
        ExportModule(
            "transformer",
            _Denoiser(pipeline.transformer),
            transformer,
            {
                name: {0: "T"}
                if name == "img_ids"
                else {}
                if name == "txt_ids"
                else {0: "B", 1: "T"}
                if name == "hidden_states"
                else {0: "B"}
                for name in transformer
            },
            ("latent",),
            "model.",
        ),
        ExportModule(
            "vae_decoder",
            _Decoder(pipeline.vae),
            {"latent": latent.to(pipeline.vae.dtype)},
            {"latent": {0: "B", 2: "H", 3: "W"}},
            ("images",),
            "model.",
        ),
    )
    return {module.name: module for module in found}


def _token_ids(tokenizer: Any, prompts: list[str]) -> torch.Tensor:
    ids: torch.Tensor = tokenizer(
        prompts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


class _Wrapper(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class _Pooled(_Wrapper):
    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(input_ids.long())
        return out.last_hidden_state, out.pooler_output


class _First(_Wrapper):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.model(input_ids.long())[0]
        return out


class _Denoiser(_Wrapper):
    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        pooled_projections: torch.Tensor,
        timestep: torch.Tensor,
        img_ids: torch.Tensor,
        txt_ids: torch.Tensor,
        guidance: torch.Tensor | None = None,
    ) -> torch.Tensor:
        out: torch.Tensor = self.model(
            hidden_states=hidden_states,
            encoder_hidden_states=encoder_hidden_states,
            pooled_projections=pooled_projections,
            timestep=timestep,
            img_ids=img_ids,
            txt_ids=txt_ids,
            guidance=guidance,
            return_dict=False,
        )[0]
        return out


class _Decoder(_Wrapper):
    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self.model.decode(latent, return_dict=False)[0]  # type: ignore[operator]
        return decoded
