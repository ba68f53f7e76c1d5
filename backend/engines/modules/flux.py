"""The modules of a FLUX pipeline, each with what it needs of the pipeline and no more."""

import torch
from diffusers import FluxPipeline

from backend.engines.modules.module import (
    SAMPLE_BATCH,
    SAMPLE_PROMPTS,
    ExportModule,
    Wrapper,
    token_ids,
    vae_decoder,
)


def _clip(pipeline: FluxPipeline, _width: int, _height: int) -> ExportModule:
    return ExportModule(
        "text_encoder",
        _Pooled(pipeline.text_encoder),
        {"input_ids": token_ids(pipeline.tokenizer, SAMPLE_PROMPTS).int()},
        {"input_ids": {0: "B"}},
        ("text_embeddings", "pooled_embeddings"),
        "model.",
    )


def _t5(pipeline: FluxPipeline, _width: int, _height: int) -> ExportModule:
    return ExportModule(
        "text_encoder_2",
        _First(pipeline.text_encoder_2),
        {"input_ids": token_ids(pipeline.tokenizer_2, SAMPLE_PROMPTS).int()},
        {"input_ids": {0: "B"}},
        ("text_embeddings",),
        "model.",
    )


def _transformer(pipeline: FluxPipeline, width: int, height: int) -> ExportModule:
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.no_grad():
        t5_ids = token_ids(pipeline.tokenizer_2, SAMPLE_PROMPTS)
        embeds = pipeline.text_encoder_2(t5_ids)[0]
        clip_ids = token_ids(pipeline.tokenizer, SAMPLE_PROMPTS)
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
    inputs: dict[str, torch.Tensor] = {
        "hidden_states": latents,
        "encoder_hidden_states": embeds,
        "pooled_projections": pooled,
        "timestep": torch.tensor([1.0, 0.5], dtype=embeds.dtype),
        "img_ids": image_ids.float(),
        "txt_ids": torch.zeros(embeds.shape[1], 3),
    }
    if pipeline.transformer.config.guidance_embeds:
        inputs["guidance"] = torch.full((SAMPLE_BATCH,), 3.5)
    dynamic = {name: {0: "B"} for name in inputs}
    dynamic |= {"hidden_states": {0: "B", 1: "T"}, "img_ids": {0: "T"}, "txt_ids": {}}
    return ExportModule(
        "transformer", _Denoiser(pipeline.transformer), inputs, dynamic, ("latent",), "model."
    )


def _vae(pipeline: FluxPipeline, width: int, height: int) -> ExportModule:
    return vae_decoder(pipeline.vae, width, height)


FLUX_MODULES = {
    "text_encoder": _clip,
    "text_encoder_2": _t5,
    "transformer": _transformer,
    "vae_decoder": _vae,
}


class _Pooled(Wrapper):
    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(input_ids.long())
        return out.last_hidden_state, out.pooler_output


class _First(Wrapper):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.model(input_ids.long())[0]
        return out


class _Denoiser(Wrapper):
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
