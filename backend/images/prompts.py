"""What a pipeline is told of a prompt: each family's own arguments of the same call."""

from typing import Any

import torch
from diffusers import DiffusionPipeline, FluxPipeline


def prompt_arguments(pipeline: DiffusionPipeline, prompt: str, max_tokens: int) -> dict[str, Any]:
    """Arguments of the plain call for a prompt without a negative one."""
    if isinstance(pipeline, FluxPipeline):
        return {"prompt": prompt, "max_sequence_length": max_tokens}
    return {"prompt": prompt}


def encode_prompt(
    pipeline: DiffusionPipeline,
    prompt: str,
    negative_prompt: str,
    guidance: float,
    max_tokens: int,
) -> dict[str, torch.Tensor]:
    """Arguments of a call with the prompt encoded beforehand; its pictures are the plain call's.

    An empty negative prompt is none: what the pipeline then guides away from is its own affair.
    """
    if isinstance(pipeline, FluxPipeline):
        embeds, pooled, _ = pipeline.encode_prompt(
            prompt=prompt, prompt_2=None, max_sequence_length=max_tokens
        )
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}
    encoded: tuple[torch.Tensor | None, ...] = pipeline.encode_prompt(
        prompt=prompt,
        negative_prompt=negative_prompt or None,
        do_classifier_free_guidance=guidance > 1,
    )
    names = (
        "prompt_embeds",
        "negative_prompt_embeds",
        "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds",
    )
    return {name: tensor for name, tensor in zip(names, encoded, strict=True) if tensor is not None}
