"""FLUX.1: limits, precisions and the prompt's length, known without loading the model.

Sizes must be multiples of 16: the VAE halves three times and the transformer takes 2x2 patches.
"""

from pathlib import Path

from backend.contracts import ImageLimits, Precision
from backend.models import files
from backend.models.families.family import Family, Manifest
from backend.models.families.tokens import count_tokens

T5_TOKENS = 512
"""Prompt tokens that FLUX.1-dev reads; a model's tokenizer_2 may say less."""


def limits(
    manifest: Manifest, max_prompt_tokens: int = T5_TOKENS, guided: bool = True
) -> ImageLimits:
    """Defaults are those of the model cards of FLUX.1-dev (28 steps, guidance 3.5) and schnell
    (4 steps, no guidance)."""
    native = int(manifest.get("native_size", 1024))
    min_side, max_side = manifest.get("size_range", (256, 2048))
    return ImageLimits(
        native_width=native,
        native_height=native,
        min_side=int(min_side),
        max_side=int(max_side),
        multiple=16,
        default_steps=int(manifest.get("default_steps", 28 if guided else 4)),
        max_steps=100,
        default_guidance=float(manifest.get("default_guidance", 3.5 if guided else 0.0)),
        max_guidance=float(manifest.get("max_guidance", 10.0)),
        max_count=16,
        max_prompt_characters=4000,
        max_prompt_tokens=max_prompt_tokens,
        takes_negative_prompt=False,
    )


def read_limits(folder: Path, manifest: Manifest) -> ImageLimits:
    tokenizer = files.read_json(folder / "tokenizer_2" / "tokenizer_config.json", folder.name)
    transformer = files.read_json(folder / "transformer" / "config.json", folder.name)
    tokens = min(int(tokenizer.get("model_max_length", T5_TOKENS)), T5_TOKENS)
    return limits(manifest, tokens, bool(transformer.get("guidance_embeds", False)))


def count_prompt_tokens(folder: Path, prompt: str) -> int:
    """As the T5 encoder gets them; CLIP's pooled features are of the beginning only."""
    return count_tokens(folder / "tokenizer_2", prompt)


def gpu_precisions(precision: Precision) -> dict[str, Precision]:
    """As NVIDIA's pipeline has it: CLIP in FP16; T5 and the VAE in BF16, except in an FP16
    pipeline, whose VAE stays FP32."""
    if precision is Precision.FP16:
        return dict.fromkeys(MODULES, Precision.FP16) | {"vae_decoder": Precision.FP32}
    return dict.fromkeys(MODULES, Precision.BF16) | {"text_encoder": Precision.FP16}


MODULES = ("text_encoder", "text_encoder_2", "transformer", "vae_decoder")
FLUX = Family(
    name="flux",
    pipeline_class="FluxPipeline",
    scheduler_class="FlowMatchEulerDiscreteScheduler",
    engine_modules=MODULES,
    denoiser="transformer",
    gpu_precisions=gpu_precisions,
    limits=limits,
    read_limits=read_limits,
    count_prompt_tokens=count_prompt_tokens,
)
