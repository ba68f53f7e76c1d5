"""The modules of an SDXL pipeline, each with what it needs of the pipeline and no more."""

import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.models.upsampling import Upsample2D
from torch import nn
from torch.nn import functional

from backend.engines.modules.module import (
    SAMPLE_BATCH,
    SAMPLE_PROMPTS,
    ExportModule,
    Wrapper,
    token_ids,
    vae_decoder,
)
from backend.engines.shapes import VAE_SCALE
from backend.quantize.quantisers import shared_copy

SAMPLE_TIMESTEP = 500.0
NEVER = 30
"""No picture has sides that are multiples of 2**30."""


def _clip(pipeline: StableDiffusionXLPipeline, _width: int, _height: int) -> ExportModule:
    return ExportModule(
        "text_encoder",
        _Penultimate(pipeline.text_encoder),
        {"input_ids": token_ids(pipeline.tokenizer, SAMPLE_PROMPTS).int()},
        {"input_ids": {0: "B"}},
        ("text_embeddings",),
        "model.",
    )


def _clip_2(pipeline: StableDiffusionXLPipeline, _width: int, _height: int) -> ExportModule:
    return ExportModule(
        "text_encoder_2",
        _Projected(pipeline.text_encoder_2),
        {"input_ids": token_ids(pipeline.tokenizer_2, SAMPLE_PROMPTS).int()},
        {"input_ids": {0: "B"}},
        ("text_embeddings", "pooled_embeddings"),
        "model.",
    )


def _unet(pipeline: StableDiffusionXLPipeline, width: int, height: int) -> ExportModule:
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.no_grad():
        embeds, _, pooled, _ = pipeline.encode_prompt(
            SAMPLE_PROMPTS, do_classifier_free_guidance=False
        )
    sample = torch.randn(
        SAMPLE_BATCH,
        pipeline.unet.config.in_channels,
        height // VAE_SCALE,
        width // VAE_SCALE,
        generator=generator,
    )
    inputs: dict[str, torch.Tensor] = {
        "sample": sample.to(embeds.dtype),
        "timestep": torch.tensor([SAMPLE_TIMESTEP]),
        "encoder_hidden_states": embeds,
        "text_embeds": pooled,
        "time_ids": torch.tensor([[height, width, 0, 0, height, width]]).float().expand(2, -1),
    }
    dynamic = {name: {0: "G"} for name in inputs}
    dynamic |= {"sample": {0: "G", 2: "H", 3: "W"}, "timestep": {}}
    unet = _Denoiser(_for_every_size(pipeline.unet))
    return ExportModule("unet", unet, inputs, dynamic, ("latent",), "model.")


def _vae(pipeline: StableDiffusionXLPipeline, width: int, height: int) -> ExportModule:
    return vae_decoder(pipeline.vae, width, height)


SDXL_MODULES = {
    "text_encoder": _clip,
    "text_encoder_2": _clip_2,
    "unet": _unet,
    "vae_decoder": _vae,
}


def _for_every_size(unet: UNet2DConditionModel) -> nn.Module:
    """A copy, on the same weights, that upsamples to the size it came from where it would double:
    both are the same for sides that halve evenly, and only the first is right for all others."""
    same = shared_copy(unet)
    same.num_upsamplers = NEVER  # type: ignore[assignment]
    for layer in same.modules():
        if isinstance(layer, Upsample2D):
            layer.__class__ = _Upsample
    return same


class _Upsample(Upsample2D):
    """Without the questions about sizes, which would fix them in the exported graph."""

    def forward(
        self, hidden_states: torch.Tensor, output_size: tuple[int, int], *_: object
    ) -> torch.Tensor:
        larger = functional.interpolate(hidden_states, size=output_size, mode="nearest")
        out: torch.Tensor = self.conv(larger)
        return out


class _Penultimate(Wrapper):
    """The features that SDXL reads: those before CLIP's last layer."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.model(
            input_ids.long(), output_hidden_states=True
        ).hidden_states[-2]
        return hidden


class _Projected(Wrapper):
    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(input_ids.long(), output_hidden_states=True)
        return out.hidden_states[-2], out.text_embeds


class _Denoiser(Wrapper):
    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        text_embeds: torch.Tensor,
        time_ids: torch.Tensor,
    ) -> torch.Tensor:
        out: torch.Tensor = self.model(
            sample,
            timestep,
            encoder_hidden_states=encoder_hidden_states,
            # joined with the sizes, which are FP32; the exporter leaves that conversion out
            added_cond_kwargs={"text_embeds": text_embeds.float(), "time_ids": time_ids},
            return_dict=False,
        )[0]
        return out
